extension Inlet {
    /// Sends a signal in order with the events, for a source that knows its event time.
    package func send(_ signal: Signal) async throws {
        try await core.flush()
        try await core.mailbox.send(Delivery(channel: 0, item: .signal(signal)))
    }
}
