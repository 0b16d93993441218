/// Tokens that refill with time, exactly: `events` per `period`, at most `burst` at once.
package struct TokenBucket: Sendable, Codable {
    /// What one event costs, and how much a nanosecond brings: integers, so that nothing drifts.
    private var cost: Int64
    private var gain: Int64
    private var full: Int64
    private var credit: Int64
    private var last: EventTime?

    /// A full bucket.
    ///
    /// - Parameters:
    ///   - events: Tokens per period, 1 to 1,000,000,000.
    ///   - period: At most 24 hours.
    ///   - burst: The most tokens it holds, 1 to 1,000,000.
    package init(events: Int, per period: Duration, burst: Int) {
        gain = Int64(min(max(1, events), 1_000_000_000))
        cost = min(max(1, period.nanosecondsClamped), 86_400 * 1_000_000_000)
        let (product, overflow) = cost.multipliedReportingOverflow(by: Int64(max(1, burst)))
        full = overflow ? .max : product
        credit = full
    }

    /// Takes as many tokens as there are, at most `wanted`.
    package mutating func take(_ wanted: Int, at now: EventTime) -> Int {
        refill(at: now)
        let taken = min(wanted, Int(credit / cost))
        credit -= Int64(taken) * cost
        return taken
    }

    /// When the next token is there; `now` if one is.
    package mutating func nextToken(after now: EventTime) -> EventTime {
        refill(at: now)
        let missing = cost - credit
        if missing <= 0 { return now }
        return now.advanced(by: .nanoseconds((missing + gain - 1) / gain))
    }

    /// Keeps what share of the tokens it has and gets the rate of another bucket.
    package mutating func takeLimits(of other: TokenBucket) {
        if cost != other.cost {
            let share = Double(credit) / Double(cost) * Double(other.cost)
            credit = share < Double(other.full) ? Int64(share) : other.full
        }
        (cost, gain, full) = (other.cost, other.gain, other.full)
        credit = min(max(0, credit), full)
    }

    private mutating func refill(at now: EventTime) {
        let elapsed = last.map { max(0, $0.duration(to: now).nanosecondsClamped) } ?? 0
        if last.map({ now > $0 }) ?? true { last = now }
        let (brought, overflow) = elapsed.multipliedReportingOverflow(by: gain)
        let (sum, sumOverflow) = credit.addingReportingOverflow(brought)
        credit = overflow || sumOverflow ? full : min(full, sum)
    }
}
