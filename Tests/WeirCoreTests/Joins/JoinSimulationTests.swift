import Testing
import WeirCore
import WeirTesting

/// Crashes anywhere, and restarts with another parallelism: the results stay the same.
@Suite struct `Joins and changing results under crashes` {
    private static let lefts = JoinRow.random(seed: 1, count: 16)
    private static let rights = JoinRow.random(seed: 2, count: 16, firstID: 100)

    @Test func `keep windowed joins as they are`() throws {
        let simulation = Simulation { world in
            Topology("windows") {
                let left = EventStream("left", from: world.source("left", Self.lefts))
                    .eventTime(\.at, .boundedOutOfOrderness(.seconds(4)).neverIdle)
                let right = EventStream("right", from: world.source("right", Self.rights))
                    .eventTime(\.at, .boundedOutOfOrderness(.seconds(4)).neverIdle)
                `A windowed join`.join(
                    "full", left.keyed(by: \.key).window(.tumbling(.seconds(8))),
                    right.keyed(by: \.key)
                ).map { $0.sorted() }
                    .sink(world.sink("results", order: .any))
            }
        }.reordering(within: 1).parallelism(1...4)
        try simulation.run(seeds: 0..<40)
    }

    @Test func `keep interval joins as they are`() throws {
        let simulation = Simulation { world in
            Topology("intervals") {
                let left = EventStream("left", from: world.source("left", Self.lefts))
                    .eventTime(\.at, .monotonic.neverIdle)
                let right = EventStream("right", from: world.source("right", Self.rights))
                    .eventTime(\.at, .monotonic.neverIdle)
                left.keyed(by: \.key).join(
                    right.keyed(by: \.key), within: .seconds(-3) ... .seconds(5), .full
                ) { left, right throws in
                    if left == nil, right == nil { throw Unexpected() }
                    return pair(left, right)
                }
                .sink(world.sink("results", order: .any))
            }
        }.parallelism(1...4).ignoringState()
        try simulation.run(seeds: 0..<40)
    }

    @Test func `keep as-of joins as they are`() throws {
        let simulation = Simulation { world in
            Topology("as of") {
                let left = EventStream("left", from: world.source("left", Self.lefts))
                    .eventTime(\.at, .monotonic.neverIdle)
                let right = EventStream("right", from: world.source("right", Self.rights))
                    .eventTime(\.at, .monotonic.neverIdle)
                left.keyed(by: \.key).join(asOf: right.keyed(by: \.key)) {
                    left, right throws in
                    if left.id < 0 { throw Unexpected() }
                    return pair(left, right)
                }
                .sink(world.sink("results", order: .any))
            }
        }.parallelism(1...4).ignoringState()
        try simulation.run(seeds: 0..<40)
    }

    @Test(arguments: [JoinUniqueness.none, .left])
    func `keep regular joins as they are`(_ unique: JoinUniqueness) throws {
        let lefts = unique == .none ? Self.lefts : (0..<3).map { JoinRow($0, $0, at: 0) }
        let simulation = Simulation { world in
            Topology("regular") {
                let left = EventStream("left", from: world.source("left", lefts))
                let right = EventStream("right", from: world.source("right", Self.rights))
                left.keyed(by: \.key).join(right.keyed(by: \.key), unique: unique) {
                    left, right throws in
                    if left.id < 0 { throw Unexpected() }
                    return pair(left, right)
                }
                .sink(world.sink("results", order: .any))
            }
        }.parallelism(1...4).ignoringState()
        try simulation.run(seeds: 0..<40)
    }

    @Test func `leave the same rows of joined tables`() throws {
        let (lefts, rights) = (history(seed: 1, count: 14), history(seed: 2, count: 14))
        let simulation = Simulation { world in
            Topology("tables") {
                let left = EventStream("left", from: world.source("left", lefts))
                let right = EventStream("right", from: world.source("right", rights))
                `A join of tables`.join(
                    "full", ChangeStream(left).keyed(by: \.key),
                    ChangeStream(right).keyed(by: \.key)
                ).changes
                    // The changes depend on the order in which both sides come, what they leave does not.
                    .keyed(by: { _ in 0 })
                    .window(.global(trigger: .every(1_000_000)))
                    .reduce(into: [String: Int]()) { rows, change in
                        if let before = change.before { rows["\(before)", default: 0] -= 1 }
                        if let after = change.after { rows["\(after)", default: 0] += 1 }
                    }
                    .map { $0.value.filter { $0.value != 0 }.map { "\($0) \($1)" }.sorted() }
                    .sink(world.sink("rows"))
            }
        }.parallelism(1...4).ignoringState()
        try simulation.run(seeds: 0..<40)
    }

    @Test func `keep aggregates, ranks and newest rows as they are`() throws {
        let past = history(seed: 3, count: 24)
        let simulation = Simulation { world in
            Topology("changes") {
                let rows = EventStream("rows", from: world.source("rows", past))
                let keyed = ChangeStream(rows).keyed(by: \.key)
                keyed.aggregate(.largest(of: \.id), name: "largest").changes
                    .sink(world.sink("largest", order: .perKey { $0.row.key }))
                keyed.top(2, name: "first") { $0.id > $1.id }.changes
                    .sink(world.sink("first", order: .perKey { $0.row.key }))
                let inserted = rows.compactMap(\.after).keyed(by: \.key)
                inserted.top(2, name: "top") { $0.id % 7 > $1.id % 7 }.changes
                    .sink(world.sink("top", order: .perKey { $0.row.key }))
                inserted.latest(name: "latest").changes
                    .sink(world.sink("latest", order: .perKey { $0.row.key }))
                inserted.aggregate(
                    .distinctCounts(of: \.id, bands: { UInt8($0.id % 3) }), name: "distinct"
                ).map(\.value.total).changes
                    .sink(world.sink("distinct", order: .any))
            }
        }.parallelism(1...4)
        try simulation.run(seeds: 0..<40)
    }

    private struct Unexpected: Error {}
}
