import CoreMetrics
import Synchronization
import Testing
import WeirCore
import WeirJournal
import WeirTesting

/// Keeps what is reported, by label and dimensions.
private final class Recording: MetricsFactory {
    static let shared: Recording = {
        let recording = Recording()
        MetricsSystem.bootstrap(recording)
        return recording
    }()

    let values = Mutex<[String: Double]>([:])

    private func handler(_ label: String, _ dimensions: [(String, String)]) -> Handler {
        let tags = dimensions.map { "\($0.0)=\($0.1)" }.joined(separator: ",")
        return Handler(key: "\(label){\(tags)}", recording: self)
    }

    func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        handler(label, dimensions)
    }

    func makeFloatingPointCounter(
        label: String, dimensions: [(String, String)]
    ) -> any FloatingPointCounterHandler {
        handler(label, dimensions)
    }

    func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        handler(label, dimensions)
    }

    func makeRecorder(
        label: String, dimensions: [(String, String)], aggregate: Bool
    ) -> any RecorderHandler {
        handler(label, dimensions)
    }

    func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        handler(label, dimensions)
    }

    func destroyCounter(_ handler: any CounterHandler) {}
    func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) {}
    func destroyMeter(_ handler: any MeterHandler) {}
    func destroyRecorder(_ handler: any RecorderHandler) {}
    func destroyTimer(_ handler: any TimerHandler) {}
}

private final class Handler: CounterHandler, FloatingPointCounterHandler, MeterHandler,
    RecorderHandler, TimerHandler
{
    let key: String
    let recording: Recording

    init(key: String, recording: Recording) {
        self.key = key
        self.recording = recording
    }

    private func add(_ value: Double) {
        recording.values.withLock { $0[key, default: 0] += value }
    }

    private func put(_ value: Double) { recording.values.withLock { $0[key] = value } }

    func increment(by amount: Int64) { add(Double(amount)) }
    func increment(by amount: Double) { add(amount) }
    func decrement(by amount: Double) { add(-amount) }
    func reset() {}
    func set(_ value: Int64) { put(Double(value)) }
    func set(_ value: Double) { put(value) }
    func record(_ value: Int64) { put(Double(value)) }
    func record(_ value: Double) { put(value) }
    func recordNanoseconds(_ duration: Int64) { put(Double(duration)) }
}

@Suite struct `The metrics of a run` {
    @Test func `are handed over at the interval, counters as what has changed`() throws {
        let recording = Recording.shared
        func value(_ key: String) -> Double? { recording.values.withLock { $0[key] } }
        let source = SourceProbe<Int>()
        let sink = SinkProbe<Int>("out")
        let topology = Topology("metrics") {
            EventStream("in", from: source.source)
                .filter { $0 > 1 }.stage("middle").sink(sink.sink)
        }
        var configuration = TopologyTest.configuration
        configuration.metricsInterval = .seconds(1)
        let test = try TopologyTest(topology, configuration: configuration)
        source.send(1, 2, 3)
        try test.run()
        let tags = "topology=metrics,stage"
        #expect(value("weir_events_in_total{\(tags)=in}") == nil)
        try test.advance(by: .seconds(1))
        #expect(value("weir_events_in_total{\(tags)=in}") == 3)
        #expect(value("weir_events_out_total{\(tags)=in}") == 2)
        #expect(value("weir_events_out_total{\(tags)=out}") == 2)
        #expect(value("weir_mailbox_capacity{\(tags)=middle}") == 8_192)
        source.send(4)
        try test.advance(by: .seconds(3))
        #expect(value("weir_events_in_total{\(tags)=in}") == 4)
        sink.pause()
        source.send(Batch(ContiguousArray(10..<60_000)))
        try test.advance(by: .seconds(5))
        #expect(value("weir_blocked_seconds_total{\(tags)=middle,edge=out}") == 5)
        #expect(try #require(value("weir_mailbox_depth{\(tags)=out}")) > 8_000 - 512)
        #expect(value("weir_mailbox_oldest_seconds{\(tags)=out}") == 5)
    }

