import Testing
import WeirCore
import WeirTesting

private struct Dated: Codable, Sendable, Equatable {
    var id: Int
    var key: Int
    var at: EventTime
}

@Suite struct `A simulation of operators with state` {
    static let events = (1...30).map {
        Dated(id: $0, key: $0 % 3, at: EventTime(nanoseconds: Int64($0) * 1_000_000_000))
    }

    @Test func `passes with windows over reordered events`() throws {
        let simulation = Simulation { world in
            Topology("windows") {
                EventStream("events", from: world.source("events", Self.events))
                    .eventTime(\.at, .boundedOutOfOrderness(.seconds(5)))
                    .keyed(by: \.key)
                    .window(.tumbling(.seconds(7)))
                    .reduce(into: 0) { $0 += $1.id }
                    .map { [$0.key, $0.value] }
                    .sink(world.sink("sums", order: .perKey { $0[0] }))
            }
        }.reordering(within: 3)
        try simulation.run(seeds: 0..<150)
    }

    @Test func `passes with chunks behind a stage`() throws {
        let simulation = Simulation { world in
            Topology("chain") {
                EventStream("events", from: world.source("events", Self.events))
                    .removeDuplicates()
                    .stage("second")
                    .chunked(count: 4)
                    .map { chunk throws in
                        if chunk.isEmpty { throw Refused() }
                        return chunk.map(\.id)
                    }
                    .sink(world.sink("chunks"))
            }
        }
        try simulation.run(seeds: 0..<150)
    }
}
