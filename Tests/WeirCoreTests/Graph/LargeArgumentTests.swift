import Logging
import Testing
import WeirJournal
import WeirTesting

@testable import WeirCore

/// The largest numbers, by which users mean that there is no limit, and bounds that have come down.
@Suite struct `No limit` {
    @Test func `is a limit that operators take`() throws {
        let sink = SinkProbe<Int>()
        var configuration = TopologyTest.configuration
        configuration.batchSize = .max
        #expect(configuration.batchSize == 1_000_000)
        #expect(RunConfiguration(batchSize: .max).batchSize == 1_000_000)
        configuration.deadLetterCapacity = .max
        configuration.parallelism = .max
        let topology = Topology("t") {
            EventStream("in", from: .collection([1, 2, 2, 3]))
                .mailbox(.bounded(.max))
                .distinct(memory: .max)
                .prefix(.max)
                .mapAsync(inFlight: .max) { $0 }
                .keyed(by: { $0 })
                .scan(into: 0, ttl: StateTTL(.days(.max))) {
                    $0 += $1; return $0
                }
                .stage("last").mailbox(.bounded(.max))
                .sink(sink.sink)
        }
        let test = try TopologyTest(topology, configuration: configuration)
        try test.finish()
        #expect(sink.received.sorted() == [1, 2, 3])
    }

    @Test func `holds for joins, windows and changes`() throws {
        let sink = SinkProbe<Int>()
        let rows = [JoinRow(0, 1, at: 1), JoinRow(0, 2, at: 2)]
        let topology = Topology("t") {
            let (left, right) = sides(rows, rows)
            left.join(
                right, within: .days(.min) ... .days(.max), .full, rowsPerKey: .max
            ) { _, _ in 1 }.sink(sink.sink)
            left.join(asOf: right, waitingPerKey: .max, versionsPerKey: .max) { _, _ in 1 }
                .sink(.discard)
            left.window(
                .sliding(.seconds(2), every: .seconds(1)), allowedLateness: .days(.max)
            ).join(right, .full, rowsPerWindow: .max) { _, _ in 1 }.sink(.discard)
            left.join(right, rowsPerKey: .max) { _, _ in 1 }.sink(.discard)
            left.window(.count(.max, every: 1)).collect(maximum: .max).sink(.discard)
            left.top(.max) { $0.id > $1.id }.keyed(by: \.key)
                .top(.max, rowsPerKey: .max) { $0.rank > $1.rank }.changes.sink(.discard)
        }
        try TopologyTest(topology).finish()
        #expect(sink.received == [1, 1, 1, 1])
    }

    @Test func `is a duration that saturates`() {
        #expect(Duration.minutes(.max) == .seconds(Int.max))
        #expect(Duration.hours(.max) == .seconds(Int.max))
        #expect(Duration.days(.min) == .seconds(Int.min))
        #expect(Duration.days(2) == .seconds(172_800))
    }

    @Test func `is a backoff that saturates`() {
        let backoff = Supervisor.Backoff.exponential(
            from: .seconds(Int64.max), to: .seconds(Int64.max), jitter: 0)
        #expect(backoff.delay(afterRestarts: 3, random: 0) > .days(36_500))
    }

    @Test func `is a line limit`() {
        var splitter = LineSplitter(limit: .max)
        var lines: [LineSplitter.Line] = []
        splitter.append(Array("on".utf8)) { lines.append($0) }
        splitter.append(Array("e\n".utf8)) { lines.append($0) }
        #expect(lines == [.line(Array("one".utf8))])
    }

    @Test func `is an ingest limit`() async throws {
        var limits = IngestLimits()
        limits.journalBytes = .max
        limits.requestKeys = .max
        limits.producers = .max
        limits.pendingBytes = .max
        let journal = IngestJournal(
            directory: "/ingest", stage: "in", files: SimulatedFileSystem(seed: 1),
            options: limits, logger: TopologyTest.configuration.logger, isInline: true)
        try await journal.open(from: nil)
        try await journal.begin(from: nil)
        let session = ProducerSession(origin: "here") { _ in
        } replace: { _ in
        }
        #expect(journal.registry.open("p", session) != nil)
        journal.registry.close("p", session)
        await journal.close()
    }

    @Test func `of a rate that comes down takes what a bucket has`() {
        var bucket = TokenBucket(events: 1, per: .seconds(1), burst: 1_000_000)
        bucket.takeLimits(of: TokenBucket(events: 1, per: .hours(24), burst: 1_000_000))
        #expect(bucket.take(.max, at: EventTime()) >= 100_000)
        var small = TokenBucket(events: 1, per: .hours(24), burst: 3)
        small.takeLimits(of: TokenBucket(events: 1, per: .seconds(1), burst: 5))
        #expect(small.take(.max, at: EventTime()) == 3)
    }
}

@Suite(.everyStateBackend) struct `A bound that is lower than what a checkpoint has` {
    /// Runs a topology up to a checkpoint, and another one on from there.
    private func results<Output: Sendable>(
        _ first: @escaping (EventStream<Reading>) -> EventStream<Output>,
        then second: @escaping (EventStream<Reading>) -> EventStream<Output>
    ) throws -> [Output] {
        let store = continuationStore()
        let sink = SinkProbe<Output>("out")
        for (index, build) in [first, second].enumerated() {
            let source = SourceProbe<Reading>()
            var configuration = TopologyTest.configuration
            configuration.store = store
            let topology = Topology("t") {
                build(
                    EventStream("in", from: source.source)
                        .eventTime(\.at, WatermarkStrategy.monotonic.neverIdle)
                ).sink(sink.sink)
            }
            let test = try TopologyTest(topology, configuration: configuration)
            if index == 0 {
                for number in 0..<20 { source.send(Reading(1, number, at: Double(number) / 10)) }
                try test.run()
                try test.perform { [running = test.running] in _ = try await running.suspend() }
            } else {
                source.finish()
                try test.finish()
            }
        }
        return sink.received
    }

    @Test func `cuts what windows collect`() throws {
        for window in [
            Window.sliding(.seconds(3), every: .seconds(1)), .session(gap: .seconds(10)),
        ] {
            let results = try results {
                $0.keyed(by: \.key).window(window).collect(maximum: 100, name: "w").map(\.value)
            } then: {
                $0.keyed(by: \.key).window(window).collect(maximum: 4, name: "w").map(\.value)
            }
            #expect(results.last.map { $0.events.count + $0.omitted } ?? 0 >= 10)
        }
    }

    @Test func `cuts what windows join`() throws {
        func build(_ limit: Int) -> (EventStream<Reading>) -> EventStream<Int> {
            { events in
                events.filter { $0.value % 2 == 0 }.keyed(by: \.key)
                    .window(.sliding(.seconds(3), every: .seconds(1)))
                    .join(
                        events.filter { $0.value % 2 == 1 }.keyed(by: \.key), .inner,
                        rowsPerWindow: limit, name: "w"
                    ) { left, right in left.value + right.value }.map(\.value)
            }
        }
        #expect(try !results(build(100), then: build(2)).isEmpty)
    }
}
