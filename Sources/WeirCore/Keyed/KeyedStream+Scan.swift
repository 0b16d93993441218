extension KeyedStream {
    /// A stage with a value per key and no timers; `body` appends to the output what an event gives
    /// rise to.
    @inlinable
    @inline(__always)
    func withState<State: Sendable, Output: Sendable>(
        _ kind: String, name: String?, ttl: StateTTL?, isFallible: Bool, initial: State,
        problem: String? = nil, at location: SourceLocation,
        _ body:
            @escaping @Sendable (Key, Element, EventTime, inout State, inout BatchWriter<Output>)
            throws -> Void
    ) -> EventStream<Output> {
        let keys = self.keys
        let node = stage(
            kind, name: name, traits: NodeTraits(problem: problem ?? ttl?.problem), at: location
        ) { scope, outputs in
            if isFallible { scope.markFallible() }
            return KeyedUpdates<Key, State, Output>(scope, ttl: ttl, State.self, outputs[0])
                .receiver(keys: keys, initial: initial) { key, event, time, state, output in
                    try body(key, event, time, &state, &output)
                    return true
                }
        }
        return EventStream<Output>(node: node)
    }

    /// Turns each event into another one with the help of a value that is kept per key.
    ///
    /// - Parameters:
    ///   - initial: The value of a key before its first event.
    ///   - name: The stage's name, unique in its topology.
    ///   - ttl: How long a key's value outlives its last use; see ``handle(_:ttl:file:line:_:)``.
    ///   - body: Changes the value in place and returns what is emitted.
    ///
    /// **Emits when** an event arrives. **Suspends upstream when** its mailbox is full.
    /// **Finishes when** the input ends. **Cancels when** nobody takes its events any more.
    /// **On restart** the values are as before the event that failed.
    @inlinable
    public func scan<State: Codable & Sendable, Output: Sendable, Failure: Error>(
        into initial: State, name: String? = nil, ttl: StateTTL? = nil,
        file: StaticString = #fileID, line: UInt = #line,
        _ body: @escaping @Sendable (inout State, Element) throws(Failure) -> Output
    ) -> EventStream<Output> {
        withState(
            "scan", name: name, ttl: ttl, isFallible: Failure.self != Never.self,
            initial: initial, at: SourceLocation(file, line)
        ) { _, event, time, state, output in
            output.append(try body(&state, event), at: time)
        }
    }

    /// Combines the events of each key into one value and emits that value, with its key, after
    /// every event.
    ///
    /// - Parameters: As for ``scan(into:name:ttl:file:line:_:)``.
    ///
    /// **Emits when** an event arrives. **Suspends upstream when** its mailbox is full.
    /// **Finishes when** the input ends. **Cancels when** nobody takes its events any more.
    /// **On restart** the values are as before the event that failed.
    @inlinable
    public func reduce<Value: Codable & Sendable, Failure: Error>(
        into initial: Value, name: String? = nil, ttl: StateTTL? = nil,
        file: StaticString = #fileID, line: UInt = #line,
        _ body: @escaping @Sendable (inout Value, Element) throws(Failure) -> Void
    ) -> EventStream<Keyed<Key, Value>> {
        withState(
            "reduce", name: name, ttl: ttl, isFallible: Failure.self != Never.self,
            initial: initial, at: SourceLocation(file, line)
        ) { key, event, time, value, output in
            try body(&value, event)
            output.append(Keyed(key: key, value: value), at: time)
        }
    }

    /// Lets the first event of each key through, and the next one only after the key has been
    /// forgotten.
    ///
    /// - Parameters:
    ///   - ttl: How long a key is remembered after the last event that was let through; nil for
    ///     ever, which takes memory for every key there ever was.
    ///   - name: The stage's name, unique in its topology.
    ///
    /// **Emits when** an event has a new key. **Suspends upstream when** its mailbox is full.
    /// **Finishes when** the input ends. **Cancels when** nobody takes its events any more.
    /// **On restart** the known keys are as before the batch.
    @inlinable
    public func distinct(
        ttl: StateTTL? = nil, name: String? = nil, file: StaticString = #fileID,
        line: UInt = #line
    ) -> EventStream<Element> {
        let keys = self.keys
        let node = stage(
            "distinct", name: name, traits: NodeTraits(problem: ttl?.problem),
            at: SourceLocation(file, line)
        ) { scope, outputs in
            let downstream = AnyReceiver.joined(outputs[0], as: Element.self)
            let table = scope.makeTable(Key.self, Bool.self, timeToLive: scope.lifetime(ttl))
            let life = StateLife(scope)
            scope.onPublish { (keys: table.count, timers: 0) }
            return Receiver(
                batch: { batch in
                    let batchKeys = keys(batch)
                    let hashes = table.hashesAhead(of: batchKeys)
                    let hasTimes = life.startBatch(hasTimes: batch.hasTimes)
                    let clock = life.processingTime
                    let output = try BatchWriter<Element>.gather(expecting: batch.count) { output in
                        for index in batch.elements.indices {
                            let key = batchKeys[index]
                            let hash = table.hash(of: key, at: index, in: hashes)
                            let time = hasTimes ? batch.times[index] : .min
                            let now = hasTimes ? time : clock
                            if table.value(for: key, hash: hash, now: now) != nil { continue }
                            try table.update(key, hash: hash, now: now, default: true) { _ in }
                            output.append(batch.elements[index], at: time)
                        }
                    }
                    life.countDuplicates(batch.count - output.count)
                    table.sweep(now: life.sweepTime)
                    if !output.isEmpty { try downstream.batch(output) }
                }, signal: downstream.signal)
        }
        return EventStream(node: node)
    }

    /// Lets an event through when what is looked at differs from the key's event before; always the
    /// key's first one.
    ///
    /// - Parameters:
    ///   - value: What is looked at; a key path such as `\.status` or a closure.
    ///   - name: The stage's name, unique in its topology.
    ///   - ttl: How long a key's value outlives its last event.
    ///
    /// **Emits when** the value of a key changes. **Suspends upstream when** its mailbox is full.
    /// **Finishes when** the input ends. **Cancels when** nobody takes its events any more.
    /// **On restart** the values are as before the batch.
    @inlinable
    public func changes<Value: Equatable & Codable & Sendable>(
        of value: @escaping @Sendable (Element) -> Value, name: String? = nil,
        ttl: StateTTL? = nil, file: StaticString = #fileID, line: UInt = #line
    ) -> EventStream<Element> {
        withState(
            "changes", name: name, ttl: ttl, isFallible: false, initial: LastValue<Value>(),
            at: SourceLocation(file, line)
        ) { _, event, time, last, output in
            let next = value(event)
            if last.value == next { return }
            last.value = next
            output.append(event, at: time)
        }
    }
}
