/// How many events a connection or an identity may bring, and what happens beyond.
public struct RateLimit: Sendable, Hashable {
    /// Events a second in the long run; at least one in ten minutes.
    public var eventsPerSecond: Double
    /// Events that may come at once after a rest; one second's worth by default.
    public var burst: Int
    /// What happens beyond; the peer is made to wait by default.
    public var excess: Excess

    /// What happens to a peer that brings more.
    public struct Excess: Sendable, Hashable {
        private enum Choice { case wait, refuse }
        private let choice: Choice

        /// Its socket is not read until it may go on: TCP makes it wait.
        public static let wait = Excess(choice: .wait)
        /// POST gets 429 with `Retry-After`, a WebSocket is closed with 1008, TCP is closed.
        public static let refuse = Excess(choice: .refuse)
    }

    /// Allows so many events a second.
    public init(eventsPerSecond: Double, burst: Int? = nil, excess: Excess = .wait) {
        let slowest = 1.0 / 600
        let rate = eventsPerSecond.isFinite ? max(slowest, eventsPerSecond) : 1e12
        self.eventsPerSecond = rate
        self.burst = max(1, burst ?? Int(min(rate, 1e12)))
        self.excess = excess
    }
}

/// What is left of a rate limit; used on one loop only.
///
/// It goes into debt: what one read of a socket brings is counted when it is there.
final class TokenBucket {
    let limit: RateLimit
    private var tokens: Double
    private var last: UInt64

    /// A full bucket; times are the loop's milliseconds.
    init(_ limit: RateLimit, now: UInt64) {
        self.limit = limit
        tokens = Double(limit.burst)
        last = now
    }

    private func refill(_ now: UInt64) {
        let elapsed = now > last ? Double(now - last) / 1_000 : 0
        tokens = min(Double(limit.burst), tokens + elapsed * limit.eventsPerSecond)
        last = max(now, last)
    }

    /// Takes note of so many events.
    func charge(_ count: Int, now: UInt64) {
        refill(now)
        tokens -= Double(count)
    }

    /// Milliseconds until the debt is paid; zero without one.
    func wait(now: UInt64) -> UInt64 {
        refill(now)
        guard tokens < 0 else { return 0 }
        return UInt64(min(3.6e6, max(1, (-tokens / limit.eventsPerSecond * 1_000).rounded(.up))))
    }

    /// Whether it is as if it had never been used.
    func isFull(now: UInt64) -> Bool {
        refill(now)
        return tokens >= Double(limit.burst)
    }
}
