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
            (batch: consuming Batch<Element>) in
            var batch = batch
            if Output.self == Element.self, batch.elements.isUniquelyReferenced() {
                try batch.elements.replaceEach(transform)
                // Safety: both names stand for one type.
                return unsafeBitCast(batch, to: Batch<Output>.self)
            }
            return Batch(unchecked: try batch.elements.mapped(transform), times: batch.times)
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
        ) { (batch: consuming Batch<Element>) in
            var batch = batch
            let elements = try batch.elements.compactMapped(times: &batch.times, transform)
            return Batch(unchecked: elements, times: batch.times)
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
        self.transform("flatMap", at: SourceLocation(file, line)) { scope, downstream in
            if Failure.self != Never.self { scope.markFallible() }
            let batchSize = scope.batchSize
            var estimate = OutputEstimate()
            return Receiver(
                batch: { batch in
                    var sent = 0
                    let output = try BatchWriter<Outputs.Element>.gather(
                        expecting: estimate.outputs(ofInputs: batch.count, atMost: batchSize)
                    ) { output in
                        for index in batch.elements.indices {
                            let time = batch.time(at: index)
                            try output.append(
                                all: transform(batch.elements[index]), at: time, upTo: batchSize
                            ) { full in
                                sent &+= full.count
                                try downstream.batch(full.take())
                            }
                        }
                    }
                    estimate.note(inputs: batch.count, outputs: sent &+ output.count)
                    if !output.isEmpty { try downstream.batch(output) }
                }, signal: downstream.signal)
        }
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
