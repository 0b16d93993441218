import Testing
import WeirCore
import WeirTesting

/// Crashes anywhere, also between a round and the next: what goes round is in the checkpoint.
@Suite struct `A loop under crashes` {
    @Test(arguments: [0, 1, 2]) func `counts each round once`(stages: Int) throws {
        let numbers = (1...12).map { Collatz($0) }
        let simulation = Simulation { world in
            Topology("numbers") {
                EventStream("numbers", from: world.source("numbers", numbers))
                    .steps(stages: stages)
                    .sink(world.sink("steps", order: .any))
            }
        }
        try simulation.run(seeds: 0..<60)
    }

    @Test func `reaches the same nodes with state in its body`() throws {
        let simulation = Simulation { world in
            Topology("graph") {
                EventStream("starts", from: world.source("starts", [1, 5, 30]))
                    .loop("reach") { node in
                        let new = node.keyed(by: { $0 }).distinct()
                        return (
                            feedback: new.flatMap { [($0 * 7 + 3) % 40, ($0 * 3) % 40] },
                            output: new
                        )
                    }
                    .sink(world.sink("reached", order: .any))
            }
        }.parallelism(1...4)
        try simulation.run(seeds: 0..<60)
    }

    @Test func `sums in windows what comes out of its rounds`() throws {
        let readings = (0..<20).map { Reading($0 % 2, 1 + $0 % 4, at: Double($0)) }
        let simulation = Simulation { world in
            Topology("time") {
                EventStream("readings", from: world.source("readings", readings))
                    .eventTime(\.at, .monotonic.neverIdle)
                    .loop("rounds") { reading in
                        let next = reading.stage("body").map { reading throws in
                            if reading.key < 0 { throw LoopFault() }
                            return reading.oneRoundLess
                        }.split { $0.value <= 0 }
                        return (feedback: next.rest, output: next.matching)
                    }
                    .keyed(by: \.key).window(.tumbling(.seconds(5))).aggregate(.count())
                    .map { [$0.key, $0.value] }
                    .sink(world.sink("counts", order: .any))
            }
        }.parallelism(1...4)
        try simulation.run(seeds: 0..<60)
    }
}
