import Glibc
import Weir

/// Amount: a payment far above what the card's own history lets expect.
///
/// What people spend is about log-normal, so mean and deviation are those of the logarithms, kept by Welford's method
/// ("Note on a method for calculating corrected sums of squares and products", 1962).
struct UnusualAmount: KeyedHandler {
    /// How many deviations above the mean are suspicious.
    static let limit = 6.0
    /// How many payments make a history.
    static let historyMinimum = 20
    /// The deviation that even the most regular card is granted.
    static let deviationMinimum = 0.25

    struct State: Codable, Sendable {
        var count = 0
        var mean = 0.0
        var sumOfSquares = 0.0

        var deviation: Double {
            max((sumOfSquares / Double(max(count - 1, 1))).squareRoot(), deviationMinimum)
        }

        mutating func add(_ value: Double) {
            count += 1
            let delta = value - mean
            mean += delta / Double(count)
            sumOfSquares += delta * (value - mean)
        }
    }

    func initialState(for card: String) -> State { State() }

    func on(_ payment: Payment, state: inout State, _ context: inout Context<String, Alert>) {
        let value = log(payment.amount)
        guard state.count >= Self.historyMinimum else {
            state.add(value)
            return
        }
        let reach = 3 * state.deviation
        let distance = (value - state.mean) / state.deviation
        if distance > Self.limit {
            context.emit(
                Alert(
                    card: payment.card, rule: .amount,
                    score: Alert.rounded(score: distance / Self.limit), at: payment.at,
                    payments: [payment.id]))
        }
        // A thief's payment changes the habit little, a new habit of the holder's in time.
        state.add(min(max(value, state.mean - reach), state.mean + reach))
    }
}
