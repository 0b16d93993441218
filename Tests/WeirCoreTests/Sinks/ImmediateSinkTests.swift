import Synchronization
import Testing
import WeirCore
import WeirTesting

/// What closures of sinks were called with, in order; some values are refused.
private final class Calls: Sendable {
    struct Refused: Error {}

    private let log = Mutex<[[Int]]>([])
    private let refused: Set<Int>

    init(refusing refused: Set<Int> = []) { self.refused = refused }

    var all: [[Int]] { log.withLock { $0 } }
    var written: [Int] { all.filter { refused.isDisjoint(with: $0) }.flatMap { $0 } }

    func take(_ values: some Sequence<Int>) throws {
        let values = Array(values)
        log.withLock { $0.append(values) }
        if !refused.isDisjoint(with: values) { throw Refused() }
    }
}

/// A closure that never waits is a sink whose turns the stage before may take; that must not show.
@Suite struct `A sink that never waits` {
    private let source = SourceProbe<Int>()

    private func configuration(batchSize: Int) -> RunConfiguration {
        var configuration = TopologyTest.configuration
        configuration.batchSize = batchSize
        return configuration
    }

    private func calls(
        _ seed: UInt64, refusing refused: Set<Int>, _ sink: (Calls) -> Sink<Int>
    ) throws -> (calls: Calls, letters: [Int?]) {
        let calls = Calls(refusing: refused)
        let source = SourceProbe<Int>()
        let topology = Topology("t", supervisor: Supervisor(intensity: 0)) {
            EventStream("in", from: source.source).stage("between").map { $0 }
                .sink(sink(calls))
                .supervised(Supervisor(intensity: 100, backoff: .none))
        }
        let test = try TopologyTest(
            topology, seed: seed, configuration: configuration(batchSize: 8))
        source.send(Batch(ContiguousArray(0..<40)))
        source.finish()
        try test.finish()
        return (calls, test.running.deadLetters.letters.map { $0.event as? Int })
    }

    @Test(arguments: TopologyTest.seeds(20))
    func `is called again as often as one that may wait`(seed: UInt64) throws {
        let refused: Set = [3, 4, 12, 39]
        let now = try calls(seed, refusing: refused) { calls in
            .forEachBatch { try calls.take($0.elements) }
        }
        let waiting = try calls(seed, refusing: refused) { calls in
            .forEachBatch {
                await Task.yield()
                try calls.take($0.elements)
            }
        }
        for (calls, letters) in [now, waiting] {
            #expect(calls.written == (0..<40).filter { !refused.contains($0) })
            #expect(letters == [3, 4, 12, 39])
            // Each batch and then each event alone is tried as often as the supervisor says.
            for failing in calls.all where !refused.isDisjoint(with: failing) {
                #expect(calls.all.count { $0 == failing } == 3, "\(failing)")
            }
        }
    }

    @Test(arguments: TopologyTest.seeds(20))
    func `gets each event once, in order, beside others and while it is paused`(
        seed: UInt64
    ) throws {
        let (plain, paused, waiting) = (Calls(), Calls(), Calls())
        let probe = SinkProbe<Int>("probe")
        let topology = Topology("t") {
            let numbers = EventStream("in", from: source.source)
                .keyed(by: { _ in 0 }).scan(into: 0, name: "numbers") { _, value in value }
            numbers.sink(.forEach { try plain.take([$0]) }.named("plain"))
            numbers.stage("next").map { $0 }
                .sink(.forEachBatch { try paused.take($0.elements) }.named("paused"))
            numbers.sink(
                .forEach {
                    await Task.yield()
                    try waiting.take([$0])
                }.named("waiting"))
            numbers.sink(probe.sink)
        }
        let test = try TopologyTest(
            topology, seed: seed, configuration: configuration(batchSize: 4))
        source.send(contentsOf: 0..<30)
        try test.run()
        try #require(test.running.stage("paused")).pause()
        source.send(contentsOf: 30..<60)
        try test.run()
        #expect(paused.written == Array(0..<30))
        #expect(plain.written == Array(0..<60))
        try #require(test.running.stage("paused")).resume()
        source.send(contentsOf: 60..<90)
        source.finish()
        try test.finish()
        for calls in [plain, paused, waiting] { #expect(calls.written == Array(0..<90)) }
        #expect(probe.received == Array(0..<90))
    }
}
