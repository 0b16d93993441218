/// When calls are stopped because too many of them fail, and how they are tried again.
///
/// Closed, it counts the newest calls; when too many of them have failed it opens, and no call is made for a
/// while; then, half-open, it lets a few through, which close it again or open it anew (Nygard, Release It!, 2007).
public struct CircuitBreaker: Sendable {
    /// What becomes of events while the breaker is open.
    public struct Mode: Sendable, Hashable {
        enum Kind: Sendable { case reject, wait, fail }
        let kind: Kind

        /// They go to ``GuardedCalls/rejected``.
        public static let reject = Mode(kind: .reject)
        /// Their calls wait until the breaker lets them through; as many as may be in flight wait,
        /// then upstream is suspended.
        public static let wait = Mode(kind: .wait)
        /// Their calls fail with ``CircuitOpen``, which the retry policy, `recover(from:)` and the supervisor
        /// handle like any failure.
        public static let fail = Mode(kind: .fail)
    }

    let failures: Int
    let window: Int
    let pause: Duration
    let trials: Int
    let mode: Mode
    let counts: @Sendable (any Error) -> Bool

    /// A circuit breaker.
    ///
    /// - Parameters:
    ///   - failures: How many of the newest calls have to fail for it to open. Default 5.
    ///   - window: How many of the newest calls are looked at, 1 to 64. Default 20.
    ///   - pause: How long it stays open. Default 10 seconds.
    ///   - trials: How many calls in a row have to succeed for it to close. Default 1.
    ///   - mode: What becomes of events while it is open. Default: they are rejected.
    ///   - counts: Whether an error counts as a failure of what is called. Default: each does.
    public init(
        failures: Int = 5, of window: Int = 20, pause: Duration = .seconds(10), trials: Int = 1,
        whileOpen mode: Mode = .reject,
        counts: @escaping @Sendable (any Error) -> Bool = { _ in true }
    ) {
        self.failures = failures
        self.window = window
        self.pause = pause
        self.trials = trials
        self.mode = mode
        self.counts = counts
    }

    @usableFromInline var problem: String? {
        if !(1...64).contains(window) || !(1...window).contains(failures) {
            return
                "a circuit breaker looks at 1 to 64 calls, and opens at 1 failure or more of them"
        }
        if pause <= .zero || trials < 1 {
            return "a circuit breaker needs a pause above zero and at least 1 trial"
        }
        return nil
    }
}

/// A call was not made because the circuit breaker is open.
public struct CircuitOpen: Error, CustomStringConvertible {
    /// What happened.
    public var description: String {
        "the call was not made: too many calls before it failed, the circuit breaker is open"
    }
}

/// The states of a circuit breaker; calls report with the generation in which they were admitted, so
/// that those of an earlier one count no more.
struct CircuitBreakerStateMachine: Sendable {
    enum State: Sendable, Equatable {
        /// The newest outcomes, a bit each: 1 for a failure.
        case closed(outcomes: UInt64)
        case open(until: EventTime)
        case halfOpen(underWay: Int, succeeded: Int)
    }

    enum Admission: Sendable, Equatable {
        case call(generation: Int)
        case wait(until: EventTime)
    }

    private(set) var state = State.closed(outcomes: 0)
    private var generation = 0
    private let failures: Int
    private let mask: UInt64
    private let pause: Duration
    private let trials: Int

    init(_ breaker: CircuitBreaker) {
        failures = breaker.failures
        mask = breaker.window >= 64 ? .max : (1 << UInt64(max(1, breaker.window))) - 1
        pause = breaker.pause
        trials = max(1, breaker.trials)
    }

    mutating func admit(at now: EventTime) -> Admission {
        if case .open(let until) = state, now >= until {
            move(to: .halfOpen(underWay: 0, succeeded: 0))
        }
        switch state {
        case .closed: return .call(generation: generation)
        case .open(let until): return .wait(until: until)
        case .halfOpen(let underWay, let succeeded):
            guard underWay + succeeded < trials else {
                // Until the trials are over, which nobody knows.
                return .wait(until: now.advanced(by: pause / 4))
            }
            state = .halfOpen(underWay: underWay + 1, succeeded: succeeded)
            return .call(generation: generation)
        }
    }

    /// Takes an outcome in; nil for a call that says nothing, such as a cancelled one.
    mutating func report(_ hasFailed: Bool?, generation: Int, at now: EventTime) {
        guard generation == self.generation else { return }
        switch state {
        case .open: break
        case .closed(var outcomes):
            guard let hasFailed else { return }
            outcomes = (outcomes << 1 | (hasFailed ? 1 : 0)) & mask
            state = .closed(outcomes: outcomes)
            if outcomes.nonzeroBitCount >= failures {
                move(to: .open(until: now.advanced(by: pause)))
            }
        case .halfOpen(let underWay, let succeeded):
            switch hasFailed {
            case true?: move(to: .open(until: now.advanced(by: pause)))
            case false? where succeeded + 1 >= trials: move(to: .closed(outcomes: 0))
            case false?: state = .halfOpen(underWay: underWay - 1, succeeded: succeeded + 1)
            case nil: state = .halfOpen(underWay: underWay - 1, succeeded: succeeded)
            }
        }
    }

    private mutating func move(to state: State) {
        self.state = state
        generation += 1
    }
}
