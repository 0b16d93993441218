/// The running aggregate of a key.
@usableFromInline
struct RunningAggregate<Accumulator: Sendable>: Sendable {
    @usableFromInline var accumulator: Accumulator
    /// How many rows are in it.
    @usableFromInline var rows = 0

    @inlinable
    init(_ accumulator: Accumulator) {
        self.accumulator = accumulator
    }
}

extension RunningAggregate: Encodable where Accumulator: Encodable {}
extension RunningAggregate: Decodable where Accumulator: Decodable {}

extension KeyedStream {
    /// Applies an aggregate to all events of each key so far: a result that changes with the events.
    ///
    /// Events that leave the result as it was change nothing. `weir_state_keys` shows how many keys
    /// there are.
    ///
    /// ```swift
    /// bids.keyed(by: \.auction).aggregate(.count())
    /// ```
    ///
    /// - Parameters:
    ///   - aggregate: What is computed, such as `.count()` or `.max(of: \.price)`.
    ///   - name: The stage's name, unique in its topology.
    ///   - ttl: How long a key's aggregate outlives its last event; it then begins anew. Default: for
    ///     ever.
    /// - Complexity: One addition and two results of the aggregate per event.
    ///
    /// **Emits when** an event changes the result of its key. **Suspends upstream when** its mailbox is
    /// full. **Finishes when** the input ends. **Cancels when** nobody takes its changes any more.
    /// **On restart** the results are as before the event that failed.
    @inlinable
    public func aggregate<Summary: Aggregate>(
        _ aggregate: Summary, name: String? = nil, ttl: StateTTL? = nil,
        file: StaticString = #fileID, line: UInt = #line
    ) -> ChangeStream<Keyed<Key, Summary.Output>>
    where Summary.Input == Element, Summary.Output: Equatable {
        ChangeStream(
            runningAggregate(
                "aggregate", name: name, ttl: ttl, problem: aggregate.problem,
                at: SourceLocation(file, line), initial: aggregate.initial(),
                result: { aggregate.result(of: $0) },
                step: { event, state in
                    aggregate.add(event, to: &state.accumulator)
                    state.rows = 1
                }))
    }

    @inlinable
    @inline(__always)
    func runningAggregate<Accumulator: Sendable, Output: Equatable & Sendable>(
        _ kind: String, name: String?, ttl: StateTTL?, problem: String?,
        at location: SourceLocation, initial: Accumulator,
        result: @escaping @Sendable (Accumulator) -> Output,
        step: @escaping @Sendable (Element, inout RunningAggregate<Accumulator>) -> Void
    ) -> EventStream<Change<Keyed<Key, Output>>> {
        let keys = self.keys
        let node = stage(
            kind, name: name, traits: NodeTraits(problem: problem ?? ttl?.problem), at: location
        ) { scope, outputs in
            return KeyedUpdates<
                Key, RunningAggregate<Accumulator>, Change<Keyed<Key, Output>>
            >(scope, ttl: ttl, RunningAggregate<Accumulator>.self, outputs[0])
            .receiver(keys: keys, initial: RunningAggregate(initial)) {
                key, event, time, state, output in
                let hadRows = state.rows > 0
                let before = result(state.accumulator)
                step(event, &state)
                if state.rows <= 0 {
                    if hadRows {
                        output.append(.delete(Keyed(key: key, value: before)), at: time)
                    }
                    return false
                }
                let after = result(state.accumulator)
                if !hadRows {
                    output.append(.insert(Keyed(key: key, value: after)), at: time)
                } else if before != after {
                    output.append(
                        .update(
                            before: Keyed(key: key, value: before),
                            after: Keyed(key: key, value: after)), at: time)
                }
                return true
            }
        }
        return EventStream<Change<Keyed<Key, Output>>>(node: node)
    }
}

extension KeyedChanges {
    /// Applies an aggregate to the rows that each key has: it follows inserts, updates and deletes.
    ///
    /// A key whose last row goes is deleted from the result. Once a key's aggregate has expired, an
    /// update of a row that was in it brings that row back, and the deletion of one changes nothing.
    ///
    /// - Parameters:
    ///   - aggregate: What is computed; one that can take rows out again, such as `.count()`,
    ///     `.sum(of:)`, ``Aggregate/smallest(of:)`` or ``Aggregate/largest(of:)``.
    ///   - name: The stage's name, unique in its topology.
    ///   - ttl: How long a key's aggregate outlives its last change. Default: for ever.
    ///
    /// **Emits when** a change alters the result of its key. **Suspends upstream when** its mailbox is
    /// full. **Finishes when** the input ends. **Cancels when** nobody takes its changes any more.
    /// **On restart** the results are as before the change that failed.
    @inlinable
    public func aggregate<Summary: InvertibleAggregate>(
        _ aggregate: Summary, name: String? = nil, ttl: StateTTL? = nil,
        file: StaticString = #fileID, line: UInt = #line
    ) -> ChangeStream<Keyed<Key, Summary.Output>>
    where Summary.Input == Row, Summary.Output: Equatable {
        ChangeStream(
            changes.runningAggregate(
                "aggregate", name: name, ttl: ttl, problem: aggregate.problem,
                at: SourceLocation(file, line), initial: aggregate.initial(),
                result: { aggregate.result(of: $0) },
                step: { change, state in
                    // A row that has expired can't be taken out.
                    if let row = change.before, state.rows > 0 {
                        var gone = aggregate.initial()
                        aggregate.add(row, to: &gone)
                        aggregate.subtract(gone, from: &state.accumulator)
                        state.rows -= 1
                    }
                    if let row = change.after {
                        aggregate.add(row, to: &state.accumulator)
                        state.rows += 1
                    }
                }))
    }
}
