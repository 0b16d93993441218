/// Of which inputs of a join it is known that a key has at most one row, ever.
public struct JoinUniqueness: Sendable, Hashable {
    @usableFromInline let left: Bool
    @usableFromInline let right: Bool

    /// Of none: the rows of both inputs are kept.
    public static let none = JoinUniqueness(left: false, right: false)
    /// Of the stream that `join` is called on.
    public static let left = JoinUniqueness(left: true, right: false)
    /// Of the stream that it is joined with.
    public static let right = JoinUniqueness(left: false, right: true)
    /// Of both.
    public static let both = JoinUniqueness(left: true, right: true)
}

extension KeyedStream {
    /// Joins each row with all rows of another stream that have the same key, whenever they come.
    ///
    /// The rows of both streams are kept: for ever, or until a key has had no new row for the
    /// time-to-live. A side that is said to be `unique` saves memory: rows of the other side are
    /// kept only until its row has come. `weir_state_keys` shows how many keys have rows.
    ///
    /// Rows are only ever added, so results are too; for outer joins of such streams, and for streams
    /// of changes, see ``ChangeStream``.
    ///
    /// - Parameters:
    ///   - other: The other stream, with keys of the same type.
    ///   - unique: Which side has at most one row per key; a second one goes to the dead letters.
    ///   - ttl: How long the rows of a key outlive the newest of them. Default: for ever.
    ///   - rowsPerKey: How many rows a key keeps on each side; further ones meet those that are there
    ///     and go to the dead letters. Default 1,000,000.
    ///   - name: The stage's name, unique in its topology.
    ///   - combine: Makes what is emitted of a pair; nil leaves the pair out.
    /// - Complexity: O(1) per row and pair.
    ///
    /// **Emits when** a row comes that has partners, with the row's event time. **Suspends upstream
    /// when** its mailbox is full. **Finishes when** both inputs have ended. **Cancels when** nobody
    /// takes its events any more. **On restart** the rows are as before the event that failed.
    @inlinable
    public func join<Other: Sendable, Output: Sendable, Failure: Error>(
        _ other: KeyedStream<Key, Other>, unique: JoinUniqueness = .none, ttl: StateTTL? = nil,
        rowsPerKey: Int = 1_000_000, name: String? = nil, file: StaticString = #fileID,
        line: UInt = #line,
        _ combine: @escaping @Sendable (Element, Other) throws(Failure) -> Output?
    ) -> EventStream<Output> {
        let (leftKeys, rightKeys) = (keys, other.keys)
        let node = joinStage(
            other, "join", name: name,
            traits: NodeTraits(problem: ttl?.problem ?? JoinLimit.problem(rowsPerKey)),
            at: SourceLocation(file, line)
        ) { scope, outputs in
            if Failure.self != Never.self { scope.markFallible() }
            let count = scope.makeCount(.joinRows)
            let peak = scope.makePeak(.joinKeyRows, limit: rowsPerKey, .joinKeyRowsLimit)
            let updates = KeyedUpdates<Key, MetRows<Element, Other>, Output>(
                scope, ttl: ttl, MetRows<Element, Other>.self, outputs[0],
                onRestore: {
                    count.value += $0.count
                    peak.note(max($0.lefts.count, $0.rights.count))
                }, onExpire: { count.value -= $0.count })
            let tally = BatchTally(scope, .skipped)
            let rule = JoinMeeting(limit: rowsPerKey, tally: tally, count: count, peak: peak)
            let left = updates.receiver(
                keys: leftKeys, initial: MetRows()
            ) { _, row, time, rows, output in
                try rule.meet(
                    row, among: &rows.lefts, isUnique: unique.left, partners: &rows.rights,
                    areUnique: unique.right
                ) { partner in
                    if let joined = try combine(row, partner) { output.append(joined, at: time) }
                }
                return true
            }
            let right = updates.receiver(
                keys: rightKeys, forwardsSignals: false, initial: MetRows()
            ) { _, row, time, rows, output in
                try rule.meet(
                    row, among: &rows.rights, isUnique: unique.right, partners: &rows.lefts,
                    areUnique: unique.left
                ) { partner in
                    if let joined = try combine(partner, row) { output.append(joined, at: time) }
                }
                return true
            }
            return (left, right)
        }
        return EventStream<Output>(node: node)
    }
}

/// What happens when a row of a join comes to its key.
@usableFromInline
struct JoinMeeting {
    @usableFromInline let limit: Int
    @usableFromInline let tally: BatchTally
    /// The rows of all keys.
    @usableFromInline let count: StateCount
    @usableFromInline let peak: RecentPeak

    @inlinable
    init(limit: Int, tally: BatchTally, count: StateCount, peak: RecentPeak) {
        self.limit = limit
        self.tally = tally
        self.count = count
        self.peak = peak
    }

    /// Calls `body` with each partner of a row, then keeps the row if it may find more.
    ///
    /// - Parameters:
    ///   - own: The rows of its side.
    ///   - isUnique: Whether its side has at most one row.
    ///   - partners: The rows of the other side.
    ///   - areUnique: Whether the other side has at most one.
    @inlinable
    @inline(__always)
    func meet<Row: Sendable, Partner>(
        _ row: Row, among own: inout FewRows<Row>, isUnique: Bool,
        partners: inout FewRows<Partner>, areUnique: Bool, _ body: (Partner) throws -> Void
    ) throws {
        let before = own.count &+ partners.count
        defer { count.value += own.count &+ partners.count &- before }
        if isUnique, !own.isEmpty { return tally.giveUp(row, JoinLimit.notUnique) }
        try partners.forEach(body)
        // All that it can meet has come, for a row that is not unique itself.
        if areUnique, !isUnique, !partners.isEmpty { return }
        if isUnique, !areUnique { partners = FewRows() }
        if own.count < limit {
            own.append(row)
            peak.note(own.count)
        } else {
            tally.giveUp(row, JoinLimit.full(limit))
        }
    }
}

/// What joins say of their bounds.
@usableFromInline
enum JoinLimit {
    @usableFromInline static let notUnique =
        "the key has a row already on the side that was said to be unique"

    @usableFromInline
    static func full(_ limit: Int) -> String {
        "the key has \(limit) rows on this side of the join, as many as it keeps"
    }

    @usableFromInline
    static func problem(_ rows: Int) -> String? {
        rows > 0 ? nil : "a join keeps at least 1 row of a key, not \(rows)"
    }
}