    /// Runs a topology with a store whose source keeps what it takes in a journal, and takes a
    /// checkpoint; another one fails.
    private func runWithStore(
        _ name: String, _ disk: SimulatedFileSystem
    ) throws -> (values: [String: Double], text: String) {
        let recording = Recording.shared
        var store = StateStore.directory("/store", checkpointEvery: .seconds(10))
        store.fileSystem = disk
        var configuration = TopologyTest.configuration
        configuration.metricsInterval = .seconds(1)
        configuration.store = store
        let source = Source<Int>("journal") { inlet in
            guard let journal = try await inlet.context.ingestJournal() else { return }
            let delivery = IngestDelivery(journal: journal, inlet: inlet) { _ in
                { message, batch in batch.append(message.count, at: EventTime()) }
            }
            try await delivery.begin()
            var record = IngestRecord(origin: "test")
            Array("abc".utf8).withUnsafeBytes { record.append($0) }
            _ = journal.submit(record)
            journal.registry.countDuplicates(2)
            journal.finish()
            try await delivery.run()
            try await inlet.context.sleep(for: .seconds(60))
        }
        let test = try TopologyTest(
            Topology(name) { EventStream("in", from: source).sink(.discard) },
            configuration: configuration)
        try test.advance(by: .seconds(15))
        disk.setCapacity(disk.usedBytes)
        try test.advance(by: .seconds(10))
        disk.setCapacity(nil)
        let text = test.running.prometheusText()
        try test.advance(by: .seconds(60))
        try test.finish()
        let values = recording.values.withLock { values in
            values.filter { $0.key.contains("topology=\(name)") }
        }
        return (values, text)
    }

    @Test func `are all in the text of Prometheus too, with their labels`() throws {
        let (values, text) = try runWithStore("stored", SimulatedFileSystem(seed: 1))
        let label = "{topology=\"stored\""
        let stage = "\(label),stage=\"in\"}"
        for sample in [
            "weir_checkpoints_total\(label)} 1", "weir_checkpoint_failures_total\(label)} 1",
            "weir_checkpoint_seconds_count\(label)} 1",
            "weir_checkpoint_seconds_bucket\(label),le=\"+Inf\"} 1",
            "weir_ingest_records_total\(stage) 1", "weir_ingest_blocked\(stage) 0",
            "weir_ingest_duplicates_total\(stage) 2",
            "weir_ingest_producers_forgotten_total\(stage) 0",
            "weir_ingest_commit_seconds_count\(stage) 1",
            "# TYPE weir_ingest_commit_seconds histogram",
            "# TYPE weir_handler_seconds summary", "weir_handler_seconds_count\(stage) 1",
        ] {
            #expect(text.contains("\n\(sample)\n"), "\(sample) in \(text)")
        }
        let shown = Set(text.matches(of: /TYPE ([a-z_]+)/).map { String($0.1) })
        let reported = Set(values.keys.map { String($0.prefix { $0 != "{" }) })
        #expect(reported.count > 15)
        #expect(reported.subtracting(shown).sorted() == [])
    }

    @Test func `of two topologies don't mix`() throws {
        let first = try runWithStore("first", SimulatedFileSystem(seed: 1)).values
        let second = try runWithStore("second", SimulatedFileSystem(seed: 2)).values
        for metric in ["weir_checkpoints_total", "weir_checkpoint_failures_total"] {
            #expect(first["\(metric){topology=first}"] == second["\(metric){topology=second}"])
        }
        #expect(first["weir_checkpoint_failures_total{topology=first}"] == 1)
        #expect(first["weir_ingest_records_total{topology=first,stage=in}"] == 1)
    }

    @Test func `are not handed over when the interval is zero`() throws {
        let recording = Recording.shared
        let source = SourceProbe<Int>()
        let topology = Topology("silent") {
            EventStream("in", from: source.source).sink(SinkProbe<Int>().sink)
        }
        let test = try TopologyTest(topology)
        source.send(1)
        try test.advance(by: .minutes(1))
        source.finish()
        try test.finish()
        let keys = recording.values.withLock { $0.keys.filter { $0.contains("silent") } }
        #expect(keys.isEmpty)
    }
}
