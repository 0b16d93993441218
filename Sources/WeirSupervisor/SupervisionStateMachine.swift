#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// What a process supervisor does about exits and signals, without doing it.
///
/// Times are durations since any fixed instant.
struct SupervisionStateMachine: Sendable {
    /// What to do now.
    enum Action: Sendable, Equatable {
        case nothing
        case startWorker
        /// The worker failed; start another at the deadline.
        case restart(after: Duration)
        case forward(Int32)
        case kill
        /// The grace period is over and the worker still runs.
        case warnOfKill
        case end(ExitReason)
        case giveUp(ExitReason)
    }

    private enum State: Sendable {
        case running
        case waiting(until: Duration, last: ExitReason)
        /// Told to stop; past its grace a further signal kills.
        case stopping(graceEnds: Duration, warned: Bool)
        case ended
    }

    private let intensity: Int
    private let period: Duration
    private let backoff: RestartBackoff
    private let grace: Duration
    private var state = State.running
    /// Restarts within the period, oldest first; at most `intensity` + 1.
    private var times: [Duration] = []
    /// Restarts since the beginning.
    private(set) var restarts = 0

    init(intensity: Int, period: Duration, backoff: RestartBackoff, grace: Duration) {
        self.intensity = max(0, intensity)
        self.period = period
        self.backoff = backoff
        self.grace = max(.zero, grace)
    }

    /// When ``deadlineReached(at:)`` wants to be called; nil for never.
    var deadline: Duration? {
        switch state {
        case .waiting(let until, _): until
        case .stopping(let graceEnds, warned: false): graceEnds
        default: nil
        }
    }

    /// The worker has ended, or could not be started.
    mutating func workerEnded(
        _ reason: ExitReason, at now: Duration, random: Double
    ) -> Action {
        if case .stopping = state {
            state = .ended
            return .end(reason)
        }
        if reason.isClean || reason.isMisuse {
            state = .ended
            return .end(reason)
        }
        times.removeAll { $0 <= now - period }
        let previous = times.count
        guard previous < intensity else {
            state = .ended
            return .giveUp(reason)
        }
        times.append(now)
        restarts += 1
        let delay = backoff.delay(afterRestarts: previous, random: random)
        state = .waiting(until: now + delay, last: reason)
        return .restart(after: delay)
    }

    /// A signal has come, or the supervising task was cancelled (as SIGTERM).
    mutating func signalled(_ signal: Int32, at now: Duration) -> Action {
        let stops = signal == SIGTERM || signal == SIGINT
        switch state {
        case .running:
            if stops { state = .stopping(graceEnds: now + grace, warned: false) }
            return .forward(signal)
        case .waiting(_, let last):
            guard stops else { return .nothing }
            state = .ended
            return .end(last)
        case .stopping(let graceEnds, _):
            return stops && now >= graceEnds ? .kill : .forward(signal)
        case .ended:
            return .nothing
        }
    }

    /// The deadline has come.
    mutating func deadlineReached(at now: Duration) -> Action {
        switch state {
        case .waiting(let until, _) where now >= until:
            state = .running
            return .startWorker
        case .stopping(let graceEnds, warned: false) where now >= graceEnds:
            state = .stopping(graceEnds: graceEnds, warned: true)
            return .warnOfKill
        default:
            return .nothing
        }
    }
}
