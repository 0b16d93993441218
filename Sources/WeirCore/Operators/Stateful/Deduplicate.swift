extension EventStream where Element: Hashable {
    /// Lets each event through once; see ``distinct(by:memory:within:file:line:)``.
    ///
    /// **Emits when** an event is new. **Suspends upstream when** the next stage is full.
    /// **Finishes when** the input ends. **Cancels when** nobody takes its events any more.
    /// **On restart** the memory is as of the last completed batch.
    @inlinable
    public func distinct(
        memory: Int = 100_000, within duration: Duration? = nil, file: StaticString = #fileID,
        line: UInt = #line
    ) -> EventStream<Element> {
        distinct(by: { $0 }, memory: memory, within: duration, file: file, line: line)
    }
}

extension EventStream {
    /// Lets the first event of each key through and leaves out those that repeat it.
    ///
    /// It is exact as long as a repetition comes before `memory` other keys: then the oldest key is forgotten. What is
    /// left out counts as dropped with the reason `duplicate`; `weir_state_keys` shows how many keys are remembered.
    ///
    /// - Parameters:
    ///   - key: What makes events the same; a key path such as `\.id` or a closure.
    ///   - memory: How many keys are remembered, at least 1. Default 100,000.
    ///   - duration: How long a key counts as a repetition of an earlier one, in event time where the events have it,
    ///     else in processing time; nil, the default, for as long as it is remembered.
    /// - Complexity: O(1) per event, amortised.
    ///
    /// **Emits when** an event's key is new. **Suspends upstream when** the next stage is full.
    /// **Finishes when** the input ends. **Cancels when** nobody takes its events any more.
    /// **On restart** the memory is as of the last completed batch.
    @inlinable
    public func distinct<Key: Hashable & Sendable>(
        by key: @escaping @Sendable (Element) -> Key, memory: Int = 100_000,
        within duration: Duration? = nil, file: StaticString = #fileID, line: UInt = #line
    ) -> EventStream<Element> {
        var problem: String?
        if memory < 1 { problem = "distinct needs a memory of at least 1 key, not \(memory)" }
        if let duration, duration <= .zero {
            problem = "distinct(within:) needs a duration above zero, not \(duration)"
        }
        return transform(
            "distinct", traits: NodeTraits(problem: problem), at: SourceLocation(file, line)
        ) { scope, downstream in
            let known = TransactionalMemory<Key>(
                BoundedMemory(limit: memory, lifetime: duration))
            known.register(in: scope)
            let tally = BatchTally(scope, .duplicate)
            scope.onPublish { (keys: known.memory.count, timers: 0) }
            return Receiver(
                batch: { [unowned scope] batch in
                    let now = scope.now
                    let output = BatchWriter<Element>.gather(expecting: batch.count) { output in
                        for index in batch.elements.indices {
                            let element = batch.elements[index]
                            let time = batch.hasTimes ? batch.times[index] : now
                            guard known.memory.insert(key(element), at: time) else { continue }
                            output.append(element, at: batch.time(at: index))
                        }
                    }
                    tally.drop(batch.count - output.count)
                    if !output.isEmpty { try downstream.batch(output) }
                }, signal: downstream.signal)
        }
    }
}
