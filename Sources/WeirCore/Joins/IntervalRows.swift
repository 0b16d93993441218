/// The rows of an interval join that may still find partners.
@usableFromInline
final class IntervalRows<Key: Hashable & Codable & Sendable, Left: Sendable, Right: Sendable> {
    @usableFromInline
    struct Timed<Row: Sendable>: Sendable {
        @usableFromInline let time: Int64
        @usableFromInline let row: Row
        @usableFromInline var hasPartner: Bool

        @inlinable
        init(time: Int64, row: Row, hasPartner: Bool) {
            self.time = time
            self.row = row
            self.hasPartner = hasPartner
        }
    }

    @usableFromInline
    struct Rows: Sendable {
        @usableFromInline var lefts: ContiguousArray<Timed<Left>> = []
        @usableFromInline var rights: ContiguousArray<Timed<Right>> = []
        /// The newest deadline that the key is entered for.
        @usableFromInline var deadline = Int64.min

        @inlinable
        init() {}
    }

    @usableFromInline let table: KeyedTable<Key, Rows>
    @usableFromInline let deadlines: Deadlines<Key>
    @usableFromInline let shape: JoinShape
    @usableFromInline let lower: Int64
    @usableFromInline let upper: Int64
    /// Deadlines are rounded up to multiples of it, so that few entries serve many rows.
    @usableFromInline let grain: Int64
    @usableFromInline let limit: Int
    @usableFromInline let tally: BatchTally
    @usableFromInline let count: StateCount
    @usableFromInline let peak: RecentPeak

    @inlinable
    init(
        _ scope: StageScope, _ interval: ClosedRange<Duration>, _ shape: JoinShape, _ limit: Int,
        forward: @escaping (Signal) throws -> Void
    ) {
        let deadlines = Deadlines<Key>(scope, forward: forward)
        let lower = interval.lowerBound.nanosecondsClamped
        let upper = interval.upperBound.nanosecondsClamped
        // A row that shows as unmatched has an exact time.
        let isExact = shape.leftAlone || shape.rightAlone
        let width = WindowArithmetic.add(upper, lower == .min ? .max : -lower)
        let grain = isExact ? 1 : max(1, width / 16)
        self.deadlines = deadlines
        self.shape = shape
        self.lower = lower
        self.upper = upper
        self.grain = grain
        self.limit = limit
        tally = BatchTally(scope, .skipped)
        let count = scope.makeCount(.joinRows)
        self.count = count
        let peak = scope.makePeak(.joinKeyRows, limit: limit, .joinKeyRowsLimit)
        self.peak = peak
        table = scope.makeTable(Key.self, Rows.self) { table, group in
            table.forEach(inGroup: group) { key, rows, _ in
                count.value += rows.lefts.count + rows.rights.count
                peak.note(max(rows.lefts.count, rows.rights.count))
                var entered = Set<Int64>()
                let entry = WindowEntry(key: key, hash: stableHash(key), mark: 0)
                for row in rows.lefts {
                    let due = Self.deadline(row.time, upper, grain)
                    if entered.insert(due).inserted { deadlines.index.add(entry, at: due) }
                }
                for row in rows.rights {
                    let due = Self.deadline(row.time, lower == .min ? .max : -lower, grain)
                    if entered.insert(due).inserted { deadlines.index.add(entry, at: due) }
                }
            }
        }
    }

    /// When a row at `time` can't meet rows any more that come `reach` later at the most.
    @inlinable
    static func deadline(_ time: Int64, _ reach: Int64, _ grain: Int64) -> Int64 {
        let exact = WindowArithmetic.add(time, max(0, reach))
        if grain == 1 { return exact }
        let start = WindowArithmetic.start(of: exact, size: grain, offset: 0)
        return start == exact ? exact : WindowArithmetic.add(start, grain)
    }

    /// The receiver of one side; `add` adds a row that is not late and appends its results.
    @inlinable
    @inline(__always)
    func receiver<Row: Sendable, Output: Sendable>(
        keys: @escaping @Sendable (Batch<Row>) -> ContiguousArray<Key>,
        _ downstream: Receiver<Output>, late: Receiver<Row>,
        signal: @escaping (Signal) throws -> Void,
        _ add: @escaping (Row, Key, UInt64, Int64, inout BatchWriter<Output>) throws -> Void
    ) -> Receiver<Row> {
        let (table, deadlines) = (table, deadlines)
        return Receiver(
            batch: { batch in
                let batchKeys = keys(batch)
                let hashes = table.hashesAhead(of: batchKeys)
                let limit = deadlines.limit
                var output = BatchWriter<Output>()
                var lateRows = Batch<Row>()
                for index in batch.elements.indices {
                    let key = batchKeys[index]
                    let hash = table.hash(of: key, at: index, in: hashes)
                    let time = batch.time(at: index)
                    if time.nanoseconds <= limit {
                        lateRows.append(batch.elements[index], at: time)
                    } else {
                        try add(batch.elements[index], key, hash, time.nanoseconds, &output)
                    }
                }
                if !output.isEmpty { try downstream.batch(output.take()) }
                try deadlines.finish(late: lateRows, to: late)
            }, signal: signal)
    }

