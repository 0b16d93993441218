import CLibUV

/// A listening socket as its loop watches it, by a poll on its descriptor; used on that loop only.
///
/// libuv's own `uv_listen` spins while the process is out of descriptors, so the accept loop is ours.
final class ListenerHandle: LoopHandle {
    let descriptor: Int32
    var onReadable: () -> Void = {}
    /// Runs when the loop stops; keeps what it captures until the handle is closed.
    var onLoopStop: (() -> Void)?
    private let inherited: InheritedSockets.Claim?

    /// Connections accepted in one turn of the loop, so that open ones get their turn as well.
    static let acceptsPerTurn = 64

    /// Takes over a descriptor, which is closed with the handle, or when this fails.
    init(
        loop: Loop, descriptor: Int32, _ inherited: InheritedSockets.Claim? = nil
    ) throws(NetworkError) {
        self.descriptor = descriptor
        self.inherited = inherited
        do {
            try super.init(loop: loop, type: UV_POLL)
            try check(uv_poll_init(loop.uv, poll, descriptor), "watching a listening socket")
        } catch {
            cuv_close(descriptor)
            inherited?.release()
            throw error
        }
        register()
    }

    private var poll: UnsafeMutablePointer<uv_poll_t> {
        memory.assumingMemoryBound(to: uv_poll_t.self)
    }

    func start() -> Int32 {
        uv_poll_start(poll, Int32(UV_READABLE.rawValue)) { handle, _, _ in
            LoopHandle.owner(of: handle, as: ListenerHandle.self)?.onReadable()
        }
    }

    func stop() { uv_poll_stop(poll) }

    /// Accepts the connections that wait, a turn's worth of them.
    ///
    /// - Parameter take: Gets each descriptor, and owns it.
    /// - Returns: Why no more can be accepted for a while; nil when that is not so.
    func acceptAll(_ take: (Int32) -> Void) -> Int32? {
        for _ in 0..<Self.acceptsPerTurn {
            let descriptor = cuv_accept(self.descriptor)
            if descriptor >= 0 {
                take(descriptor)
                if isClosing { return nil }
                continue
            }
            switch uv_errno_t(descriptor) {
            case UV_EAGAIN: return nil
            case UV_ECONNABORTED, UV_EINTR, UV_EPROTO: continue
            default: return descriptor
            }
        }
        return nil
    }

    override func loopStops() {
        if let onLoopStop { onLoopStop() } else { super.loopStops() }
    }

    override func handleClosed() {
        cuv_close(descriptor)
        inherited?.release()
        onReadable = {}
        onLoopStop = nil
    }
}
