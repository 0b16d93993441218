import CLibUV
import Logging

/// A listening socket that accepts, by a poll on its descriptor; used on its loop only.
///
/// When the process is out of descriptors it closes those who wait, with a spare one that it keeps
/// for this, and tries again after a pause. (libuv's own `uv_listen` spins meanwhile.)
final class ListenerHandle: LoopHandle {
    /// What differs from listener to listener.
    struct Settings {
        /// The address, for the log.
        let name: String
        var retryDelay = Duration.milliseconds(100)
        let logger: Logger
    }

    /// Gets each descriptor that was accepted, and owns it.
    var onAccept: (Int32) -> Void = { closeDescriptor($0) }
    /// Runs when accepting has failed, with the number of those who were closed therefore.
    var onFailure: (_ refused: Int) -> Void = { _ in }
    /// Runs behind each turn of accepting.
    var onTurnEnd: () -> Void = {}
    /// Runs when the loop stops; keeps what it captures until the handle is closed.
    var onLoopStop: (() -> Void)?
    private let settings: Settings
    private let descriptor: Int32
    private let inherited: InheritedSockets.Claim?
    private var retry: LoopTimer?
    private var hasLoggedFailure = false
    /// Kept to be given up when there are no descriptors left, so that those who come are told.
    private var spare: Int32 = -1

    /// Connections accepted in one turn of the loop, so that open ones get their turn as well.
    private static let acceptsPerTurn = 64

    /// Takes over a descriptor, which is closed with the handle, or when this fails.
    init(
        loop: Loop, descriptor: Int32, _ settings: Settings,
        _ inherited: InheritedSockets.Claim? = nil
    ) throws(NetworkError) {
        self.descriptor = descriptor
        self.inherited = inherited
        self.settings = settings
        do {
            try super.init(loop: loop, type: UV_POLL)
            try check(uv_poll_init(loop.uv, poll, descriptor), "watching a listening socket")
        } catch {
            Self.closeDescriptor(descriptor)
            inherited?.release()
            throw error
        }
        register()
    }

    private var poll: UnsafeMutablePointer<uv_poll_t> {
        memory.assumingMemoryBound(to: uv_poll_t.self)
    }

    /// Begins to accept.
    func start() throws(NetworkError) {
        try check(watch(), "listening on", settings.name)
        keepSpare()
    }

    private func watch() -> Int32 {
        uv_poll_start(poll, Int32(UV_READABLE.rawValue)) { handle, _, _ in
            LoopHandle.owner(of: handle, as: ListenerHandle.self)?.acceptAll()
        }
    }

    private func acceptAll() {
        if let status = acceptTurn() { backOff(status) }
        onTurnEnd()
    }

    /// Accepts a turn's worth of connections; returns why no more can be for a while.
    private func acceptTurn() -> Int32? {
        for _ in 0..<Self.acceptsPerTurn {
            let accepted = cuv_accept(descriptor)
            if accepted >= 0 {
                hasLoggedFailure = false
                onAccept(accepted)
                if isClosing { return nil }
                continue
            }
            switch uv_errno_t(accepted) {
            case UV_EAGAIN: return nil
            case UV_ECONNABORTED, UV_EINTR, UV_EPROTO: continue
            default: return accepted
            }
        }
        return nil
    }

    // MARK: Without descriptors

    private func backOff(_ status: Int32) {
        if !hasLoggedFailure {
            hasLoggedFailure = true
            let error = NetworkError(uv: status, "accepting on", settings.name)
            settings.logger.warning("\(error); waiting and trying again")
        }
        let isFull = status == UV_EMFILE.rawValue || status == UV_ENFILE.rawValue
        onFailure(isFull ? refuseWithSpare() : 0)
        uv_poll_stop(poll)
        if retry == nil {
            retry = try? LoopTimer(on: loop) { [unowned(unsafe) self] in
                keepSpare()
                _ = watch()
            }
        }
        retry?.start(after: settings.retryDelay)
    }

    /// Uses the spare descriptor to take those who wait, and closes each: else they would hang.
    private func refuseWithSpare() -> Int {
        guard spare >= 0 else { return 0 }
        giveUpSpare()
        var refused = 0
        while refused < Self.acceptsPerTurn {
            let accepted = cuv_accept(descriptor)
            if accepted < 0 { break }
            refused += 1
            Self.closeDescriptor(accepted)
        }
        keepSpare()
        return refused
    }

    private func keepSpare() {
        if spare < 0 { spare = cuv_spare_descriptor() }
    }

    private func giveUpSpare() {
        if spare >= 0 { Self.closeDescriptor(spare) }
        spare = -1
    }

    static func closeDescriptor(_ descriptor: Int32) { cuv_close(descriptor) }

    // MARK: The end

    override func close() {
        retry?.close()
        retry = nil
        giveUpSpare()
        super.close()
    }

    override func loopStops() {
        if let onLoopStop { onLoopStop() } else { super.loopStops() }
    }

    override func handleClosed() {
        Self.closeDescriptor(descriptor)
        inherited?.release()
        onAccept = { Self.closeDescriptor($0) }
        onFailure = { _ in }
        onTurnEnd = {}
        onLoopStop = nil
    }
}
