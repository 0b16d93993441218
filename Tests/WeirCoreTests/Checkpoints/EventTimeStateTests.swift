import Testing
import WeirCore
import WeirTesting

private struct CountingGenerator: WatermarkGenerator, Codable {
    var latest = EventTime.min
    var events = 0

    mutating func observe(_ event: Reading, at time: EventTime) {
        latest = max(latest, time)
        events += 1
    }

    mutating func watermark(now: EventTime) -> EventTime? {
        // Only every seventh event says anything, so that the count matters.
        events % 7 == 0 ? latest : nil
    }
}

@Suite(.everyStateBackend) struct `Event time goes on from a checkpoint` {
    static let strategies: [WatermarkStrategy<Reading>] = [
        .boundedOutOfOrderness(.nanoseconds(6)), .monotonic,
        .punctuated { $0.value % 4 == 0 ? $0.at : nil }, .custom { CountingGenerator() },
    ]

    @Test(arguments: strategies.indices)
    func `with its watermark, so that the same events are late`(_ index: Int) throws {
        let strategy = Self.strategies[index]
        try Continuation<Reading, Windowed<Int, Int>>(group: { $0.key }) {
            $0.eventTime(\.at, strategy).keyed(by: \.key).window(.tumbling(.nanoseconds(10)))
                .aggregate(.count())
        }.expectSame(randomReadings(seed: 4, count: 80).steps)
        try Continuation<Reading, String>(
            group: { Int($0.prefix(1)) ?? -1 }, settles: true
        ) {
            let windows = $0.eventTime(\.at, strategy).keyed(by: \.key)
                .window(.tumbling(.nanoseconds(10)))
            return windows.aggregate(.count()).map { "\($0.key) \($0.value)" }
                .merge(windows.late.map { "late \($0)" })
        }.expectSame(randomReadings(seed: 4, count: 80).steps)
    }

    @Test func `with what ingestion gave it`() throws {
        let readings = randomReadings(seed: 6, count: 40)
        try Continuation<Reading, Windowed<Int, Int>>(group: { $0.key }) {
            $0.ingestionTime().keyed(by: \.key).window(.tumbling(.nanoseconds(10)))
                .aggregate(.count())
        }.expectSame(readings.steps(seed: 1, upTo: .nanoseconds(6)))
    }

    @Test func `and each of several inputs with its own`() throws {
        let store = continuationStore()
        func run(
            _ steps: (SourceProbe<Reading>, SourceProbe<Reading>, TopologyTest) throws -> Void
        ) throws -> [String] {
            let (ahead, behind) = (SourceProbe<Reading>(), SourceProbe<Reading>())
            let results = SinkProbe<String>("results")
            var configuration = TopologyTest.configuration
            configuration.store = store
            let topology = Topology("merged") {
                EventStream("ahead", from: ahead.source).eventTime(\.at, .monotonic)
                    .merge(EventStream("behind", from: behind.source).eventTime(\.at, .monotonic))
                    .keyed(by: \.key).window(.tumbling(.seconds(10))).aggregate(.count())
                    .map { "\($0.key) \($0.value)" }.sink(results.sink)
            }
            let test = try TopologyTest(topology, configuration: configuration)
            try test.run()
            try steps(ahead, behind, test)
            return results.received
        }
        let first = try run { ahead, behind, test in
            ahead.send(Reading(1, at: 100))
            behind.send(Reading(2, at: 5))
            try test.run()
            test.start { [running = test.running] in _ = try? await running.suspend() }
            try test.run()
        }
        #expect(first.isEmpty)
        // Nothing more has to come by the input that was ahead for time to go on.
        let second = try run { ahead, behind, test in
            behind.send(Reading(2, at: 50))
            try test.run()
        }
        #expect(second == ["2 1"])
    }

    @Test func `and an idle stream becomes idle anew`() throws {
        let steps = randomReadings(seed: 9, count: 30).steps + [.advance(.seconds(60))]
        try Continuation<Reading, Windowed<Int, Int>>(
            group: { $0.key }, settles: true
        ) { events in
            let (active, quiet) = events.split { $0.key < 3 }
            let strategy = WatermarkStrategy<Reading>.monotonic.idle(after: .seconds(1))
            return active.eventTime(\.at, strategy).merge(quiet.eventTime(\.at, strategy))
                .keyed(by: \.key).window(.tumbling(.nanoseconds(10))).aggregate(.count())
        }.expectSame(steps)
    }
}
