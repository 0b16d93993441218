import CWeirProcess
import Foundation
import Synchronization

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// A process that a test starts, and that is killed when nothing refers to the value any more.
///
/// It begins with no signal blocked or ignored, and with no open file but the three standard ones.
package final class ChildProcess: Sendable {
    /// What it reads.
    package enum Input: Sendable {
        case nothing
        case file(String)
        /// A few bytes that are there from the start; no end of the input follows them.
        case open(String)
    }

    /// Where it writes to.
    package enum Output: Sendable {
        case nowhere
        /// What is in the file stays in front.
        case file(String)
        /// Called for each line, on a thread for this alone, and with nil when all have ended that
        /// could write.
        case lines(@Sendable (String?) -> Void)
    }

    /// How a process has ended.
    package struct End: Sendable, Equatable {
        /// The exit code, or the number of the signal.
        package let status: Int32
        package let isSignal: Bool

        package init(status: Int32, isSignal: Bool) {
            self.status = status
            self.isSignal = isSignal
        }
    }

    package let pid: Int32
    private let life = Life()

    /// Starts a program.
    ///
    /// - Parameters:
    ///   - path: The program's absolute path.
    ///   - environment: What it has on top of this process's variables.
    ///   - errors: Where its standard error goes; nil for where its output goes.
    package init(
        _ path: String, _ arguments: [String], environment: [String: String] = [:],
        input: Input = .nothing, output: Output = .nowhere, errors: Output? = nil
    ) throws {
        let variables = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        let plan = try SpawnPlan()
        let open = try plan.setInput(input)
        var readers = [try plan.setOutput(output, as: STDOUT_FILENO)].compactMap { $0 }
        if let errors {
            readers += [try plan.setOutput(errors, as: STDERR_FILENO)].compactMap { $0 }
        } else {
            plan.duplicate(STDOUT_FILENO, as: STDERR_FILENO)
        }
        pid = try plan.start(path, arguments, variables.map { "\($0.key)=\($0.value)" })
        try onThread { [life, pid] in withExtendedLifetime(open) { life.wait(for: pid) } }
        for reader in readers { try onThread { reader.run() } }
    }

    deinit { send(SIGKILL) }

    /// Does nothing when the process has ended.
    package func send(_ signal: Int32) {
        life.hasEnded.withLock { if !$0 { _ = kill(pid, signal) } }
    }

    package var hasEnded: Bool { life.hasEnded.withLock { $0 } }

    package func waitForEnd() async -> End { await life.ends.wait(for: 1)[0] }

    /// Kills it and waits for its end.
    package func stop() async {
        send(SIGKILL)
        _ = await waitForEnd()
    }
}

/// What is left of a process when the value that stands for it has gone.
private final class Life: Sendable {
    let hasEnded = Mutex(false)
    let ends = Recorder<ChildProcess.End>()

    func wait(for pid: Int32) {
        // Collected in a second step: until then no other process has its number, and gets a signal
        // that was meant for it.
        var information = siginfo_t()
        while waitid(P_PID, id_t(pid), &information, WEXITED | WNOWAIT) < 0, errno == EINTR {}
        var (code, signal, dumpedCore): (Int32, Int32, Int32) = (-1, 0, 0)
        hasEnded.withLock { hasEnded in
            cwp_reap(pid, &code, &signal, &dumpedCore)
            hasEnded = true
        }
        ends.append(
            signal == 0
                ? .init(status: code, isSignal: false) : .init(status: signal, isSignal: true))
    }
}

/// Runs what blocks on a thread of its own: the pool's are for the tests.
private func onThread(_ body: @escaping @Sendable () -> Void) throws {
    let work = Unmanaged.passRetained(Work(body: body))
    let status = cwp_thread(
        { context in
            guard let context else { return }
            Unmanaged<Work>.fromOpaque(context).takeRetainedValue().body()
        }, work.toOpaque())
    if status != 0 {
        work.release()
        throw StartFailure("a thread", -status)
    }
}

private final class Work: Sendable {
    let body: @Sendable () -> Void

    init(body: @escaping @Sendable () -> Void) { self.body = body }
}
