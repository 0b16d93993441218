import Testing
import WeirCore
import WeirTesting

@Suite struct `A suspension` {
    private func configuration() -> RunConfiguration {
        var configuration = TopologyTest.configuration
        configuration.store = continuationStore()
        return configuration
    }

    @Test(arguments: TopologyTest.seeds(40))
    func `may be asked for while the streams end`(seed: UInt64) throws {
        let (source, sink) = (SourceProbe<Int>(), SinkProbe<Int>())
        let test = try TopologyTest(
            Topology("t") { EventStream("in", from: source.source).stage("s").sink(sink.sink) },
            seed: seed, configuration: configuration())
        let running = test.running
        source.send(1)
        try test.run()
        test.start { source.finish() }
        let number = try test.perform("suspend") {
            // Later from seed to seed.
            for _ in 0..<seed { await Task.yield() }
            return try await running.suspend()
        }
        try test.finish()
        #expect(sink.received == [1])
        #expect(number > 0)
    }

    @Test(arguments: TopologyTest.seeds(200))
    func `may be asked for while a part has had enough`(seed: UInt64) throws {
        let (source, first, all) = (SourceProbe<Int>(), SinkProbe<Int>(), SinkProbe<Int>())
        var configuration = configuration()
        configuration.batchSize = 1
        let test = try TopologyTest(
            Topology("t") {
                let numbers = EventStream("in", from: source.source)
                numbers.stage("a").stage("b").prefix(2).sink(first.sink)
                numbers.sink(all.sink)
            }, seed: seed, configuration: configuration)
        let running = test.running
        test.start { source.send(contentsOf: 1...8) }
        _ = try test.perform("suspend") {
            // Later from seed to seed.
            for _ in 0..<seed % 40 { await Task.yield() }
            return try await running.suspend()
        }
        try test.finish()
        #expect(first.received == Array(all.received.prefix(2)))
    }

    @Test func `of a run that has ended gives its last checkpoint`() throws {
        let test = try TopologyTest(
            Topology("t") { EventStream("in", from: .collection(0..<3)).sink(.discard) },
            configuration: configuration())
        try test.finish()
        let running = test.running
        #expect(try test.perform("suspend") { try await running.suspend() } == 1)
    }
}
