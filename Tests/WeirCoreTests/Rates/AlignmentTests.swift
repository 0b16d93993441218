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

    @Test func `let a checkpoint through that waits behind what they hold back`() throws {
        let (fast, slow) = (SourceProbe<Reading>(), SourceProbe<Reading>())
        let out = SinkProbe<Int>("out")
        var configuration = TopologyTest.configuration
        configuration.batchSize = 1
        configuration.store = continuationStore()
        let topology = Topology("t") {
            EventStream("fast", from: fast.source).stage("fast parsed")
                .eventTime(\.at, .monotonic.neverIdle)
                .aligned(in: "both", maximumDrift: .seconds(5))
                .merge(
                    EventStream("slow", from: slow.source).stage("slow parsed")
                        .eventTime(\.at, .monotonic.neverIdle)
                        .aligned(in: "both", maximumDrift: .seconds(5))
                )
                .mailbox(.bounded(4)).map(\.value).sink(out.sink)
        }
        let test = try TopologyTest(topology, configuration: configuration)
        slow.send(Reading(0, 0, at: 10))
        for event in Self.events(0..<100) { fast.send(event) }
        try test.run()
        #expect(out.received.count < 30)
        test.start { [running = test.running] in _ = try await running.checkpoint() }
        try test.run()
        for event in Self.events(11..<100) { slow.send(event) }
        try test.run()
        fast.finish()
        slow.finish()
        try test.finish()
        #expect(out.received.count == 190)
    }

    @Test func `let a checkpoint through that waits for the rest of a position`() throws {
        let fast = Source<Reading>("whole") { inlet in
            let whole = Batch(ContiguousArray(Self.events(0..<100)))
            try await inlet.send(whole, position: SourcePosition(offset: 100))
        }
        let slow = SourceProbe<Reading>()
        let out = SinkProbe<Int>("out")
        var configuration = TopologyTest.configuration
        configuration.batchSize = 1
        configuration.store = continuationStore()
        let topology = Topology("t") {
            EventStream("fast", from: fast).eventTime(\.at, .monotonic.neverIdle)
                .aligned(in: "both", maximumDrift: .seconds(5))
                .merge(
                    EventStream("slow", from: slow.source).eventTime(\.at, .monotonic.neverIdle)
                        .aligned(in: "both", maximumDrift: .seconds(5))
                )
                .mailbox(.bounded(4)).map(\.value).sink(out.sink)
        }
        let test = try TopologyTest(topology, configuration: configuration)
        slow.send(Reading(0, 0, at: 10))
        try test.run()
        #expect(out.received.count < 30)
        let checkpoint = test.start { [running = test.running] in
            try await running.checkpoint()
        }
        try test.run()
        for event in Self.events(11..<100) { slow.send(event) }
        slow.finish()
        try test.finish()
        #expect(out.received.count == 190)
        #expect(try test.perform { try await checkpoint.value } == 1)
    }
}
