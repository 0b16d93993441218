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
            let downstream = AnyReceiver.joined(outputs[0], as: Output.self)
            let lifetime = scope.lifetime(ttl)
            // Rows whose time is over go without notice.
            let count = scope.makeCount(lifetime == nil ? .joinRows : nil)
            let table =
                lifetime == nil
                ? scope.makeTable(Key.self, JoinRows<Element, Other>.self) { table, group in
                    table.forEach(inGroup: group) { _, rows, _ in count.value += rows.count }
                }
                : scope.makeTable(
                    Key.self, JoinRows<Element, Other>.self, timeToLive: lifetime)
            let life = StateLife(scope)
            let tally = BatchTally(scope, .skipped)
            scope.onPublish { (keys: table.count, timers: 0) }
            let left = Receiver<Element>(
                batch: { batch in
                    let batchKeys = leftKeys(batch)
                    let hashes = table.hashesAhead(of: batchKeys)
                    let hasTimes = life.startBatch(hasTimes: batch.hasTimes)
                    let clock = life.processingTime
                    var output = Batch<Output>()
                    for index in batch.elements.indices {
                        let key = batchKeys[index]
                        let time = hasTimes ? batch.times[index] : .min
                        let row = batch.elements[index]
                        try table.update(
                            key, hash: table.hash(of: key, at: index, in: hashes),
                            now: hasTimes ? time : clock, default: JoinRows()
                        ) { rows in
                            let before = rows.count
                            defer { count.value += rows.count - before }
                            if unique.left, !rows.lefts.isEmpty {
                                return tally.giveUp(row, JoinLimit.notUnique)
                            }
                            for partner in rows.rights {
                                guard let joined = try combine(row, partner) else { continue }
                                output.append(joined, at: time)
                            }
                            if unique.right, !unique.left, !rows.rights.isEmpty { return }
                            if unique.left, !unique.right { rows.rights = [] }
                            if rows.lefts.count < rowsPerKey {
                                rows.lefts.append(row)
                            } else {
                                tally.giveUp(row, JoinLimit.full(rowsPerKey))
                            }
                        }
                    }
                    table.sweep(now: life.sweepTime)
                    if !output.isEmpty { try downstream.batch(output) }
                },
                signal: { signal in
                    if case .watermark = signal { table.sweep(now: life.sweepTime) }
                    try downstream.signal(signal)
                })
            let right = Receiver<Other>(
                batch: { batch in
                    let batchKeys = rightKeys(batch)
                    let hashes = table.hashesAhead(of: batchKeys)
                    let hasTimes = life.startBatch(hasTimes: batch.hasTimes)
                    let clock = life.processingTime
                    var output = Batch<Output>()
                    for index in batch.elements.indices {
                        let key = batchKeys[index]
                        let time = hasTimes ? batch.times[index] : .min
                        let row = batch.elements[index]
                        try table.update(
                            key, hash: table.hash(of: key, at: index, in: hashes),
                            now: hasTimes ? time : clock, default: JoinRows()
                        ) { rows in
                            let before = rows.count
                            defer { count.value += rows.count - before }
                            if unique.right, !rows.rights.isEmpty {
                                return tally.giveUp(row, JoinLimit.notUnique)
                            }
                            for partner in rows.lefts {
                                guard let joined = try combine(partner, row) else { continue }
                                output.append(joined, at: time)
                            }
                            if unique.left, !unique.right, !rows.lefts.isEmpty { return }
                            if unique.right, !unique.left { rows.lefts = [] }
                            if rows.rights.count < rowsPerKey {
                                rows.rights.append(row)
                            } else {
                                tally.giveUp(row, JoinLimit.full(rowsPerKey))
                            }
                        }
                    }
                    table.sweep(now: life.sweepTime)
                    if !output.isEmpty { try downstream.batch(output) }
                }, signal: { _ in })
            return (left, right)
        }
        return EventStream<Output>(node: node)
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
