/// When a lost connection is made again.
///
/// Pauses double from ``firstPause`` to ``longestPause``, and vary at random by half, so that the
/// clients of a server that comes back don't come all at once.
public struct ReconnectionPolicy: Sendable, Hashable {
    /// The first pause before a lost connection is made again; 100 ms by default.
    public var firstPause: Duration
    /// The longest pause between two attempts; 30 s by default.
    public var longestPause: Duration
    /// Attempts in a row that may fail before the error goes to the stage's supervisor; `nil` for
    /// any number.
    public var attempts: Int?

    /// Creates a policy.
    public init(
        firstPause: Duration = .milliseconds(100), longestPause: Duration = .seconds(30),
        attempts: Int? = nil
    ) {
        self.firstPause = firstPause
        self.longestPause = longestPause
        self.attempts = attempts
    }
}

/// The attempts since a connection was last of use.
package struct Reconnection {
    /// Without any pause a server that refuses would be asked in a tight loop.
    private static let shortestPause = Duration.milliseconds(1)

    private let policy: ReconnectionPolicy
    private var pause: Duration
    private var failed = 0

    package init(_ policy: ReconnectionPolicy) {
        self.policy = policy
        pause = policy.firstPause
    }

    /// How long to wait now; `nil` when it is to be given up.
    package mutating func next(
        using generator: inout some RandomNumberGenerator
    ) -> Duration? {
        failed += 1
        if let attempts = policy.attempts, failed >= max(1, attempts) { return nil }
        let delay = pause * Double.random(in: 0.5...1.5, using: &generator)
        pause = min(pause * 2, policy.longestPause)
        return max(min(delay, policy.longestPause), Self.shortestPause)
    }

    /// Connected: attempts are counted anew.
    package mutating func connected() { failed = 0 }

    /// The connection was of use: the next pause is the first again.
    package mutating func succeeded() {
        failed = 0
        pause = policy.firstPause
    }
}
