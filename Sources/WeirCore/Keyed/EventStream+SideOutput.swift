extension EventStream {
    /// The events that the handler above this stream emits to a side output.
    ///
    /// The handler is the nearest one that the events of this stream came through, so it may be
    /// asked for after further operators.
    ///
    /// **Emits when** the handler emits to it. **Suspends upstream when** the next stage is full.
    /// **Finishes when** the handler's input ends. **Cancels when** nobody takes its events any
    /// more.
    @inlinable
    public func sideOutput<Event: Sendable>(
        _ side: SideOutput<Event>, file: StaticString = #fileID, line: UInt = #line
    ) -> EventStream<Event> {
        let location = SourceLocation(file, line)
        guard let handler = nearestHandler else {
            return transform(
                "sideOutput",
                traits: NodeTraits(
                    problem: """
                        sideOutput(\(side.name)) finds no handler above it: call it on the stream \
                        that handle("…") { … } returns
                        """), at: location
            ) { _, downstream in Receiver(batch: { _ in }, signal: downstream.signal) }
        }
        return EventStream<SideEvent>(node: handler, output: 1).transform(
            "sideOutput", at: location
        ) { _, downstream in
            let identity = side.identity
            return Receiver(
                batch: { batch in
                    let output = BatchWriter<Event>.gather(expecting: batch.count) { output in
                        for index in batch.elements.indices {
                            guard batch.elements[index].output == identity,
                                let event = batch.elements[index].event as? Event
                            else { continue }
                            output.append(event, at: batch.time(at: index))
                        }
                    }
                    if !output.isEmpty { try downstream.batch(output) }
                }, signal: downstream.signal)
        }
    }

    @usableFromInline var nearestHandler: Node? {
        var node = node
        while node.kind != "handle" {
            guard node.inputs.count == 1 else { return nil }
            node = node.inputs[0].node
        }
        return node
    }
}
