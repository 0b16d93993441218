extension EventStream {
    /// Sends each event to one of several streams.
    ///
    /// - Parameters:
    ///   - count: How many streams, 1 to 1,024.
    ///   - index: The position of an event's stream; an event with another one goes to the dead letters.
    ///
    /// **Emits when** an event arrives, on one of the streams. **Suspends upstream when** the next stage of any is full.
    /// **Finishes when** the input ends. **Cancels when** nobody takes the events of any of them any more.
    @inlinable
    public func branch<Failure: Error>(
        _ count: Int, by index: @escaping @Sendable (Element) throws(Failure) -> Int,
        file: StaticString = #fileID, line: UInt = #line
    ) -> [EventStream<Element>] {
        let isValid = (1...1_024).contains(count)
        let outputCount = isValid ? count : 1
        let node = Node(
            kind: "branch", inputs: [edge()], isBoundary: false,
            traits: NodeTraits(
                outputs: outputCount,
                problem: isValid ? nil : "branch takes 1 to 1024 streams, not \(count)"),
            location: SourceLocation(file, line)
        ) { scope, outputs in
            if Failure.self != Never.self { scope.markFallible() }
            var receivers: [Receiver<Element>] = []
            for output in outputs {
                receivers.append(AnyReceiver.joined(output, as: Element.self))
            }
            let branches = receivers
            let tally = BatchTally(scope, .skipped)
            return [
                AnyReceiver(
                    Receiver<Element>(
                        batch: { batch in
                            var parts = [Batch<Element>](repeating: Batch(), count: outputCount)
                            for position in batch.elements.indices {
                                let element = batch.elements[position]
                                let part = try index(element)
                                guard parts.indices.contains(part) else {
                                    tally.giveUp(
                                        element,
                                        "there are \(outputCount) branches, none has the index \(part)"
                                    )
                                    continue
                                }
                                parts[part].elements.append(element)
                                if batch.hasTimes {
                                    parts[part].times.append(batch.times[position])
                                }
                            }
                            for part in parts.indices where !parts[part].isEmpty {
                                try branches[part].batch(parts[part])
                            }
                        },
                        signal: { signal in
                            for branch in branches { try branch.signal(signal) }
                        }))
            ]
        }
        var streams: [EventStream<Element>] = []
        // As many as asked for, so that code which takes one by position reaches the report of the problem.
        for output in 0..<max(1, min(count, 1_024)) {
            streams.append(EventStream(node: node, output: min(output, outputCount - 1)))
        }
        return streams
    }

    /// Sends each event to the stream of a case.
    ///
    /// - Parameter choose: The case whose stream an event goes to.
    ///
    /// **Emits when** an event arrives, on one of the streams. **Suspends upstream when** the next stage of any is full.
    /// **Finishes when** the input ends. **Cancels when** nobody takes the events of any of them any more.
    @inlinable
    public func branch<Case: CaseIterable & Hashable & Sendable, Failure: Error>(
        by choose: @escaping @Sendable (Element) throws(Failure) -> Case,
        file: StaticString = #fileID, line: UInt = #line
    ) -> Branches<Case, Element> where Case.AllCases: Sendable {
        let cases = Array(Case.allCases)
        var positions: [Case: Int] = [:]
        for (position, value) in cases.enumerated() { positions[value] = position }
        let index = positions
        let streams = branch(
            cases.count,
            by: { (element) throws(Failure) in index[try choose(element)] ?? -1 },
            file: file, line: line)
        return Branches(positions: index, streams: streams)
    }
}

/// One stream for each case of an enumeration.
public struct Branches<Case: Hashable & Sendable, Element: Sendable>: Sendable {
    private let positions: [Case: Int]
    private let streams: [EventStream<Element>]

    @usableFromInline
    init(positions: [Case: Int], streams: [EventStream<Element>]) {
        self.positions = positions
        self.streams = streams
    }

    /// The stream of a case.
    public subscript(_ value: Case) -> EventStream<Element> {
        streams[positions[value] ?? 0]
    }
}
