extension EventStream {
    /// Sends each event one of two ways.
    ///
    /// Both ways run in this stream's stage until the next boundary. An unused way is simply not connected.
    ///
    /// - Parameter condition: Whether an event goes to `matching`.
    ///
    /// **Emits when** an event arrives, on one of the two. **Suspends upstream when** the next stage of either is full.
    /// **Finishes when** the input ends. **Cancels when** nobody takes the events of either any more.
    @inlinable
    public func split<Failure: Error>(
        _ condition: @escaping @Sendable (Element) throws(Failure) -> Bool,
        file: StaticString = #fileID, line: UInt = #line
    ) -> (matching: EventStream<Element>, rest: EventStream<Element>) {
        let node = Node(
            kind: "split", inputs: [edge()], isBoundary: false, traits: NodeTraits(outputs: 2),
            location: SourceLocation(file, line)
        ) { scope, outputs in
            if Failure.self != Never.self { scope.markFallible() }
            let matching = AnyReceiver.joined(outputs[0], as: Element.self)
            let rest = AnyReceiver.joined(outputs[1], as: Element.self)
            return [
                AnyReceiver(
                    Receiver<Element>(
                        batch: { batch in
                            var parts = (Batch<Element>(), Batch<Element>())
                            for index in batch.elements.indices {
                                let element = batch.elements[index]
                                if try condition(element) {
                                    parts.0.elements.append(element)
                                    if batch.hasTimes { parts.0.times.append(batch.times[index]) }
                                } else {
                                    parts.1.elements.append(element)
                                    if batch.hasTimes { parts.1.times.append(batch.times[index]) }
                                }
                            }
                            if !parts.0.isEmpty { try matching.batch(parts.0) }
                            if !parts.1.isEmpty { try rest.batch(parts.1) }
                        },
                        signal: { signal in
                            try matching.signal(signal)
                            try rest.signal(signal)
                        }))
            ]
        }
        return (EventStream(node: node), EventStream(node: node, output: 1))
    }
}
