import CoreMetrics
import Synchronization
import Testing
import WeirCore
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
