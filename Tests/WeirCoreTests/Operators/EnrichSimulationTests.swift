import Testing
import WeirCore
import WeirTesting

/// Crashes anywhere: events meet the rows and rules of a second stream that they would have met
/// without them.
@Suite struct `Second streams under crashes` {
    private static let rows = (0..<12).map { Reading($0 % 4, 100 + $0, at: Double($0)) }
    private static let facts = (0..<16).map { Reading($0 % 5, $0, at: Double($0)) }

    /// Rows and facts in turn, two of each.
    private static let turns = (0..<24).map { index in
        index % 4 < 2
            ? Reading(index % 3, 100 + index, at: Double(index))
            : Reading(index % 3, index, at: Double(index))
    }

    private static func combined(_ fact: Reading, _ row: Reading?) throws -> [Int]? {
        if fact.value < 0 { throw Unfit() }
        return fact.value % 7 == 3 ? nil : [fact.key, fact.value, row?.value ?? -1]
    }

    private struct Unfit: Error {}

    @Test(arguments: [8_192, 5])
    func `give a table that is loaded first`(_ limit: Int) throws {
        let counts = SimulatedCounts()
        let simulation = Simulation { world in
            Topology("loaded") {
                let rows = EventStream("rows", from: world.source("rows", Self.rows))
                // With room for few, the facts come when the rows have long been there.
                let facts =
                    limit > 100
                    ? EventStream("facts", from: world.source("facts", Self.facts))
                    : world.paced("facts", Self.facts, by: 4)
                facts.enrich(
                    with: rows, by: \.key, rowKey: \.key, start: .whenLoaded(limit: limit),
                    Self.combined
                )
                .sink(world.sink("out", order: .perKey { $0[0] }))
            }
        }.parallelism(1...4).check { counts.note($0, "out", of: [Int].self) }
        try simulation.run(seeds: 0..<40)
        #expect(counts["out"] > 10)
        // A checkpoint is given up and the next one begins before all sources have sent its barrier.
        try simulation.replay(
            "seed:1108 order:1108 batch:512 uneven instances:6 in:facts=8,9,10,13,14,15 "
                + "in:rows=0,7,8,9,10,11 1:y33~277679 2:c10 2:c31 2:c46 2:d0*1@1")
    }

    @Test(arguments: [1_000_000, 2])
    func `give a table that changes`(_ entries: Int) throws {
        let counts = SimulatedCounts()
        let simulation = Simulation { world in
            Topology("changing") {
                let (rows, facts) = world.paced("in", Self.turns, by: 2)
                    .split { $0.value >= 100 }
                facts.enrich(
                    with: rows, by: \.key, rowKey: \.key, entries: entries,
                    // What is beyond the bound depends on how many share it.
                    parallelism: entries > 100 ? nil : 1, Self.combined
                )
                .sink(world.sink("out", order: .perKey { $0[0] }))
            }
        }.parallelism(1...4).check { counts.note($0, "out", of: [Int].self) }
        try simulation.run(seeds: 0..<40)
        #expect(counts["out"] > 8)
    }

    @Test func `give rules that change`() throws {
        let counts = SimulatedCounts()
        let simulation = Simulation { world in
            Topology("rules") {
                let (rules, facts) = world.paced("in", Self.turns, by: 2)
                    .split { $0.value >= 100 }
                facts.keyed(by: \.key)
                    .connect(broadcast: rules, into: [Int: Int]()) { rules, rule throws in
                        if rule.value < 0 { throw Unfit() }
                        rules[rule.key, default: 0] += rule.value
                    }
                    .compactMap { fact, rules throws in
                        if fact.value < 0 { throw Unfit() }
                        return [fact.key, fact.value, rules[fact.key] ?? -1]
                    }
                    .sink(world.sink("out", order: .perKey { $0[0] }))
            }
        }.parallelism(1...4).check { counts.note($0, "out", of: [Int].self) }
        try simulation.run(seeds: 0..<40)
        #expect(counts["out"] > 8)
    }
}
