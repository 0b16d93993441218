import CWeirProcess

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Runs a closure on a new thread.
func startThread(
    _ body: @escaping @Sendable () -> Void,
    onFailure: (ProcessSupervisorError) -> Void
) {
    let box = Unmanaged.passRetained(ThreadBody(body))
    let status = cwp_thread(
        { context in
            guard let context else { return }
            Unmanaged<ThreadBody>.fromOpaque(context).takeRetainedValue().body()
        }, box.toOpaque())
    if status < 0 {
        box.release()
        onFailure(
            ProcessSupervisorError(
                .system, "no thread for the supervisor: \(String(cString: strerror(-status)))"))
    }
}

private final class ThreadBody: Sendable {
    let body: @Sendable () -> Void

    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
}

/// A pipe through which other threads wake the supervising one.
final class WakePipe: Sendable {
    let readEnd: Int32
    private let writeEnd: Int32

    init() throws(ProcessSupervisorError) {
        var ends: [Int32] = [-1, -1]
        let status = cwp_pipe(&ends)
        guard status >= 0 else {
            throw ProcessSupervisorError(.system, String(cString: strerror(-status)))
        }
        readEnd = ends[0]
        writeEnd = ends[1]
    }

    deinit {
        close(readEnd)
        close(writeEnd)
    }

    func wake() {
        var byte: UInt8 = 0
        _ = write(writeEnd, &byte, 1)
    }

    /// Takes what has been written; false when there was nothing.
    func drain() -> Bool {
        var bytes: (UInt64, UInt64) = (0, 0)
        return read(readEnd, &bytes, MemoryLayout.size(ofValue: bytes)) > 0
    }
}
