/// What a keyed rate limit does with the events of a key that come too fast.
public struct KeyedRateMode: Sendable, Hashable {
    /// How many events of a key wait; none in a limit that drops.
    @usableFromInline let waitingPerKey: Int
    /// How many events of all keys wait before upstream is suspended.
    @usableFromInline let waiting: Int

    /// Sends them to ``RateLimitedStream/excess``.
    ///
    /// They count as dropped, with the reason `throttled`.
    public static let drop = KeyedRateMode(waitingPerKey: 0, waiting: 0)

    /// Delays them until their tokens are there.
    ///
    /// - Parameters:
    ///   - waitingPerKey: How many events of a key wait at most; further ones go to
    ///     ``RateLimitedStream/excess``. Default 1,000.
    ///   - waiting: How many events of all keys of an instance wait before it takes no more and
    ///     suspends upstream. Default 100,000.
    public static func delay(waitingPerKey: Int = 1_000, waiting: Int = 100_000) -> KeyedRateMode {
        KeyedRateMode(waitingPerKey: waitingPerKey, waiting: waiting)
    }

    @usableFromInline static func problem(
        _ mode: KeyedRateMode, _ events: Int, _ period: Duration, _ burst: Int
    ) -> String? {
        if !(1...1_000_000_000).contains(events) || !(1...1_000_000).contains(burst) {
            return "rateLimit needs 1 to 1000000000 events and a burst of 1 to 1000000"
        }
        if period <= .zero || period > .seconds(86_400) {
            return "rateLimit needs a period above zero and of at most 24 hours, not \(period)"
        }
        if mode != .drop, min(mode.waitingPerKey, mode.waiting) < 1 {
            return "rateLimit's delay needs room for at least 1 event that waits"
        }
        return nil
    }
}

/// A rate in whole numbers, so that nothing drifts: an event costs as much as the period has
/// nanoseconds, each of which brings as much as there are events in the period.
@usableFromInline
struct KeyedRate: Sendable {
    @usableFromInline let cost: Int64
    @usableFromInline let gain: Int64
    @usableFromInline let full: Int64

    @usableFromInline
    init(events: Int, per period: Duration, burst: Int) {
        gain = Int64(min(max(1, events), 1_000_000_000))
        cost = min(max(1, period.nanosecondsClamped), 86_400 * 1_000_000_000)
        let (product, overflow) = cost.multipliedReportingOverflow(by: Int64(max(1, burst)))
        full = overflow ? .max : product
    }

    /// How long it takes until a bucket has so much.
    @inlinable
    func time(from credit: Int64, to wanted: Int64) -> Int64 {
        let missing = wanted - credit
        return missing <= 0 ? 0 : missing / gain + (missing % gain == 0 ? 0 : 1)
    }
}

/// The tokens of a key, and its events that wait for some.
@usableFromInline
struct KeyedTokens<Element: Sendable>: Sendable {
    @usableFromInline
    struct Waiting: Sendable {
        @usableFromInline let event: Element
        @usableFromInline let time: Int64

        @inlinable
        init(event: Element, time: Int64) {
            self.event = event
            self.time = time
        }
    }

    @usableFromInline var credit: Int64
    @usableFromInline var last: Int64
    @usableFromInline var waiting: ContiguousArray<Waiting> = []
    /// When the key is looked at again.
    @usableFromInline var alarm: Int64?

    @inlinable
    init(_ rate: KeyedRate, at now: Int64) {
        credit = rate.full
        last = now
    }

    @inlinable
    mutating func refill(_ rate: KeyedRate, at now: Int64) {
        let (elapsed, tooLong) = now.subtractingReportingOverflow(last)
        if !tooLong, elapsed <= 0 { return }
        last = now
        let (brought, overflow) = elapsed.multipliedReportingOverflow(by: rate.gain)
        let (sum, sumOverflow) = credit.addingReportingOverflow(brought)
        credit = tooLong || overflow || sumOverflow ? rate.full : min(rate.full, max(0, sum))
    }

    @inlinable
    mutating func take(_ rate: KeyedRate) -> Bool {
        if credit < rate.cost { return false }
        credit -= rate.cost
        return true
    }

    /// When the next token is there for what waits, or the bucket is full and can be forgotten.
    @inlinable
    func nextLook(_ rate: KeyedRate) -> Int64 {
        let wanted = waiting.isEmpty ? rate.full : rate.cost
        return WindowArithmetic.add(last, max(1, rate.time(from: credit, to: wanted)))
    }
}

extension KeyedTokens.Waiting: Encodable where Element: Encodable {}
extension KeyedTokens.Waiting: Decodable where Element: Decodable {}
extension KeyedTokens: Encodable where Element: Encodable {}
extension KeyedTokens: Decodable where Element: Decodable {}

/// The times of events that wait, each as often as it occurs: event time must not pass them.
@usableFromInline
struct WaitingTimes {
    private var counts: [Int64: Int] = [:]
    private var order = BinaryHeap<Int64>()
    @usableFromInline private(set) var count = 0

    @usableFromInline
    init() {}

    @usableFromInline
    mutating func add(_ time: Int64) {
        count += 1
        counts[time, default: 0] += 1
        if counts[time] == 1 { order.insert(time) }
    }

    @usableFromInline
    mutating func remove(_ time: Int64) {
        count -= 1
        counts[time, default: 1] -= 1
        if counts[time] == 0 { counts[time] = nil }
    }

    /// The earliest one.
    @usableFromInline
    mutating func earliest() -> Int64? {
        while let first = order.min {
            if counts[first] != nil { return first }
            _ = order.popMin()
        }
        return nil
    }
}
