/// Who restarts failed stages, which others with them, and how often before it gives up: OTP's supervisor.
///
/// A supervisor with a name may be given to several stages: they are its children, in the order of the flow. Without a
/// name every stage gets a supervisor of its own with these settings.
public struct Supervisor: Sendable, Hashable {
    /// Which children restart when one of them fails.
    public struct Strategy: Sendable, Hashable, CustomStringConvertible {
        enum Kind: String, Sendable { case oneForOne, restForOne, oneForAll }
        let kind: Kind

        /// The failed one alone.
        public static let oneForOne = Strategy(kind: .oneForOne)
        /// The failed one and all that come after it in the flow.
        public static let restForOne = Strategy(kind: .restForOne)
        /// All children.
        public static let oneForAll = Strategy(kind: .oneForAll)

        /// The strategy's name.
        public var description: String { kind.rawValue }
    }

    /// How long to wait before a restart.
    public struct Backoff: Sendable, Hashable {
        var initial: Duration
        var maximum: Duration
        var factor: Double
        var jitter: Double

        /// The first restart at once, the second after `from`, each further one after `factor` times as long, up to `to`.
        ///
        /// - Parameter jitter: The part of the wait that is random, 0...1.
        public static func exponential(
            from initial: Duration = .milliseconds(50), to maximum: Duration = .seconds(30),
            factor: Double = 2, jitter: Double = 0.1
        ) -> Backoff {
            Backoff(
                initial: initial, maximum: maximum, factor: max(1, factor),
                jitter: min(max(0, jitter), 1))
        }

        /// No wait.
        public static let none = Backoff(
            initial: .zero, maximum: .zero, factor: 1, jitter: 0)

        /// The wait before the restart that follows `previous` others, with `random` in 0..<1.
        func delay(afterRestarts previous: Int, random: Double) -> Duration {
            if previous <= 0 || initial <= .zero { return .zero }
            var nanoseconds = Double(initial.nanosecondsClamped)
            let limit = Double(maximum.nanosecondsClamped)
            for _ in 1..<max(previous, 1) where nanoseconds < limit { nanoseconds *= factor }
            nanoseconds = min(nanoseconds, limit)
            nanoseconds *= 1 - jitter * random
            return .nanoseconds(Int64(min(nanoseconds, 0x1p62)))
        }
    }

    /// What happens to an event that has failed as often as it may.
    public struct PoisonPolicy: Sendable, Hashable {
        enum Kind: Sendable { case deadLetter, escalate }
        let kind: Kind

        /// It goes to the dead letters and the stage goes on without it.
        public static let deadLetter = PoisonPolicy(kind: .deadLetter)
        /// The supervisor fails: its parent restarts the whole group under its own intensity, and the event is tried anew.
        ///
        /// Where the root is the stage's supervisor the run ends with the error.
        public static let escalate = PoisonPolicy(kind: .escalate)
    }

    /// The name under which several stages share this supervisor; nil for one of its own per stage.
    public var name: String?
    /// Which children restart when one fails.
    public var strategy: Strategy
    /// More restarts than this within ``period`` and the supervisor gives up.
    public var intensity: Int
    /// The time over which restarts are counted.
    public var period: Duration
    /// The wait before a restart.
    public var backoff: Backoff
    /// How often an event is tried before it counts as poison.
    ///
    /// At least 1.
    public var attempts: Int
    /// What happens to a poison event.
    public var poison: PoisonPolicy
    private var parents: [Supervisor]

    /// Creates a supervisor.
    ///
    /// - Parameters:
    ///   - strategy: Which children restart when one fails.
    ///   - name: Give the same named supervisor to several stages to make them its children.
    ///   - intensity: At most this many restarts within `period`; one more and the supervisor gives up: its parent
    ///     handles that as a failure of the whole group, and at the root the run ends with the error. Restarts spent on
    ///     an event that goes to the dead letters are given back then. Default 3.
    ///   - within: The period. Default 5 seconds.
    ///   - backoff: The wait before a restart; the first is immediate.
    ///   - attempts: How often an event is tried before it is poison. Default 3.
    ///   - poison: What happens to a poison event. Default: dead letters.
    ///   - parent: The supervisor above this one; nil for the root.
    public init(
        _ strategy: Strategy = .oneForOne, name: String? = nil, intensity: Int = 3,
        within period: Duration = .seconds(5), backoff: Backoff = .exponential(),
        attempts: Int = 3, poison: PoisonPolicy = .deadLetter, under parent: Supervisor? = nil
    ) {
        self.strategy = strategy
        self.name = name
        self.intensity = max(0, intensity)
        self.period = period
        self.backoff = backoff
        self.attempts = max(1, attempts)
        self.poison = poison
        parents = parent.map { [$0] } ?? []
    }

    /// What is wrong with the arguments of it, or of one above it.
    var problem: String? {
        if period > .zero { return parent?.problem }
        // No restart would ever count.
        return "a supervisor counts restarts within a period above zero, not \(period)"
    }

    /// The supervisor that handles this one's failure; nil for the root.
    public var parent: Supervisor? { parents.first }
}

/// What to do about an error that a handler threw.
public enum Decision<Output: Sendable>: Sendable {
    /// Restart the stage and try the event again, as often as the supervisor's `attempts` say.
    case restart
    /// Leave the event out and count it as dropped.
    case skip
    /// Send the event to the dead letters and go on.
    case deadLetter
    /// Fail the supervisor: its parent restarts the whole group, at the root the run ends.
    ///
    /// The event is then tried anew; how often is up to the intensity of the supervisors above.
    case escalate
    /// Emit this in the event's place, with the event's time.
    case emit(Output)
}

/// A user's policy for errors of one type, placed behind the operators it is for.
package struct Recovery {
    package enum Verdict {
        case restart, skip, deadLetter, escalate
        /// Emits a replacement, with the time given, into what follows the recovery.
        case emit((EventTime) throws -> Void)
    }

    /// The verdict on an error, or nil when it is not of this policy's type or was thrown behind it.
    package let verdict: (any Error) -> Verdict?
}
