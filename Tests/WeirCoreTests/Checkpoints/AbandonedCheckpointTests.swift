import Testing
import WeirCore
import WeirTesting

/// The disk fails while a checkpoint is being taken, and the next one begins before all sources have
/// had the barrier of the first.
@Suite struct `Checkpoints that are given up` {
    @Test func `leave no barrier that another one is taken for`() throws {
        let simulation = Simulation { world in
            Topology("given up") {
                let left = EventStream("left", from: world.source("left", Array(0..<12)))
                let right = EventStream("right", from: world.source("right", Array(100..<112)))
                left.stage("on the way").merge(right)
                    .sink(world.sink("out", order: .perKey { $0 / 100 }))
            }
        }.checkpoints(upTo: 40).diskErrors(upTo: 8)
        try simulation.run(seeds: 0..<40)
    }
}