    @inlinable
    func addLeft(
        _ row: Left, _ key: Key, hash: UInt64, at time: Int64,
        _ emit: (Left?, Right?, Int64) throws -> Void
    ) throws {
        let (first, last) = (WindowArithmetic.add(time, lower), WindowArithmetic.add(time, upper))
        try table.update(key, hash: hash, default: Rows()) { rows in
            var hasPartner = false
            for index in rows.rights.indices {
                let partner = rows.rights[index]
                guard partner.time >= first, partner.time <= last else { continue }
                if shape.leftMatched, hasPartner { continue }
                hasPartner = true
                if !partner.hasPartner { rows.rights[index].hasPartner = true }
                if shape.pairs {
                    try emit(row, partner.row, max(time, partner.time))
                } else if shape.leftMatched {
                    try emit(row, nil, max(time, partner.time))
                }
            }
            guard rows.lefts.count < limit else {
                return tally.giveUp(row, JoinLimit.full(limit))
            }
            rows.lefts.append(Timed(time: time, row: row, hasPartner: hasPartner))
            count.value += 1
            peak.note(rows.lefts.count)
            enter(key, hash, Self.deadline(time, upper, grain), &rows)
        }
    }

    @inlinable
    func addRight(
        _ row: Right, _ key: Key, hash: UInt64, at time: Int64,
        _ emit: (Left?, Right?, Int64) throws -> Void
    ) throws {
        try table.update(key, hash: hash, default: Rows()) { rows in
            var hasPartner = false
            for index in rows.lefts.indices {
                let partner = rows.lefts[index]
                guard time >= WindowArithmetic.add(partner.time, lower),
                    time <= WindowArithmetic.add(partner.time, upper)
                else { continue }
                hasPartner = true
                if !partner.hasPartner { rows.lefts[index].hasPartner = true }
                if shape.pairs {
                    try emit(partner.row, row, max(time, partner.time))
                } else if shape.leftMatched, !partner.hasPartner {
                    try emit(partner.row, nil, max(time, partner.time))
                }
            }
            guard rows.rights.count < limit else {
                return tally.giveUp(row, JoinLimit.full(limit))
            }
            rows.rights.append(Timed(time: time, row: row, hasPartner: hasPartner))
            count.value += 1
            peak.note(rows.rights.count)
            enter(key, hash, Self.deadline(time, lower == .min ? .max : -lower, grain), &rows)
        }
    }

    @inlinable
    func enter(_ key: Key, _ hash: UInt64, _ deadline: Int64, _ rows: inout Rows) {
        if deadline == rows.deadline { return }
        rows.deadline = deadline
        deadlines.index.add(WindowEntry(key: key, hash: hash, mark: 0), at: deadline)
    }

    /// Forgets the rows of a key that find no partners any more.
    @inlinable
    func expire(
        _ entry: WindowEntry<Key>, _ deadline: Int64, limit: Int64,
        _ emit: (Left?, Right?, Int64) throws -> Void
    ) throws {
        if deadlines.isSingle, let (left, right) = try takeAlone(entry, deadline) {
            return try emit(left, right, deadline)
        }
        let limit = deadlines.isSingle ? deadline : limit
        guard var rows = table.remove(entry.key, hash: entry.hash) else { return }
        let backward = lower == .min ? Int64.max : -lower
        if shape.leftAlone {
            for row in rows.lefts where !row.hasPartner {
                let due = Self.deadline(row.time, upper, grain)
                if due <= limit { try emit(row.row, nil, due) }
            }
        }
        if shape.rightAlone {
            for row in rows.rights where !row.hasPartner {
                let due = Self.deadline(row.time, backward, grain)
                if due <= limit { try emit(nil, row.row, due) }
            }
        }
        count.value -= rows.lefts.count + rows.rights.count
        rows.lefts.removeAll { Self.deadline($0.time, upper, grain) <= limit }
        rows.rights.removeAll { Self.deadline($0.time, backward, grain) <= limit }
        if rows.lefts.isEmpty, rows.rights.isEmpty { return }
        count.value += rows.lefts.count + rows.rights.count
        try table.update(entry.key, hash: entry.hash, default: rows) { _ in }
    }

    /// Takes out the first row of a key that has found no partner by the deadline; the others are
    /// left to the same entry.
    @inlinable
    func takeAlone(
        _ entry: WindowEntry<Key>, _ deadline: Int64
    ) throws -> (left: Left?, right: Right?)? {
        let backward = lower == .min ? Int64.max : -lower
        let taken = try table.update(entry.key, hash: entry.hash, default: Rows()) {
            rows -> (left: Left?, right: Right?)? in
            if shape.leftAlone,
                let index = rows.lefts.firstIndex(where: {
                    !$0.hasPartner && Self.deadline($0.time, upper, grain) <= deadline
                })
            {
                return (rows.lefts.remove(at: index).row, nil)
            }
            if shape.rightAlone,
                let index = rows.rights.firstIndex(where: {
                    !$0.hasPartner && Self.deadline($0.time, backward, grain) <= deadline
                })
            {
                return (nil, rows.rights.remove(at: index).row)
            }
            return nil
        }
        if taken != nil {
            count.value -= 1
            deadlines.index.add(entry, at: deadline)
        }
        return taken
    }

    /// Gives up the result of the next row without a partner.
    @inlinable
    func abandon(_ entry: WindowEntry<Key>, _ deadline: Int64) -> (any Sendable)? {
        var row: (any Sendable)?
        try? expire(entry, deadline, limit: deadline) { left, right, _ in
            if let left { row = left } else { row = right }
        }
        return row
    }
}

extension IntervalRows.Timed: Encodable where Row: Encodable {}
extension IntervalRows.Timed: Decodable where Row: Decodable {}
extension IntervalRows.Rows: Encodable where Left: Encodable, Right: Encodable {}
extension IntervalRows.Rows: Decodable where Left: Decodable, Right: Decodable {}
