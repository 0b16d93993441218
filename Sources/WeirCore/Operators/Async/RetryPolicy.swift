/// How often an asynchronous call is tried again before its failure counts, and how long to wait in between.
public struct RetryPolicy: Sendable, Hashable {
    /// How often a call is made at most, the first time included.
    ///
    /// At least 1.
    public var attempts: Int
    var initial: Duration
    var maximum: Duration
    var factor: Double
    var jitter: Double

    /// One call, no further one.
    public static let none = RetryPolicy(
        attempts: 1, initial: .zero, maximum: .zero, factor: 1, jitter: 0)

    /// Waits that grow by a factor from one try to the next.
    ///
    /// - Parameters:
    ///   - attempts: How often a call is made at most, the first time included.
    ///   - initial: The wait before the second try. Default 100 ms.
    ///   - maximum: The longest wait. Default 10 seconds.
    ///   - factor: How much longer each wait is than the one before, at least 1. Default 2.
    ///   - jitter: The part of the wait that is random, 0...1, so that callers spread out. Default 0.5.
    public static func exponential(
        attempts: Int, from initial: Duration = .milliseconds(100),
        to maximum: Duration = .seconds(10), factor: Double = 2, jitter: Double = 0.5
    ) -> RetryPolicy {
        RetryPolicy(
            attempts: max(1, attempts), initial: max(.zero, initial), maximum: maximum,
            factor: max(1, factor), jitter: min(max(0, jitter), 1))
    }

    /// The wait after so many failed tries, with `random` in 0..<1.
    package func delay(afterFailures failures: Int, random: Double) -> Duration {
        if failures <= 0 || initial <= .zero { return .zero }
        let limit = Double(maximum.nanosecondsClamped)
        var nanoseconds = min(Double(initial.nanosecondsClamped), limit)
        for _ in 1..<failures where nanoseconds < limit { nanoseconds *= factor }
        nanoseconds = min(nanoseconds, limit) * (1 - jitter * random)
        return .nanoseconds(Int64(min(nanoseconds, 0x1p62)))
    }
}

/// An asynchronous call took longer than its timeout.
public struct AsyncTimeout: Error, CustomStringConvertible {
    /// The timeout.
    public let timeout: Duration

    /// What happened.
    public var description: String { "the call took longer than its timeout of \(timeout)" }
}
