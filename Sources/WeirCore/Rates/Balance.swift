extension EventStream {
    /// Spreads the batches of a stream over several copies of a part of the topology, each a stage of its
    /// own, and joins what they emit.
    ///
    /// Each batch goes to the copy whose mailbox has the fewest events, so that a slow copy gets less. The order of
    /// the events is lost. For stateless work that takes a core; for calls that wait use `mapAsync` with `ordered:
    /// false`, and for state per key `keyed(by:parallelism:)`.
    ///
    /// ```swift
    /// payments.balance(over: 4) { $0.map { $0.amount.squareRoot() } }.sink(.print)
    /// ```
    ///
    /// - Parameters:
    ///   - workers: How many copies, 2 to 128.
    ///   - name: The copies' stages are called `name-1`, `name-2` and so on; `balance` by default.
    ///   - work: What a copy does.
    ///
    /// **Emits when** a copy emits. **Suspends upstream when** the mailbox of the copy that has the fewest events is
    /// full.
    /// **Finishes when** the input has ended and all copies have finished. **Cancels when** nobody
    /// takes its events any more.
    public func balance<Output: Sendable>(
        over workers: Int, name: String = "balance", file: StaticString = #fileID,
        line: UInt = #line, _ work: (EventStream<Element>) -> EventStream<Output>
    ) -> EventStream<Output> {
        let isValid = (2...128).contains(workers)
        let count = isValid ? workers : 2
        let node = Node(
            kind: "balance", name: nil, inputs: [edge()], isBoundary: false,
            traits: NodeTraits(
                outputs: count,
                problem: isValid ? nil : "balance takes 2 to 128 workers, not \(workers)"),
            location: SourceLocation(file, line)
        ) { scope, outputs in
            let receivers = outputs.map { AnyReceiver.joined($0, as: Element.self) }
            // Each output has one consumer, a stage: so the newest ports are theirs, in order.
            let ports = Array(scope.ports.suffix(receivers.count))
            let next = TransactionalValue(0)
            scope.registerTransient(next)
            return [
                AnyReceiver(
                    Receiver<Element>(
                        batch: { batch in
                            let chosen = Self.leastLoaded(ports, from: next.value)
                            next.value = (chosen + 1) % receivers.count
                            try receivers[chosen].batch(batch)
                        },
                        signal: { signal in
                            for receiver in receivers { try receiver.signal(signal) }
                        }))
            ]
        }
        let copies = (0..<count).map { index in
            work(
                EventStream(node: node, output: index)
                    .stage("\(name)-\(index + 1)", file: file, line: line))
        }
        return EventStream<Output>.merge(copies, file: file, line: line)
    }

    /// The port whose stage has the least to do; of equal ones the first in turn.
    private static func leastLoaded(_ ports: [OutputPort], from start: Int) -> Int {
        var best = start
        var least = Int.max
        for offset in ports.indices {
            let index = (start + offset) % ports.count
            let load = ports[index].load
            if load < least { (best, least) = (index, load) }
        }
        return best
    }
}
