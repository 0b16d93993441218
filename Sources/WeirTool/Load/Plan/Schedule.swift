/// When the messages of a load are due, whatever becomes of them: an open loop.
///
/// At a steady rate message `i` is due `i / rate` after the start. On a ramp the rate changes
/// linearly, and message `i` is due when the area under it is `i`. Above 10,000 messages a second,
/// those of each 100 µs are due together, since a thread cannot be woken more often for a useful
/// price.
struct Schedule: Sendable {
    static let burstNanoseconds: UInt64 = 100_000

    let count: Int
    /// Messages a second at the start.
    let rate: Double
    /// By how much the rate grows, a second.
    private let growth: Double
    private let isInBursts: Bool

    init(rate: Double, count: Int) {
        self.init(rate: rate, growth: 0, fastest: rate, count: count)
    }

    /// A ramp of a length in seconds, cut off after so many messages.
    init(from first: Double, to last: Double, seconds: Double, messages: Int? = nil) {
        let whole = Int(max(1, ((first + last) / 2 * seconds).rounded()))
        self.init(
            rate: first, growth: (last - first) / seconds, fastest: max(first, last),
            count: min(whole, messages ?? whole))
    }

    private init(rate: Double, growth: Double, fastest: Double, count: Int) {
        self.rate = rate
        self.growth = growth
        self.count = count
        isInBursts = fastest > 1e9 / Double(Self.burstNanoseconds)
    }

    /// Nanoseconds from the start to when a message is due.
    func offset(of index: Int) -> UInt64 {
        let exact = UInt64(length(of: index))
        return isInBursts ? exact - exact % Self.burstNanoseconds : exact
    }

    /// Nanoseconds from the start to the end of so many messages' share of time.
    func length(of count: Int) -> Double {
        if growth == 0 { return Double(count) * (1e9 / rate) }
        // The last messages of a falling ramp may lie beyond its end by a rounding error.
        let root = max(0, rate * rate + 2 * growth * Double(count)).squareRoot()
        return (root - rate) / growth * 1e9
    }

    /// The rate that was asked for on average, up to a number of messages.
    func meanRate(of count: Int) -> Double {
        count == 0 || growth == 0 ? rate : Double(count) / length(of: count) * 1e9
    }
}
