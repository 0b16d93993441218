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

    /// Joins all streams of an array into one; see ``merge(_:file:line:)-method``.
    public static func merge(
        _ streams: [EventStream<Element>], file: StaticString = #fileID, line: UInt = #line
    ) -> EventStream<Element> {
        merged(streams, at: SourceLocation(file, line))
    }

    /// Joins this stream with less urgent ones: what waits of this one is taken first.
    ///
    /// Each input has a mailbox of its own, as large as ``mailbox(_:file:line:)`` behind it says, so a less urgent
    /// one that waits holds up its own upstream only. A lower input gets its turn after `maximumRun` events that
    /// passed it: one batch, before the higher ones go on. Events of one input keep their order. What is urgent
    /// waits for at most 1,024 events that are being handled, and for what waits in the stages behind.
    ///
    /// Event time is that of the slowest input that is not idle, as with ``merge(_:file:line:)-method``: with a bound of 0 an
    /// input that never gets its turn holds it back. A checkpoint waits for all inputs; one whose barrier has come
    /// gives way until the others have theirs, so urgency does not hold it up.
    ///
    /// ```swift
    /// alarms.merge(prioritisedOver: readings, logs, maximumRun: 1_000)
    /// ```
    ///
    /// - Parameters:
    ///   - others: The less urgent streams, the most urgent of them first.
    ///   - maximumRun: How many events may pass an input that waits; 0 for any number. Default 8,192.
    /// - Complexity: O(inputs) per portion of up to 1,024 events.
    ///
    /// **Emits when** any input has an event. **Suspends upstream when** the mailbox of that input is full.
    /// **Finishes when** all inputs have ended. **Cancels when** nobody takes its events any more.
    public func merge(
        prioritisedOver others: EventStream<Element>..., maximumRun: Int = 8_192,
        file: StaticString = #fileID, line: UInt = #line
    ) -> EventStream<Element> {
        Self.merged([self] + others, maximumRun: maximumRun, at: SourceLocation(file, line))
    }

    /// Joins all streams of an array, the most urgent first; see ``merge(prioritisedOver:maximumRun:file:line:)``.
    public static func merge(
        prioritised streams: [EventStream<Element>], maximumRun: Int = 8_192,
        file: StaticString = #fileID, line: UInt = #line
    ) -> EventStream<Element> {
        merged(streams, maximumRun: maximumRun, at: SourceLocation(file, line))
    }

    private static func merged(
        _ streams: [EventStream<Element>], maximumRun: Int? = nil, at location: SourceLocation
    ) -> EventStream<Element> {
        let count = streams.count
        var problem = count == 0 ? "merge needs at least one stream" : nil
        if let maximumRun, maximumRun < 0 {
            problem = "merge takes a maximumRun of at least 0, not \(maximumRun)"
        }
        return EventStream(
            node: Node(
                kind: "merge", inputs: streams.map { $0.edge() }, isBoundary: true,
                traits: NodeTraits(maximumRun: maximumRun.map { max(0, $0) }, problem: problem),
                location: location
            ) { _, outputs in
                let downstream = AnyReceiver.joined(outputs[0], as: Element.self)
                return Array(repeating: AnyReceiver(downstream), count: max(1, count))
            })
    }
}
