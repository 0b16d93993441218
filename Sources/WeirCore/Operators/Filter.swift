extension EventStream {
    /// Lets the events through that satisfy a condition.
    ///
    /// **Emits when** the condition holds. **Suspends upstream when** the next stage is full.
    /// **Finishes when** the input ends. **Cancels when** nobody takes its events any more.
    @inlinable
    public func filter<Failure: Error>(
        _ isIncluded: @escaping @Sendable (Element) throws(Failure) -> Bool,
        file: StaticString = #fileID, line: UInt = #line
    ) -> EventStream<Element> {
        transform("filter", at: SourceLocation(file, line)) { scope, downstream in
            if Failure.self != Never.self { scope.markFallible() }
            return Receiver(
                batch: { batch in
                    let output = try batch.filtered(isIncluded)
                    if !output.isEmpty { try downstream.batch(output) }
                }, signal: downstream.signal)
        }
    }
}

extension Batch {
    /// The events that satisfy a condition, with their times.
    @inlinable
    func filtered<Failure: Error>(
        _ isIncluded: (Element) throws(Failure) -> Bool
    ) throws(Failure) -> Batch {
        var output = Batch()
        output.elements.reserveCapacity(count)
        if hasTimes {
            output.times.reserveCapacity(count)
            for index in elements.indices where try isIncluded(elements[index]) {
                output.elements.append(elements[index])
                output.times.append(times[index])
            }
        } else {
            for index in elements.indices where try isIncluded(elements[index]) {
                output.elements.append(elements[index])
            }
        }
        return output
    }
}
