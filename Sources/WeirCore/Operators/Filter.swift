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
        mapBatches(
            "filter", isFallible: Failure.self != Never.self, at: SourceLocation(file, line)
        ) { (batch: consuming Batch<Element>) in
            var batch = batch
            if batch.elements.isUniquelyReferenced() {
                try batch.elements.keep(times: &batch.times, where: isIncluded)
                return batch
            }
            return try batch.filtered(isIncluded)
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
        if hasTimes { output.times.reserveCapacity(count) }
        for index in 0..<elements.count where try isIncluded(elements[index]) {
            output.elements.append(elements[index])
            if hasTimes { output.times.append(times[index]) }
        }
        return output
    }
}
