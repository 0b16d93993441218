/// A row of a Top-N with its place, from 1.
public struct Ranked<Key: Hashable & Sendable, Row: Sendable>: Sendable {
    /// The key.
    public let key: Key
    /// The place among the rows of the key; 1 is the first.
    public let rank: Int
    /// The row.
    public let row: Row

    /// Creates a ranked row.
    @inlinable
    public init(key: Key, rank: Int, row: Row) {
        self.key = key
        self.rank = rank
        self.row = row
    }
}

extension Ranked: Equatable where Row: Equatable {}
extension Ranked: Hashable where Row: Hashable {}
extension Ranked: Encodable where Key: Encodable, Row: Encodable {}
extension Ranked: Decodable where Key: Decodable, Row: Decodable {}

extension KeyedStream {
    /// Keeps the first `count` events of each key in an order, with their ranks.
    ///
    /// An event that comes in moves those behind it: each rank whose row changes gives a change. Of
    /// equal events the first to come stands first.
    ///
    /// ```swift
    /// bids.keyed(by: \.auction).top(10) { $0.price > $1.price }
    /// ```
    ///
    /// - Parameters:
    ///   - count: How many rows a key keeps, at least 1.
    ///   - ttl: How long a key's rows outlive its last event. Default: for ever.
    ///   - name: The stage's name, unique in its topology.
    ///   - precedes: Whether an event stands before another one; a strict weak order.
    /// - Complexity: O(log count) per event, O(count) per event that comes in.
    ///
    /// **Emits when** an event comes among the first of its key. **Suspends upstream when** its mailbox
    /// is full. **Finishes when** the input ends. **Cancels when** nobody takes its changes any more.
    /// **On restart** the rows are as before the event that failed.
    @inlinable
    public func top(
        _ count: Int, ttl: StateTTL? = nil, name: String? = nil, file: StaticString = #fileID,
        line: UInt = #line, by precedes: @escaping @Sendable (Element, Element) -> Bool
    ) -> ChangeStream<Ranked<Key, Element>> {
        let stream = withState(
            "top", name: name, ttl: ttl, isFallible: false, initial: TopRows<Element>(),
            problem: TopRows<Element>.problem(count), at: SourceLocation(file, line)
        ) {
            (key: Key, event, time, top: inout TopRows, output: inout BatchWriter<Change<Ranked>>)
            in
            let place = top.place(of: event, precedes)
            guard place < count else { return }
            let last = top.rows.count == count ? top.rows.removeLast() : nil
            top.rows.insert(event, at: place)
            top.emitMoved(key, from: place, last: last, time, into: &output)
        }
        return ChangeStream(stream)
    }
}

extension KeyedChanges where Row: Equatable {
    /// Keeps the first `count` rows of each key in an order, with their ranks, as rows come and go.
    ///
    /// All rows of a key are kept, since any of them may come up when another one goes.
    ///
    /// - Parameters:
    ///   - count: How many rows of a key are in the result, at least 1.
    ///   - rowsPerKey: How many rows a key keeps; the last in the order is dropped and counted, and is
    ///     missing when it would come up. Default 1,000,000.
    ///   - ttl: How long a key's rows outlive its last change. Default: for ever.
    ///   - name: The stage's name, unique in its topology.
    ///   - precedes: Whether a row stands before another one; a strict weak order.
    /// - Complexity: O(rows of the key) per change.
    ///
    /// **Emits when** a change alters the first rows of its key. **Suspends upstream when** its mailbox
    /// is full. **Finishes when** the input ends. **Cancels when** nobody takes its changes any more.
    /// **On restart** the rows are as before the change that failed.
    @inlinable
    public func top(
        _ count: Int, rowsPerKey: Int = 1_000_000, ttl: StateTTL? = nil, name: String? = nil,
        file: StaticString = #fileID, line: UInt = #line,
        by precedes: @escaping @Sendable (Row, Row) -> Bool
    ) -> ChangeStream<Ranked<Key, Row>> {
        let (keys, limit) = (changes.keys, max(rowsPerKey, count))
        let problem = TopRows<Row>.problem(count) ?? JoinLimit.problem(rowsPerKey)
        let node = changes.stage(
            "top", name: name, traits: NodeTraits(problem: problem ?? ttl?.problem),
            at: SourceLocation(file, line)
        ) { scope, outputs in
            let tally = BatchTally(scope, .skipped)
            return KeyedUpdates<Key, TopRows<Row>, Change<Ranked<Key, Row>>>(
                scope, ttl: ttl, TopRows<Row>.self, outputs[0]
            )
            .receiver(keys: keys, initial: TopRows()) { key, change, time, top, output in
                let visible = ContiguousArray(top.rows.prefix(count))
                // Equal rows stand side by side: the first of them goes. A row that is not there,
                // since it has expired or found no room, changes nothing that is there.
                if let row = change.before, let index = top.rows.firstIndex(of: row) {
                    top.rows.remove(at: index)
                }
                if let row = change.after {
                    top.rows.insert(row, at: top.place(of: row, precedes))
                    if top.rows.count > limit {
                        top.rows.removeLast()
                        tally.drop()
                    }
                }
                for index in 0..<max(visible.count, min(count, top.rows.count)) {
                    let before = index < visible.count ? visible[index] : nil
                    let after = index < min(count, top.rows.count) ? top.rows[index] : nil
                    if before == after { continue }
                    let change = Change(
                        from: before.map { Ranked(key: key, rank: index + 1, row: $0) },
                        to: after.map { Ranked(key: key, rank: index + 1, row: $0) })
                    if let change { output.append(change, at: time) }
                }
                return !top.rows.isEmpty
            }
        }
        return ChangeStream(EventStream<Change<Ranked<Key, Row>>>(node: node))
    }
}

/// The rows of a key in their order.
@usableFromInline
struct TopRows<Row: Sendable>: Sendable {
    @usableFromInline var rows: ContiguousArray<Row> = []

    @inlinable
    init() {}

    @usableFromInline
    static func problem(_ count: Int) -> String? {
        count > 0 ? nil : "top(_:by:) keeps at least 1 row, not \(count)"
    }

    /// Where a row belongs: behind those that are equal to it.
    @inlinable
    func place(of row: Row, _ precedes: (Row, Row) -> Bool) -> Int {
        guard let last = rows.last, precedes(row, last) else { return rows.count }
        var (low, high) = (0, rows.count)
        while low < high {
            let middle = (low + high) / 2
            if precedes(row, rows[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }

    /// Gives a change for each rank from `place` on, into which a row has come.
    ///
    /// - Parameter last: The row that has gone at the end.
    @inlinable
    func emitMoved<Key>(
        _ key: Key, from place: Int, last: Row?, _ time: EventTime,
        into output: inout BatchWriter<Change<Ranked<Key, Row>>>
    ) {
        for index in place..<rows.count {
            let after = Ranked(key: key, rank: index + 1, row: rows[index])
            let before = index + 1 < rows.count ? rows[index + 1] : last
            if let before {
                output.append(
                    .update(
                        before: Ranked(key: key, rank: index + 1, row: before), after: after),
                    at: time)
            } else {
                output.append(.insert(after), at: time)
            }
        }
    }
}

extension TopRows: Encodable where Row: Encodable {}
extension TopRows: Decodable where Row: Decodable {}
