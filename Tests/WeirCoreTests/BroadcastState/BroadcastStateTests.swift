import Testing
import WeirCore
import WeirTesting

private struct Rule: Codable, Sendable, Equatable {
    var key: Int
    var limit: Int
}

/// Counts the events of a key that are above its limit, and says when it is asked to how many there were.
private struct Counter: BroadcastHandler {
    struct State: Codable, Sendable { var above = 0 }
    func initialState(for key: Int) -> State { State() }

    func on(
        _ event: Reading, rules: [Int: Int], state: inout State,
        _ context: inout Context<Int, String>
    ) {
        guard event.value > rules[event.key] ?? 0 else { return }
        state.above += 1
        context.emit("\(event.key) \(event.value) \(state.above)")
        if state.above == 1, event.at > EventTime() { context.setTimer(at: time(1_000)) }
    }

    func onTimer(
        _ timer: FiredTimer, rules: [Int: Int], state: inout State,
        _ context: inout Context<Int, String>
    ) {
        context.emit("\(context.key) \(state.above) in all, limit \(rules[context.key] ?? 0)")
    }
}

@Suite struct `Broadcast state` {
    private static func counted(
        _ readings: EventStream<Reading>, _ rules: EventStream<Rule>,
        start: TableStart = .immediate, parallelism: Int? = nil
    ) -> EventStream<String> {
        readings.keyed(by: \.key, parallelism: parallelism)
            .connect(broadcast: rules, into: [Int: Int](), start: start) { rules, rule throws in
                if rule.limit < 0 { throw Unfit() }
                rules[rule.key] = rule.limit
            }
            .handle("counter") { Counter() }
    }

    private struct Unfit: Error {}

    @Test(arguments: [1, 3]) func `is the same in all instances and may change while it runs`(
        _ parallelism: Int
    ) throws {
        let (readings, rules) = (SourceProbe<Reading>(), SourceProbe<Rule>())
        let out = SinkProbe<String>("out")
        let test = try TopologyTest(
            Topology("rules") {
                Self.counted(
                    EventStream("in", from: readings.source),
                    EventStream("rules", from: rules.source), parallelism: parallelism
                ).sink(out.sink)
            })
        rules.send(Rule(key: 1, limit: 10))
        rules.send(Rule(key: 2, limit: 20))
        try test.run()
        for key in 0..<3 { readings.send(Reading(key, 15, at: 0)) }
        try test.run()
        #expect(out.received.sorted() == ["0 15 1", "1 15 1"])
        rules.send(Rule(key: 2, limit: 12))
        rules.send(Rule(key: 1, limit: 99))
        try test.run()
        for key in 0..<3 { readings.send(Reading(key, 16, at: 0)) }
        try test.run()
        #expect(out.received.sorted() == ["0 15 1", "0 16 2", "1 15 1", "2 16 1"])
    }

    @Test func `keeps events waiting for the rules when it is told to`() throws {
        let (readings, rules) = (SourceProbe<Reading>(), SourceProbe<Rule>())
        let out = SinkProbe<String>("out")
        let test = try TopologyTest(
            Topology("waiting") {
                Self.counted(
                    EventStream("in", from: readings.source),
                    EventStream("rules", from: rules.source), start: .whenLoaded()
                ).sink(out.sink)
            })
        readings.send(Reading(1, 15, at: 0))
        try test.run()
        rules.send(Rule(key: 1, limit: 20))
        try test.run()
        #expect(out.received == [])
        rules.finish()
        try test.run()
        readings.send(Reading(1, 25, at: 0))
        try test.run()
        #expect(out.received == ["1 25 1"])
    }

    @Test(arguments: [1, 3])
    func `gives up a rule that its closure refuses, once, and keeps the others`(
        _ parallelism: Int
    ) throws {
        let (readings, rules) = (SourceProbe<Reading>(), SourceProbe<Rule>())
        let out = SinkProbe<String>("out")
        let test = try TopologyTest(
            Topology("unfit") {
                Self.counted(
                    EventStream("in", from: readings.source),
                    EventStream("rules", from: rules.source), parallelism: parallelism
                ).sink(out.sink)
            })
        for limit in [5, -1, 10] { rules.send(Rule(key: 1, limit: limit)) }
        try test.advance(by: .seconds(60))
        readings.send(Reading(1, 7, at: 0))
        readings.send(Reading(1, 11, at: 0))
        try test.run()
        #expect(out.received == ["1 11 1"])
        #expect(test.running.deadLetters.total == 1)
    }

    @Test func `turns events into others`() throws {
        let (readings, rules) = (SourceProbe<Reading>(), SourceProbe<Int>())
        let out = SinkProbe<Int>("out")
        let test = try TopologyTest(
            Topology("map") {
                EventStream("in", from: readings.source).keyed(by: \.key)
                    .connect(broadcast: EventStream("rules", from: rules.source), into: 0) {
                        $0 += $1
                    }
                    .compactMap { $0.value > $1 ? $0.value - $1 : nil }
                    .sink(out.sink)
            })
        readings.send(Reading(0, 7, at: 0))
        try test.run()
        rules.send(5)
        rules.send(1)
        try test.run()
        readings.send(Reading(0, 7, at: 0))
        readings.send(Reading(0, 3, at: 0))
        try test.run()
        #expect(out.received == [7, 1])
    }

    @Test func `goes on from a checkpoint in all instances, however many`() throws {
        let continuation = Continuation<Reading, String>(
            group: { Int($0.prefix(1)) ?? -1 }, rescales: true, settles: true
        ) { events in
            let (readings, rules) = events.eventTime(\.at, .monotonic.neverIdle)
                .split { $0.value % 5 != 0 }
            return Self.counted(
                readings, rules.map { Rule(key: $0.value % 3, limit: $0.value) })
        }
        for seed in 0..<4 as Range<UInt64> {
            var random = SplitMix64(seed: seed)
            let readings = (0..<60).map { index in
                Reading(index % 3, Int.random(in: 0..<40, using: &random), at: Double(index))
            }
            try continuation.expectSame(readings.steps)
        }
    }

    @Test func `is the same after crashes`() throws {
        let rules = (0..<6).map { Rule(key: $0, limit: 10) }
        let readings = (0..<30).map { Reading($0 % 3, $0 * 7 % 30, at: Double($0)) }
        let simulation = Simulation { world in
            Topology("crashes") {
                Self.counted(
                    EventStream("in", from: world.source("in", readings)),
                    EventStream("rules", from: world.source("rules", rules)),
                    start: .whenLoaded()
                ).sink(world.sink("out", order: .any))
            }
        }.parallelism(1...4).ignoringState()
        try simulation.run(seeds: 0..<40)
    }
}
