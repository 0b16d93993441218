import Testing
import WeirCore
import WeirTesting

/// Applies changes to a multiset of rows; nil if they delete what isn't there.
func folded<Row: Hashable>(_ changes: [Change<Row>]) -> [Row: Int]? {
    var rows: [Row: Int] = [:]
    for change in changes {
        if let before = change.before {
            guard let count = rows[before] else { return nil }
            rows[before] = count == 1 ? nil : count - 1
        }
        if let after = change.after { rows[after, default: 0] += 1 }
    }
    return rows
}

func counted<Row: Hashable>(_ rows: [Row]) -> [Row: Int] {
    Dictionary(rows.map { ($0, 1) }, uniquingKeysWith: +)
}

/// A consistent history of a table of rows whose keys may change.
func history(seed: UInt64, count: Int, firstID: Int = 0) -> [Change<JoinRow>] {
    var random = SplitMix64(seed: seed)
    var rows: [JoinRow] = []
    return (0..<count).map { index in
        let new = JoinRow(Int.random(in: 0...2, using: &random), firstID + index, at: 0)
        guard !rows.isEmpty, Bool.random(using: &random) else {
            rows.append(new)
            return .insert(new)
        }
        let old = rows.indices.randomElement(using: &random) ?? 0
        if Bool.random(using: &random) { return .delete(rows.remove(at: old)) }
        defer { rows[old] = new }
        return .update(before: rows[old], after: new)
    }
}

func table(_ name: String, _ changes: [Change<JoinRow>]) -> ChangeStream<JoinRow> {
    ChangeStream(EventStream(name, from: .collection(changes)))
}

@Suite struct `A join of tables` {
    static func join(
        _ kind: String, _ left: KeyedChanges<Int, JoinRow>, _ right: KeyedChanges<Int, JoinRow>
    ) -> ChangeStream<[Int]> {
        switch kind {
        case "inner": left.join(right, .inner) { pair($0, $1) }
        case "left": left.join(right, .left) { pair($0, $1) }
        case "right": left.join(right, .right) { pair($0, $1) }
        case "full": left.join(right, .full) { pair($0, $1) }
        case "semi": left.join(right, .semi) { row, _ in pair(row, nil) }
        default: left.join(right, .anti) { row, _ in pair(row, nil) }
        }
    }

    @Test(arguments: joinKinds)
    func `follows inserts, updates and deletes on both sides`(_ kind: String) async throws {
        for seed in 0..<8 as Range<UInt64> {
            let lefts = history(seed: seed, count: 40)
            let rights = history(seed: seed + 100, count: 40, firstID: 1_000)
            let changes = try await collect(batchSize: 3, parallelism: 2) {
                Self.join(
                    kind, table("left", lefts).keyed(by: \.key),
                    table("right", rights).keyed(by: \.key)
                ).changes
            }
            let expected = joined(
                kind, Array(folded(lefts)?.keys ?? [:].keys),
                Array(folded(rights)?.keys ?? [:].keys)
            ) { $0.key == $1.key }
            #expect(folded(changes) == counted(expected), "\(kind), seed \(seed)")
        }
    }

    @Test func `takes rows of its result back that its closure leaves out`() async throws {
        let row = JoinRow(0, 1, at: 0)
        let odd = JoinRow(0, 2, at: 0)
        let changes = try await collect {
            let left = table("left", [.insert(row), .update(before: row, after: odd)])
            let right = table("right", [.insert(JoinRow(0, 9, at: 0))])
            return left.keyed(by: \.key).join(right.keyed(by: \.key), .inner) { left, right in
                left.id == 2 ? nil : pair(left, right)
            }.changes
        }
        #expect(folded(changes) == [:])
    }
}

@Suite struct `A changing result` {
    @Test func `of an aggregate follows the events`() async throws {
        let rows = JoinRow.random(seed: 1, count: 80)
        let changes = try await collect(parallelism: 3) {
            EventStream("rows", from: .collection(rows)).keyed(by: \.key)
                .aggregate(.max(of: \.id)).changes
        }
        let expected = Dictionary(grouping: rows, by: \.key).map {
            Keyed(key: $0.key, value: $0.value.map(\.id).max())
        }
        #expect(folded(changes) == counted(expected))
    }

    @Test func `of an aggregate says nothing when it stays the same`() async throws {
        let changes = try await collect {
            EventStream("rows", from: .collection([3, 1, 2, 5])).keyed(by: { _ in 0 })
                .aggregate(.max(of: { $0 })).changes.map { $0.after?.value ?? -1 }
        }
        #expect(changes == [3, 5])
    }

