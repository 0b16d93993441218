extension EventStream where Element: Equatable {
    /// Leaves out each event that equals the one before it.
    ///
    /// What is left out counts as dropped with the reason `duplicate`.
    ///
    /// **Emits when** an event differs from the one before. **Suspends upstream when** the next stage is full.
    /// **Finishes when** the input ends. **Cancels when** nobody takes its events any more.
    /// **On restart** the last event is that of the last completed batch.
    @inlinable
    public func removeDuplicates(
        file: StaticString = #fileID, line: UInt = #line
    ) -> EventStream<Element> {
        changes(of: { $0 }, file: file, line: line)
    }
}

extension EventStream {
    /// Lets an event through when a property of it differs from that of the event before it: change detection.
    ///
    /// The first event passes. What is left out counts as dropped with the reason `duplicate`.
    ///
    /// - Parameter property: What to compare; a key path such as `\.status` or a closure.
    ///
    /// **Emits when** the property differs from that of the event before. **Suspends upstream when** the next stage is
    /// full. **Finishes when** the input ends. **Cancels when** nobody takes its events any more.
    /// **On restart** the last property is that of the last completed batch.
    @inlinable
    public func changes<Property: Equatable & Sendable>(
        of property: @escaping @Sendable (Element) -> Property,
        file: StaticString = #fileID, line: UInt = #line
    ) -> EventStream<Element> {
        transform("changes", at: SourceLocation(file, line)) { scope, downstream in
            let last = TransactionalValue(LastValue<Property>())
            scope.register(last, holding: Property.self) {}
            let tally = BatchTally(scope, .duplicate)
            return Receiver(
                batch: { batch in
                    var previous = last.value.value
                    let output = BatchWriter<Element>.gather(expecting: batch.count) { output in
                        for index in batch.elements.indices {
                            let current = property(batch.elements[index])
                            if let previous, previous == current { continue }
                            previous = current
                            output.append(batch.elements[index], at: batch.time(at: index))
                        }
                    }
                    last.value.value = previous
                    tally.drop(batch.count - output.count)
                    if !output.isEmpty { try downstream.batch(output) }
                }, signal: downstream.signal)
        }
    }
}
