import Logging

/// How long the peers of a source may say nothing, and take for what they have begun.
struct SilenceLimits: Sendable {
    /// Time without a byte; nil for any.
    var idle: Duration?
    /// Time for a frame that has begun; nil for any.
    var message: Duration?

    /// What a peer has taken too long for.
    enum Overdue { case idle, message }

    /// How often one has to look: each limit is kept to a sixteenth.
    var lookInterval: Duration? {
        [idle, message].compactMap(\.self).min().map { max(.milliseconds(1), $0 / 16) }
    }
}

/// Since when a peer has not ended what it has begun, by a clock that stands still while it isn't read.
struct UnfinishedMessage {
    private var begunAt: UInt64?

    /// Takes note of what a read of the socket has brought.
    ///
    /// - Parameters:
    ///   - isWithin: Whether something has begun that is not complete.
    ///   - hasCompleted: Whether the read has ended what had begun before, so that this is another.
    mutating func note(isWithin: Bool, hasCompleted: Bool, at now: @autoclosure () -> UInt64) {
        if !isWithin {
            begunAt = nil
        } else if begunAt == nil || hasCompleted {
            begunAt = now()
        }
    }

    /// Whether it has begun so many milliseconds ago.
    func isOverdue(after limit: UInt64, at now: UInt64) -> Bool {
        begunAt.map { now - $0 >= limit } ?? false
    }
}

/// Closes connections of a source whose peers say nothing, or don't end what they have begun; on its
/// loop only.
///
/// One timer looks at all of them, so that a connection needs none of its own.
final class SilenceWatch {
    private let limits: SilenceLimits
    private let counters: ServerCounterCells
    private let logger: Logger
    private let loop: Loop
    private let name: String
    private var timer: LoopTimer?
    private var log = LogBudget()

    /// - Parameter name: What the log calls the place.
    init(
        _ limits: SilenceLimits, _ counters: ServerCounterCells, _ logger: Logger, _ name: String,
        on loop: Loop
    ) {
        self.limits = limits
        self.counters = counters
        self.logger = logger
        self.name = name
        self.loop = loop
    }

    /// Looks again and again at the connections there are.
    func start(_ connections: @escaping () -> [IngestConnection]) {
        guard let interval = limits.lookInterval else { return }
        if timer == nil { timer = try? LoopTimer(on: loop, {}) }
        timer?.onFire = { [unowned(unsafe) self] in
            for connection in connections() { look(at: connection) }
        }
        timer?.start(after: interval, every: interval)
    }

    private func look(at connection: IngestConnection) {
        guard let overdue = connection.peer.overdue(limits) else { return }
        let reason: String
        switch overdue {
        case .idle:
            counters.idleTimeouts.add(1)
            reason = "nothing came for too long"
        case .message:
            counters.messageTimeouts.add(1)
            reason = "a message that had begun did not end in time"
        }
        if log.take(at: loop.now) {
            logger.notice(
                "connection closed: \(reason)",
                metadata: ["at": "\(name)", "origin": "\(connection.origin)"])
        }
        connection.peer.goAway()
    }

    /// Looks no more.
    func stop() {
        timer?.close()
        timer = nil
    }
}
