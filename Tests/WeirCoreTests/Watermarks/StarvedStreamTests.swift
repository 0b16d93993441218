import Synchronization
import Testing
import WeirCore
import WeirTesting

/// A stream gets nothing because something above it is held up: that is no quiet time of it.
@Suite struct `A starved stream` {
    /// What keeps events away from the stream.
    enum Cause: CaseIterable, Sendable {
        case sibling, siblingOfSource, pause, tokens, restart
    }

    private struct Away: Error {}

    /// A stream from a shared source, merged with another one that is far ahead.
    private struct Run {
        let shared = SourceProbe<Reading>()
        let other = SourceProbe<Reading>()
        let slow = SinkProbe<Reading>("slow")
        let merged = SinkProbe<Bool>("merged")
        let test: TopologyTest

        init(_ cause: Cause, stages: Int = 1, advancing: Bool = false) throws {
            let (shared, other, slow, merged) = (shared, other, slow, merged)
            var configuration = TopologyTest.configuration
            configuration.batchSize = 1
            let strategy = WatermarkStrategy<Reading>.monotonic.idle(
                after: .seconds(30), advancing: advancing)
            test = try TopologyTest(
                Topology("starved") {
                    let source = EventStream("shared", from: shared.source)
                    let (starved, sibling) = Self.starved(source, by: cause, slow)
                    if let sibling { sibling }
                    (0..<stages).reduce(starved) { $0.stage("behind \($1)") }
                        .eventTime(\.at, strategy)
                        .merge(EventStream("other", from: other.source).eventTime(\.at, strategy))
                        .keyed(by: \.key).handle("lateness") { IsLate() }
                        .sink(merged.sink)
                }, configuration: configuration)
            shared.send(Reading(1, 0, at: 100))
            other.send(Reading(1, 0, at: 7_200))
            try test.run()
        }

        private static func starved(
            _ source: EventStream<Reading>, by cause: Cause, _ slow: SinkProbe<Reading>
        ) -> (stream: EventStream<Reading>, sibling: Pipeline?) {
            switch cause {
            case .sibling:
                let (odd, even) = source.stage("producer").mailbox(.bounded(1))
                    .split { $0.key == 1 }
                return (odd, even.stage("narrow").mailbox(.bounded(1)).sink(slow.sink))
            case .siblingOfSource:
                let even = source.filter { $0.key == 0 }.stage("narrow").mailbox(.bounded(1))
                let odd = source.stage("producer").filter { $0.key == 1 }
                return (odd, even.sink(slow.sink))
            case .pause: return (source.stage("producer"), nil)
            case .tokens:
                return (source.throttle(events: 1, per: .seconds(60), burst: 2), nil)
            case .restart:
                let patient = Supervisor(
                    backoff: .exponential(from: .seconds(60), to: .seconds(60), jitter: 0))
                let fitful = source.supervised(patient).map { reading in
                    if reading.value < 0 { throw Away() }
                    return reading
                }
                return (fitful, nil)
            }
        }

        /// Has an event of the stream wait above it from now on.
        func holdUp(_ cause: Cause) throws {
            switch cause {
            case .sibling, .siblingOfSource:
                slow.pause()
                // More than the sink's mailbox takes.
                for number in 0..<9_000 { shared.send(Reading(0, number, at: 100)) }
            case .pause: test.running.stage("producer")?.pause()
            case .tokens: shared.send(Reading(1, 1, at: 101))
            case .restart: shared.send(Reading(0, -1, at: 100))
            }
            try test.run()
            shared.send(Reading(1, 2, at: 102))
            try test.run()
        }

        func goOn() throws {
            slow.resume()
            test.running.stage("producer")?.resume()
            try test.run()
        }

        /// The lower one of both streams' watermarks.
        var watermark: EventTime? {
            test.running.instances.joined().first { $0.name == "lateness" }.map {
                EventTime(nanoseconds: $0.metrics.watermark.load(ordering: .relaxed))
            }
        }
    }

    private static let isBehind = EventTime(nanoseconds: 200_000_000_000)

    @Test(arguments: Cause.allCases, [false, true])
    func `is not idle, and what had waited is not late`(
        _ cause: Cause, advancing: Bool
    ) throws {
        let run = try Run(cause, advancing: advancing)
        try run.holdUp(cause)
        try run.test.advance(by: .seconds(55))
        #expect(try #require(run.watermark) < Self.isBehind)
        try run.goOn()
        // Tokens come after a minute, a restart is tried twice.
        try run.test.advance(by: .seconds(cause == .restart ? 125 : 5))
        #expect(run.merged.received.count == (cause == .tokens ? 4 : 3))
        #expect(!run.merged.received.contains(true))
        try run.test.advance(by: .seconds(31))
        #expect(try #require(run.watermark) > Self.isBehind)
    }

    @Test(arguments: [0, 1, 3])
    func `is not idle however far below the shared producer it is`(stages: Int) throws {
        for cause in [Cause.sibling, .siblingOfSource] {
            let run = try Run(cause, stages: stages)
            try run.holdUp(cause)
            for _ in 0..<10 {
                try run.test.advance(by: .seconds(31))
                #expect(try #require(run.watermark) < Self.isBehind)
            }
            try run.goOn()
            #expect(run.merged.received == [false, false, false])
        }
    }

    @Test func `is idle when it was free to come for so long and did not`() throws {
        let run = try Run(.pause)
        let producer = try #require(run.test.running.stage("producer"))
        // 20 seconds of quiet, and time that does not count before and between them.
        producer.pause()
        try run.test.advance(by: .seconds(50))
        for _ in 0..<2 {
            producer.resume()
            try run.test.advance(by: .seconds(10))
            producer.pause()
            try run.test.advance(by: .seconds(50))
        }
        producer.resume()
        try run.test.advance(by: .seconds(9))
        #expect(try #require(run.watermark) < Self.isBehind)
        try run.test.advance(by: .seconds(2))
        #expect(try #require(run.watermark) > Self.isBehind)
    }

    @Test func `has a source of its own that is held up as well`() throws {
        // Events that are sent one by one wait in an open batch while their stage does.
        let (source, other) = (SourceProbe<Reading>(), SourceProbe<Reading>())
        let (slow, merged) = (SinkProbe<Reading>("slow"), SinkProbe<Bool>("merged"))
        let strategy = WatermarkStrategy<Reading>.monotonic.idle(after: .seconds(30))
        let test = try TopologyTest(
            Topology("own") {
                let stream = EventStream("source", from: source.source).eventTime(\.at, strategy)
                stream.filter { $0.key == 0 }.stage("narrow").mailbox(.bounded(1)).sink(slow.sink)
                stream.filter { $0.key == 1 }
                    .merge(EventStream("other", from: other.source).eventTime(\.at, strategy))
                    .keyed(by: \.key).handle("lateness") { IsLate() }
                    .sink(merged.sink)
            })
        source.send(Reading(1, 0, at: 100))
        other.send(Reading(1, 0, at: 7_200))
        try test.run()
        slow.pause()
        for number in 0..<9_000 { source.send(Reading(0, number, at: 100)) }
        try test.run()
        source.send(Reading(1, 1, at: 101))
        try test.advance(by: .seconds(40))
        slow.resume()
        try test.run()
        #expect(merged.received == [false, false, false])
    }
}
