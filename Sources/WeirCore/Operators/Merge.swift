extension EventStream {
    /// Joins any number of streams into one, in the order of arrival, fair between them.
    ///
    /// Event time is that of the slowest input that is not idle.
    ///
    /// **Emits when** any input has an event. **Suspends upstream when** its mailbox is full.
    /// **Finishes when** all inputs have ended. **Cancels when** nobody takes its events any more.
    public func merge(
        _ others: EventStream<Element>..., file: StaticString = #fileID, line: UInt = #line
    ) -> EventStream<Element> {
        Self.merged([self] + others, at: SourceLocation(file, line))
    }

    /// Joins all streams of an array into one; see ``merge(_:file:line:)``.
    public static func merge(
        _ streams: [EventStream<Element>], file: StaticString = #fileID, line: UInt = #line
    ) -> EventStream<Element> {
        merged(streams, at: SourceLocation(file, line))
    }

    private static func merged(
        _ streams: [EventStream<Element>], at location: SourceLocation
    ) -> EventStream<Element> {
        let count = streams.count
        let problem = count == 0 ? "merge needs at least one stream" : nil
        return EventStream(
            node: Node(
                kind: "merge", inputs: streams.map { $0.edge() }, isBoundary: true,
                traits: NodeTraits(problem: problem), location: location
            ) { _, outputs in
                let downstream = AnyReceiver.joined(outputs[0], as: Element.self)
                return Array(repeating: AnyReceiver(downstream), count: max(1, count))
            })
    }
}
