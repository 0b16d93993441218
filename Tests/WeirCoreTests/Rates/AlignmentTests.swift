import Testing
import WeirCore
import WeirTesting

@Suite struct `Aligned streams` {
    private static func events(_ seconds: Range<Int>, every step: Int = 1) -> [Reading] {
        seconds.filter { $0 % step == 0 }.map { Reading(0, $0, at: Double($0)) }
    }

    private struct Run {
        let fast = SourceProbe<Reading>()
        let slow = SourceProbe<Reading>()
        let out = SinkProbe<String>("out")
        let test: TopologyTest

        init(idle: Duration = .seconds(30)) throws {
            let (fast, slow, out) = (fast, slow, out)
            var configuration = TopologyTest.configuration
            configuration.batchSize = 1
            test = try TopologyTest(
                Topology("aligned") {
                    EventStream("fast", from: fast.source)
                        .eventTime(\.at, .monotonic.idle(after: idle))
                        .aligned(in: "both", maximumDrift: .seconds(5)).map { "fast \($0.value)" }
                        .sink(out.sink.named("a"))
                    EventStream("slow", from: slow.source)
                        .eventTime(\.at, .monotonic.idle(after: idle))
                        .aligned(in: "both", maximumDrift: .seconds(5)).map { "slow \($0.value)" }
                        .sink(out.sink.named("b"))
                }, configuration: configuration)
        }

        /// How far the fast stream has come.
        var fastest: Int {
            out.received.filter { $0.hasPrefix("fast") }.compactMap { Int($0.dropFirst(5)) }.max()
                ?? -1
        }
    }

    @Test func `wait for the slowest one`() throws {
        let run = try Run()
        for event in Self.events(0..<100) { run.fast.send(event) }
        run.slow.send(Reading(0, 10, at: 10))
        try run.test.run()
        #expect((10...18).contains(run.fastest))
        run.slow.send(Reading(0, 50, at: 50))
        try run.test.run()
        #expect((50...58).contains(run.fastest))
        run.slow.finish()
        try run.test.run()
        #expect(run.fastest == 99)
        run.fast.finish()
        try run.test.finish()
    }

    @Test func `do not wait for one that is idle`() throws {
        let run = try Run(idle: .seconds(10))
        run.slow.send(Reading(0, 10, at: 10))
        try run.test.run()
        for event in Self.events(0..<100) { run.fast.send(event) }
        try run.test.run()
        #expect(run.fastest < 20)
        try run.test.advance(by: .seconds(11))
        #expect(run.fastest == 99)
    }

    @Test func `lose nothing under crashes`() throws {
        let (fast, slow) = (Self.events(0..<40), Self.events(0..<40, every: 4))
        let simulation = Simulation { world in
            Topology("crashes") {
                EventStream("fast", from: .collection(world.events("fast", fast)))
                    .eventTime(\.at, .monotonic.neverIdle)
                    .aligned(in: "both", maximumDrift: .seconds(3))
                    .merge(
                        EventStream("slow", from: .collection(world.events("slow", slow)))
                            .eventTime(\.at, .monotonic.neverIdle)
                            .aligned(in: "both", maximumDrift: .seconds(3))
                    )
                    .sink(world.sink("out", order: .any))
            }
        }
        try simulation.run(seeds: 0..<40)
    }
}
