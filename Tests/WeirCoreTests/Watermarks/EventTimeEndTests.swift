import Testing
import WeirCore
import WeirTesting

@Suite struct `The end of event time` {
    private let strategy = WatermarkStrategy<Reading>.monotonic.idle(after: .seconds(30))

    /// What a handler's timers give when a source's last watermark and its end leave together.
    private func timers(
        behind operators: (EventStream<Reading>) -> EventStream<Reading>
    ) throws -> [EventTime] {
        let source = SourceProbe<Reading>()
        let sink = SinkProbe<EventTime>()
        let readings = EventStream("in", from: source.source)
            .eventTime(\.at, .punctuated { $0.watermark }.neverIdle)
            .filter { $0.watermark == nil }
        let timers = operators(readings).keyed(by: \.key).handle("each-second") { Periodic() }
        let test = try TopologyTest(Topology("periodic") { timers.sink(sink.sink) })
        source.send(Reading(1, at: 0), .watermark(3.5))
        source.finish()
        try test.finish()
        return sink.received
    }

    @Test func `comes behind the watermark before it, also when both leave together`() throws {
        let received = try timers { $0 }
        #expect(received == [1, 2, 3, 4].map { time($0) })
    }

    @Test func `comes behind the watermark that an operator has held back`() throws {
        let received = try timers {
            $0.keyed(by: \.key).latestPerCheckpoint(name: "latest").map(\.element)
        }
        #expect(received == [1, 2, 3, 4].map { time($0) })
    }

    @Test(arguments: [false, true])
    func `comes when time is where the furthest input has brought it`(isFirst: Bool) throws {
        let (near, far) = (SourceProbe<Reading>(), SourceProbe<Reading>())
        let sink = SinkProbe<EventTime>()
        let (nearStrategy, strategy) = (strategy, strategy)
        let test = try TopologyTest(
            Topology("periodic") {
                EventStream("near", from: near.source).eventTime(\.at, nearStrategy)
                    .merge(EventStream("far", from: far.source).eventTime(\.at, strategy))
                    .filter { $0.value == 0 }
                    .keyed(by: \.key).handle("each-second") { Periodic() }
                    .sink(sink.sink)
            })
        near.send(Reading(1, 0, at: 0), Reading(1, 1, at: 2.5))
        far.send(Reading(1, 1, at: 4.5))
        try test.run()
        for probe in isFirst ? [near, far] : [far, near] {
            probe.finish()
            try test.run()
        }
        try test.finish()
        #expect(sink.received == [1, 2, 3, 4, 5].map { time($0) })
    }

    @Test func `does not come while one input is idle and the others end`() throws {
        let (live, finite) = (SourceProbe<Reading>(), SourceProbe<Reading>())
        let sink = SinkProbe<Bool>()
        let (liveStrategy, strategy) = (strategy, strategy)
        let test = try TopologyTest(
            Topology("backfill") {
                EventStream("live", from: live.source).eventTime(\.at, liveStrategy)
                    .merge(EventStream("finite", from: finite.source).eventTime(\.at, strategy))
                    .keyed(by: \.key).handle("lateness") { IsLate() }
                    .sink(sink.sink)
            })
        live.send(Reading(1, at: 100))
        finite.send(Reading(1, at: 50))
        try test.run()
        try test.advance(by: .seconds(31))
        finite.finish()
        try test.run()
        live.send(Reading(1, at: 101))
        live.finish()
        try test.finish()
        #expect(sink.received == [false, false, false])
    }
}