    @Test func `of an aggregate over changes follows them`() async throws {
        for seed in 0..<8 as Range<UInt64> {
            let past = history(seed: seed, count: 60)
            let largest = try await collect(batchSize: 3, parallelism: 2) {
                table("rows", past).keyed(by: \.key).aggregate(.largest(of: \.id)).changes
            }
            let sums = try await collect(batchSize: 3) {
                table("rows", past).keyed(by: \.key).aggregate(.sum(of: \.id)).changes
            }
            let groups = Dictionary(grouping: folded(past)?.keys.map { $0 } ?? [], by: \.key)
            #expect(
                folded(largest)
                    == counted(groups.map { Keyed(key: $0.key, value: $0.value.map(\.id).max()) }))
            #expect(
                folded(sums)
                    == counted(
                        groups.map { Keyed(key: $0.key, value: $0.value.map(\.id).reduce(0, +)) }))
        }
    }

    @Test func `is filtered and mapped row by row`() async throws {
        let past = history(seed: 5, count: 60)
        let changes = try await collect {
            table("rows", past).filter { $0.id % 2 == 0 }.map(\.id).changes
        }
        let expected = (folded(past) ?? [:]).keys.filter { $0.id % 2 == 0 }.map(\.id)
        #expect(folded(changes) == counted(expected))
    }

    @Test func `keeps the newest event of each key by time`() async throws {
        let rows = [
            JoinRow(0, 1, at: 5), JoinRow(0, 2, at: 3), JoinRow(1, 3, at: 1), JoinRow(0, 4, at: 5),
        ]
        let changes = try await collect {
            EventStream("rows", from: .collection(rows)).eventTime(\.at).keyed(by: \.key)
                .latest().changes
        }
        #expect(
            changes == [
                .insert(rows[0]), .insert(rows[2]), .update(before: rows[0], after: rows[3]),
            ])
    }

    @Test func `upserts by key`() async throws {
        let (one, two) = (JoinRow(0, 1, at: 0), JoinRow(1, 2, at: 0))
        let upserts = try await collect {
            table("rows", [.insert(one), .update(before: one, after: two), .delete(two)])
                .upserts(by: \.key)
        }
        #expect(
            upserts == [
                Upsert(key: 0, row: one), Upsert(key: 0, row: nil), Upsert(key: 1, row: two),
                Upsert(key: 1, row: nil),
            ])
    }
}

@Suite struct `Top-N` {
    private static func expected(_ rows: [JoinRow], _ count: Int) -> [Ranked<Int, JoinRow>: Int] {
        let groups = Dictionary(grouping: rows, by: \.key)
        return counted(
            groups.flatMap { group in
                group.value.sorted { ($0.id % 10, $0.id) < ($1.id % 10, $1.id) }.prefix(count)
                    .enumerated()
                    .map { Ranked(key: group.key, rank: $0.offset + 1, row: $0.element) }
            })
    }

    @Test(arguments: [1, 3])
    func `follows the events with ranks`(_ count: Int) async throws {
        let rows = JoinRow.random(seed: 3, count: 80)
        let changes = try await collect(batchSize: 7, parallelism: 2) {
            EventStream("rows", from: .collection(rows)).keyed(by: \.key)
                .top(count) { $0.id % 10 < $1.id % 10 }.changes
        }
        #expect(folded(changes) == Self.expected(rows, count))
    }

    @Test func `follows rows that come and go`() async throws {
        for seed in 0..<8 as Range<UInt64> {
            let past = history(seed: seed, count: 60)
            let changes = try await collect(batchSize: 3, parallelism: 2) {
                table("rows", past).keyed(by: \.key)
                    .top(2) { ($0.id % 10, $0.id) < ($1.id % 10, $1.id) }.changes
            }
            #expect(folded(changes) == Self.expected((folded(past) ?? [:]).map(\.key), 2))
        }
    }

    @Test func `moves those behind an event that comes in`() async throws {
        let changes = try await collect {
            EventStream("rows", from: .collection([5, 7, 6, 1])).keyed(by: { _ in 0 })
                .top(2, by: >).changes
        }
        func ranked(_ rank: Int, _ row: Int) -> Ranked<Int, Int> {
            Ranked(key: 0, rank: rank, row: row)
        }
        #expect(
            changes == [
                .insert(ranked(1, 5)), .update(before: ranked(1, 5), after: ranked(1, 7)),
                .insert(ranked(2, 5)), .update(before: ranked(2, 5), after: ranked(2, 6)),
            ])
    }
}

@Suite struct `Distinct counts by band` {
    @Test func `are exact, also of parts that are combined and of a copy`() throws {
        let aggregate = DistinctCountsAggregate<(Int, UInt8), Int>(of: { $0.0 }, bands: { $0.1 })
        var random = SplitMix64(seed: 1)
        let inputs = (0..<5_000).map { _ in
            (Int.random(in: 0..<700, using: &random), UInt8.random(in: 0..<8, using: &random))
        }
        var (first, second) = (aggregate.initial(), aggregate.initial())
        for input in inputs.prefix(2_000) { aggregate.add(input, to: &first) }
        for input in inputs.dropFirst(2_000) { aggregate.add(input, to: &second) }
        aggregate.combine(second, into: &first)
        let counts = aggregate.result(of: first)
        #expect(counts.total == Set(inputs.map(\.0)).count)
        for band in 0..<3 {
            let members = inputs.filter { $0.1 & (1 << band) != 0 }.map(\.0)
            #expect(counts.inBand(band) == Set(members).count)
        }
        #expect(counts.inBand(5) == 0)
    }
}
