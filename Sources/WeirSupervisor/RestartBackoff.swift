/// How long a process supervisor waits before it starts a failed worker again.
///
/// The same rule as `Supervisor.Backoff` has for stages.
public struct RestartBackoff: Sendable, Hashable {
    private let initial: Duration
    private let maximum: Duration
    private let factor: Double
    private let jitter: Double

    /// The first restart at once, the second after `from`, each further one `factor` times later, up to `to`.
    ///
    /// - Parameter jitter: The part of the wait that is random, 0...1.
    public static func exponential(
        from initial: Duration = .milliseconds(50), to maximum: Duration = .seconds(30),
        factor: Double = 2, jitter: Double = 0.1
    ) -> RestartBackoff {
        RestartBackoff(
            initial: max(.zero, initial), maximum: max(.zero, maximum), factor: max(1, factor),
            jitter: min(max(0, jitter), 1))
    }

    /// No wait.
    public static let none = RestartBackoff(
        initial: .zero, maximum: .zero, factor: 1, jitter: 0)

    /// The wait before the restart that follows `previous` others, with `random` in 0..<1.
    func delay(afterRestarts previous: Int, random: Double) -> Duration {
        if previous <= 0 || initial <= .zero { return .zero }
        var seconds = initial / .seconds(1)
        let limit = maximum / .seconds(1)
        for _ in 1..<max(previous, 1) where seconds < limit { seconds *= factor }
        return .seconds(min(seconds, limit) * (1 - jitter * random))
    }
}
