import Testing
import WeirCore
import WeirTesting

@Suite(.everyStateBackend) struct `Keys of which nothing is left` {
    @Test func `are forgotten by an as-of join`() throws {
        let (events, versions) = (SourceProbe<JoinRow>(), SourceProbe<JoinRow>())
        let sink = SinkProbe<[Int]>()
        let strategy = WatermarkStrategy<JoinRow>.monotonic.neverIdle
        let topology = Topology("t") {
            EventStream("events", from: events.source).eventTime(\.at, strategy).keyed(by: \.key)
                .join(
                    asOf: EventStream("versions", from: versions.source).eventTime(\.at, strategy)
                        .keyed(by: \.key), name: "join"
                ) { pair($0, $1) }
                .sink(sink.sink)
        }
        let test = try TopologyTest(topology)
        versions.send(JoinRow(1_000, 1_000, at: 1_000))
        for key in 0..<10 { events.send(JoinRow(key, key, at: 1)) }
        try test.run()
        #expect(test.running.status().stage("join")?.stateKeys == 11)
        events.send(JoinRow(1_000, 10, at: 2_000))
        try test.run()
        #expect(sink.received.count == 10)
        #expect(test.running.status().stage("join")?.stateKeys == 1)
        // Late ones, of other keys.
        for key in 20..<30 { events.send(JoinRow(key, key, at: 1)) }
        try test.run()
        #expect(sink.received.count == 20)
        #expect(test.running.status().stage("join")?.stateKeys == 1)
    }

    @Test func `are forgotten by windows of a number of events`() throws {
        let source = SourceProbe<Reading>()
        let sink = SinkProbe<Int>()
        let topology = Topology("t") {
            EventStream("in", from: source.source).keyed(by: \.key).window(.count(2))
                .aggregate(.sum(of: \.value), name: "windows").map(\.value).sink(sink.sink)
        }
        let test = try TopologyTest(topology)
        for key in 0..<10 { source.send(Reading(key, 1, at: 0), Reading(key, 2, at: 0)) }
        try test.run()
        #expect(sink.received == Array(repeating: 3, count: 10))
        #expect(test.running.status().stage("windows")?.stateKeys == 0)
        source.send(Reading(3, 7, at: 0))
        try test.run()
        #expect(test.running.status().stage("windows")?.stateKeys == 1)
        source.finish()
        try test.finish()
        #expect(sink.received.last == 7)
    }
}
