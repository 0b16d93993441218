extension EventStream {
    /// Turns each event into another one.
    ///
    /// A throwing `transform` makes the stage restart and try the event again; see ``recover(from:file:line:_:)``.
    ///
    /// - Complexity: One call per event, inlined into a loop over the batch.
    ///
    /// **Emits when** an event arrives. **Suspends upstream when** the next stage is full.
    /// **Finishes when** the input ends. **Cancels when** nobody takes its events any more.
    @inlinable
    public func map<Output: Sendable, Failure: Error>(
        _ transform: @escaping @Sendable (Element) throws(Failure) -> Output,
        file: StaticString = #fileID, line: UInt = #line
    ) -> EventStream<Output> {
        mapBatches("map", isFallible: Failure.self != Never.self, at: SourceLocation(file, line)) {
            batch in
            let elements = batch.elements
            var failure: Failure?
            let output = ContiguousArray<Output>(unsafeUninitializedCapacity: elements.count) {
                buffer, initialized in
                guard let start = buffer.baseAddress else { return }
                for index in 0..<elements.count {
                    do throws(Failure) {
                        // Safety: `index` is below the capacity asked for, and each slot is written once.
                        (start + index).initialize(to: try transform(elements[index]))
                        initialized = index + 1
                    } catch {
                        failure = error
                        return
                    }
                }
            }
            if let failure { throw failure }
            return Batch(unchecked: output, times: batch.times)
        }
    }

    /// Turns each event into another one, or leaves it out.
    ///
    /// **Emits when** `transform` returns a value. **Suspends upstream when** the next stage is full.
    /// **Finishes when** the input ends. **Cancels when** nobody takes its events any more.
    @inlinable
    public func compactMap<Output: Sendable, Failure: Error>(
        _ transform: @escaping @Sendable (Element) throws(Failure) -> Output?,
        file: StaticString = #fileID, line: UInt = #line
    ) -> EventStream<Output> {
        mapBatches(
            "compactMap", isFallible: Failure.self != Never.self, at: SourceLocation(file, line)
        ) { batch in
            var output = Batch<Output>()
            output.elements.reserveCapacity(batch.count)
            for index in 0..<batch.elements.count {
                guard let value = try transform(batch.elements[index]) else { continue }
                output.elements.append(value)
                if batch.hasTimes { output.times.append(batch.times[index]) }
            }
            return output
        }
    }

    /// Turns each event into any number of others, which keep its event time.
    ///
    /// **Emits when** `transform` returns events. **Suspends upstream when** the next stage is full.
    /// **Finishes when** the input ends. **Cancels when** nobody takes its events any more.
    @inlinable
    public func flatMap<Outputs: Sequence & SendableMetatype, Failure: Error>(
        _ transform: @escaping @Sendable (Element) throws(Failure) -> Outputs,
        file: StaticString = #fileID, line: UInt = #line
    ) -> EventStream<Outputs.Element> where Outputs.Element: Sendable {
        mapBatches(
            "flatMap", isFallible: Failure.self != Never.self, at: SourceLocation(file, line)
        ) { batch in
            var output = Batch<Outputs.Element>()
            for index in 0..<batch.elements.count {
                output.elements.append(contentsOf: try transform(batch.elements[index]))
                if batch.hasTimes {
                    let missing = output.elements.count - output.times.count
                    output.times.append(
                        contentsOf: repeatElement(batch.times[index], count: missing))
                }
            }
            return output
        }
    }
}

extension ContiguousArray {
    /// `map` that writes straight into the new array's storage.
    @inlinable
    func mapped<Output, Failure: Error>(
        _ transform: (Element) throws(Failure) -> Output
    ) throws(Failure) -> ContiguousArray<Output> {
        var failure: Failure?
        let result = ContiguousArray<Output>(unsafeUninitializedCapacity: count) {
            buffer, initialized in
            for element in self {
                do throws(Failure) {
                    // Safety: at most `count` elements are written, each slot once; `initialized` follows each write.
                    (buffer.baseAddress.unsafelyUnwrapped + initialized).initialize(
                        to: try transform(element))
                    initialized += 1
                } catch {
                    failure = error
                    return
                }
            }
        }
        if let failure { throw failure }
        return result
    }
}

extension Batch {
    /// A batch whose columns are known to fit each other.
    @inlinable
    init(unchecked elements: ContiguousArray<Element>, times: ContiguousArray<EventTime>) {
        self.elements = elements
        self.times = times
    }
}
