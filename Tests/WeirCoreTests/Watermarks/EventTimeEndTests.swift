import Testing
import WeirCore
import WeirTesting

@Suite struct `The end of event time` {
    /// Fires each second from the second behind an event on, as far as time goes.
    private struct EachSecond: KeyedHandler {
        func initialState(for key: Int) -> Int { 0 }
        func on(_ event: Reading, state: inout Int, _ context: inout Context<Int, EventTime>) {
            context.setTimer(at: event.at.advanced(by: .seconds(1)))
        }
        func onTimer(
            _ timer: FiredTimer, state: inout Int, _ context: inout Context<Int, EventTime>
        ) {
            context.emit(timer.time)
            context.setTimer(at: timer.time.advanced(by: .seconds(1)))
        }
    }

    /// Whether each event is late when it is handled.
    private struct Lateness: KeyedHandler {
        func initialState(for key: Int) -> Int { 0 }
        func on(_ event: Reading, state: inout Int, _ context: inout Context<Int, Bool>) {
            context.emit(context.watermark > event.at)
        }
    }

    private let strategy = WatermarkStrategy<Reading>.monotonic.idle(after: .seconds(30))

    @Test func `comes behind the watermark before it, also when both leave together`() throws {
        let source = SourceProbe<Reading>()
        let sink = SinkProbe<EventTime>()
        let test = try TopologyTest(
            Topology("periodic") {
                EventStream("in", from: source.source)
                    .eventTime(\.at, .punctuated { $0.watermark }.neverIdle)
                    .filter { $0.watermark == nil }
                    .keyed(by: \.key).handle("each-second") { EachSecond() }
                    .sink(sink.sink)
            })
        source.send(Reading(1, at: 0), .watermark(3.5))
        source.finish()
        try test.finish()
        #expect(sink.received == [1, 2, 3, 4].map { time($0) })
    }

    @Test func `comes behind the watermark that an operator has held back`() throws {
        let source = SourceProbe<Reading>()
        let sink = SinkProbe<EventTime>()
        let test = try TopologyTest(
            Topology("periodic") {
                EventStream("in", from: source.source)
                    .eventTime(\.at, .punctuated { $0.watermark }.neverIdle)
                    .filter { $0.watermark == nil }
                    .keyed(by: \.key).latestPerCheckpoint(name: "latest").map(\.element)
                    .keyed(by: \.key).handle("each-second") { EachSecond() }
                    .sink(sink.sink)
            })
        source.send(Reading(1, at: 0), .watermark(3.5))
        source.finish()
        try test.finish()
        #expect(sink.received == [1, 2, 3, 4].map { time($0) })
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
                    .keyed(by: \.key).handle("each-second") { EachSecond() }
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
                    .keyed(by: \.key).handle("lateness") { Lateness() }
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
