/// A result that goes on changing: a stream of changes to a set of rows.
///
/// Aggregates without windows, Top-N, the newest row of each key and outer joins give one. Only
/// operators that can take a change back stand on it; what needs final events, such as a window, is
/// refused by the compiler. ``changes`` is the way out: the changes themselves as events.
///
/// ```swift
/// bids.keyed(by: \.auction).aggregate(.max(of: \.price))    // ChangeStream<Keyed<Int, Int?>>
///     .filter { $0.value ?? 0 > 100 }
///     .upserts(by: \.key)                                   // EventStream<Upsert<Int, …>>
///     .sink(.print)
/// ```
public struct ChangeStream<Row: Sendable>: Sendable {
    /// The changes as events, in their order for each key of the operator that they come from.
    public let changes: EventStream<Change<Row>>

    /// Takes a stream's events as changes; they have to be consistent: no row is deleted that is not
    /// there.
    @inlinable
    public init(_ changes: EventStream<Change<Row>>) {
        self.changes = changes
    }

    /// Turns each row into another one; a pure function.
    ///
    /// **Emits when** a row changes. **Suspends upstream when** the next stage is full.
    /// **Finishes when** the input ends. **Cancels when** nobody takes its changes any more.
    @inlinable
    public func map<Output: Sendable, Failure: Error>(
        _ transform: @escaping @Sendable (Row) throws(Failure) -> Output,
        file: StaticString = #fileID, line: UInt = #line
    ) -> ChangeStream<Output> {
        ChangeStream<Output>(
            changes.map(
                { (change) throws(Failure) -> Change<Output> in
                    switch change {
                    case .insert(let row): .insert(try transform(row))
                    case .delete(let row): .delete(try transform(row))
                    case .update(let before, let after):
                        .update(before: try transform(before), after: try transform(after))
                    }
                }, file: file, line: line))
    }

    /// Turns each row into another one, or leaves it out; a pure function.
    ///
    /// **Emits when** a row changes that is not left out. **Suspends upstream when** the next stage is
    /// full. **Finishes when** the input ends. **Cancels when** nobody takes its changes any more.
    @inlinable
    public func compactMap<Output: Sendable, Failure: Error>(
        _ transform: @escaping @Sendable (Row) throws(Failure) -> Output?,
        file: StaticString = #fileID, line: UInt = #line
    ) -> ChangeStream<Output> {
        ChangeStream<Output>(
            changes.compactMap(
                { (change) throws(Failure) -> Change<Output>? in try change.compactMap(transform) },
                file: file, line: line))
    }

    /// Keeps the rows that satisfy a condition; a pure function.
    ///
    /// A row that becomes one that does not satisfy it is deleted.
    ///
    /// **Emits when** a row changes that satisfies it, or did. **Suspends upstream when** the next
    /// stage is full. **Finishes when** the input ends. **Cancels when** nobody takes its changes any
    /// more.
    @inlinable
    public func filter<Failure: Error>(
        _ isIncluded: @escaping @Sendable (Row) throws(Failure) -> Bool,
        file: StaticString = #fileID, line: UInt = #line
    ) -> ChangeStream<Row> {
        compactMap(
            { (row) throws(Failure) -> Row? in try isIncluded(row) ? row : nil }, file: file,
            line: line)
    }

    /// Groups the rows by key.
    ///
    /// An update that moves a row to another key becomes a delete and an insert.
    ///
    /// - Parameters: As for ``EventStream/keyed(by:parallelism:)``.
    @inlinable
    public func keyed<Key: Hashable & Codable & Sendable>(
        by key: @escaping @Sendable (Row) -> Key, parallelism: Int? = nil,
        file: StaticString = #fileID, line: UInt = #line
    ) -> KeyedChanges<Key, Row> {
        let split = changes.mapBatches(
            "keyChanges", isFallible: false, at: SourceLocation(file, line)
        ) { batch in
            var output = Batch<Change<Row>>()
            var copied = 0
            for index in batch.elements.indices {
                guard case .update(let before, let after) = batch.elements[index],
                    key(before) != key(after)
                else { continue }
                output.append(contentsOf: batch.slice(copied..<index))
                output.append(.delete(before), at: batch.time(at: index))
                output.append(.insert(after), at: batch.time(at: index))
                copied = index + 1
            }
            if copied == 0 { return batch }
            output.append(contentsOf: batch.slice(copied..<batch.count))
            return output
        }
        return KeyedChanges(changes: split.keyed(by: { key($0.row) }, parallelism: parallelism))
    }

    /// The newest row of each key, for tables outside that upsert.
    ///
    /// - Parameter key: What tells rows apart; a pure function, a unique key of the rows.
    ///
    /// **Emits when** a row changes. **Suspends upstream when** the next stage is full.
    /// **Finishes when** the input ends. **Cancels when** nobody takes its events any more.
    @inlinable
    public func upserts<Key: Hashable & Sendable>(
        by key: @escaping @Sendable (Row) -> Key, file: StaticString = #fileID, line: UInt = #line
    ) -> EventStream<Upsert<Key, Row>> {
        changes.mapBatches("upserts", isFallible: false, at: SourceLocation(file, line)) { batch in
            BatchWriter<Upsert<Key, Row>>.gather(expecting: batch.count) { output in
                for index in batch.elements.indices {
                    let time = batch.time(at: index)
                    switch batch.elements[index] {
                    case .insert(let row): output.append(Upsert(key: key(row), row: row), at: time)
                    case .delete(let row): output.append(Upsert(key: key(row), row: nil), at: time)
                    case .update(let before, let after):
                        let (old, new) = (key(before), key(after))
                        if old != new { output.append(Upsert(key: old, row: nil), at: time) }
                        output.append(Upsert(key: new, row: after), at: time)
                    }
                }
            }
        }
    }

    /// Ends the stream at a sink of changes.
    @inlinable
    public func sink(
        _ sink: Sink<Change<Row>>, file: StaticString = #fileID, line: UInt = #line
    ) -> Pipeline {
        changes.sink(sink, file: file, line: line)
    }
}

extension EventStream {
    /// Takes each event as a row that is inserted, for joins and aggregates of changing results.
    ///
    /// **Emits when** an event arrives. **Suspends upstream when** the next stage is full.
    /// **Finishes when** the input ends. **Cancels when** nobody takes its changes any more.
    @inlinable
    public func inserted(
        file: StaticString = #fileID, line: UInt = #line
    ) -> ChangeStream<Element> {
        ChangeStream(map({ Change.insert($0) }, file: file, line: line))
    }
}

/// Rows that change, grouped by key; see ``ChangeStream/keyed(by:parallelism:file:line:)``.
public struct KeyedChanges<Key: Hashable & Codable & Sendable, Row: Sendable>: Sendable {
    /// No update among them crosses from one key to another.
    @usableFromInline let changes: KeyedStream<Key, Change<Row>>

    @inlinable
    init(changes: KeyedStream<Key, Change<Row>>) {
        self.changes = changes
    }
}
