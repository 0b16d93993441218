extension EventStream {
    /// Passes the first events on and then ends, also what is upstream of it.
    ///
    /// It is a stage of its own, so that other uses of the stream go on. A source that nobody else listens to stops
    /// when it sends its next event.
    ///
    /// - Parameter count: How many events, at least 0.
    ///
    /// **Emits when** an event arrives, up to `count` times. **Suspends upstream when** its mailbox is full.
    /// **Finishes when** `count` events have passed or the input ends. **Cancels when** nobody takes its events any
    /// more; it closes its mailbox when it finishes. **On restart** the count is as of the last completed batch.
    public func prefix(
        _ count: Int, name: String? = nil, file: StaticString = #fileID, line: UInt = #line
    ) -> EventStream<Element> {
        let problem = count < 0 ? "prefix takes a count of at least 0, not \(count)" : nil
        return transform(
            "prefix", name: name, boundary: true, traits: NodeTraits(problem: problem),
            at: SourceLocation(file, line)
        ) { scope, downstream in
            let remaining = TransactionalValue(count)
            scope.register(remaining) { [unowned scope] in
                if remaining.value <= 0 { scope.finishEarly() }
            }
            if count <= 0 { scope.finishEarly() }
            return Receiver(
                batch: { [unowned scope] batch in
                    let taken = min(remaining.value, batch.count)
                    if taken > 0 { try downstream.batch(batch.slice(0..<taken)) }
                    remaining.value -= taken
                    if remaining.value <= 0 { scope.finishEarly() }
                }, signal: downstream.signal)
        }
    }

    /// Leaves the first events out.
    ///
    /// - Parameter count: How many events, at least 0.
    ///
    /// **Emits when** an event arrives after the first `count`. **Suspends upstream when** the next stage is full.
    /// **Finishes when** the input ends. **Cancels when** nobody takes its events any more.
    /// **On restart** the count is as of the last completed batch.
    public func dropFirst(
        _ count: Int = 1, file: StaticString = #fileID, line: UInt = #line
    ) -> EventStream<Element> {
        let problem = count < 0 ? "dropFirst takes a count of at least 0, not \(count)" : nil
        return transform(
            "dropFirst", traits: NodeTraits(problem: problem), at: SourceLocation(file, line)
        ) { scope, downstream in
            let remaining = TransactionalValue(count)
            scope.register(remaining)
            return Receiver(
                batch: { batch in
                    if remaining.value <= 0 { return try downstream.batch(batch) }
                    let left = min(remaining.value, batch.count)
                    remaining.value -= left
                    if left < batch.count {
                        try downstream.batch(batch.slice(left..<batch.count))
                    }
                }, signal: downstream.signal)
        }
    }

    /// Numbers the events from 0, in the order in which they pass.
    ///
    /// **Emits when** an event arrives. **Suspends upstream when** the next stage is full.
    /// **Finishes when** the input ends. **Cancels when** nobody takes its events any more.
    /// **On restart** the count is as of the last completed batch.
    @inlinable
    public func enumerated(
        file: StaticString = #fileID, line: UInt = #line
    ) -> EventStream<(offset: Int, element: Element)> {
        scan(
            into: 0,
            { offset, element in
                offset += 1
                return (offset: offset - 1, element: element)
            }, file: file, line: line)
    }

    /// Pairs each event with its event time; nil where none has been assigned.
    ///
    /// **Emits when** an event arrives. **Suspends upstream when** the next stage is full.
    /// **Finishes when** the input ends. **Cancels when** nobody takes its events any more.
    @inlinable
    public func withEventTime(
        file: StaticString = #fileID, line: UInt = #line
    ) -> EventStream<(element: Element, time: EventTime?)> {
        transform("withEventTime", at: SourceLocation(file, line)) { scope, downstream in
            Receiver(
                batch: { batch in
                    var output = Batch<(element: Element, time: EventTime?)>()
                    output.elements.reserveCapacity(batch.count)
                    for index in batch.elements.indices {
                        let time = batch.time(at: index)
                        output.elements.append(
                            (element: batch.elements[index], time: time == .min ? nil : time))
                    }
                    output.times = batch.times
                    try downstream.batch(output)
                }, signal: downstream.signal)
        }
    }
}
