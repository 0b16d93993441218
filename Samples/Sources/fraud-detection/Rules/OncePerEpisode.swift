import Weir

/// Lets the first alert of an episode through; an episode ends when there has been none for a while.
struct OncePerEpisode: KeyedHandler {
    /// The time without an alert, in event time, after which the next one is a new episode.
    static let quiet = Duration.minutes(30)

    struct State: Codable, Sendable { var last: EventTime? }

    func initialState(for episode: String) -> State { State() }

    func on(_ alert: Alert, state: inout State, _ context: inout Context<String, Alert>) {
        let isNew = state.last.map { $0.advanced(by: Self.quiet) < alert.at } ?? true
        state.last = max(state.last ?? .min, alert.at)
        if isNew { context.emit(alert) }
    }
}
