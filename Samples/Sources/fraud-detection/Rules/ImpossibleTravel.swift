import Weir

/// Travel: a card that pays in two countries faster than anybody can get from one to the other.
///
/// A payment that can't be the holder's doesn't move the card: the next one at home is no alert, and if it was the first
/// place that was wrong, time makes the new one possible.
struct ImpossibleTravel: KeyedHandler {
    /// The speed in km/h above which nobody travels, airports included.
    static let speedLimit = 1_000.0

    struct State: Codable, Sendable {
        var country: Country?
        var at = EventTime()
        var id: UInt64 = 0
    }

    func initialState(for card: String) -> State { State() }

    func on(_ payment: Payment, state: inout State, _ context: inout Context<String, Alert>) {
        // Of a country that isn't known nothing can be said.
        guard let here = Country.named[payment.country] else { return }
        if let last = state.country, last != here {
            let hours = abs(state.at.duration(to: payment.at) / .hours(1))
            let kilometers = last.distance(to: here)
            if kilometers > Self.speedLimit * hours {
                let speed = kilometers / max(hours, 1 / 3_600)
                context.emit(
                    Alert(
                        card: payment.card, rule: .travel,
                        score: Alert.rounded(score: speed / Self.speedLimit), at: payment.at,
                        payments: [state.id, payment.id]))
                return
            }
        }
        if payment.at >= state.at || state.country == nil {
            state = State(country: here, at: payment.at, id: payment.id)
        }
    }
}
