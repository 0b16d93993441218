import Testing
import WeirCore
import WeirTesting

@Suite struct `A source that restarts` {
    private func restarting(
        _ source: Source<Int>, seed: UInt64, batchSize: Int = 8
    ) throws -> (received: [Int], sourceRestarts: Int) {
        let sink = SinkProbe<Int>("out")
        let trouble = Trouble([20: 2, 50: 2, 70: 2])
        let all = Supervisor(.oneForAll, name: "all", intensity: 100, backoff: .none)
        let topology = Topology("t") {
            EventStream("in", from: source).supervised(all).mailbox(.bounded(8))
                .stage("s")
                .map { (value) throws(Broken) in
                    try trouble.check(value)
                    return value
                }
                .mailbox(.bounded(8)).supervised(all)
                .sink(sink.sink)
        }
        var configuration = TopologyTest.configuration
        configuration.batchSize = batchSize
        let test = try TopologyTest(topology, seed: seed, configuration: configuration)
        try test.advance(by: .seconds(10))
        try test.finish()
        return (sink.received, try #require(test.running.status().stage("in")).restarts)
    }

    @Test(arguments: TopologyTest.seeds(100))
    func `goes on in its collection where it was`(seed: UInt64) throws {
        let (received, restarts) = try restarting(.collection(0..<100), seed: seed)
        #expect(received == Array(0..<100), "seed \(seed)")
        #expect(restarts >= 1)
    }

    @Test(arguments: TopologyTest.seeds(30))
    func `goes on at its rate where it was`(seed: UInt64) throws {
        let (received, _) = try restarting(
            .rate(perSecond: 50, count: 100) { $0 }, seed: seed)
        #expect(received == Array(0..<100), "seed \(seed)")
    }

    @Test(arguments: TopologyTest.seeds(30))
    func `goes on in its file where it was`(seed: UInt64) throws {
        let directory = try TemporaryDirectory()
        try directory.append((0..<100).map { "\($0)\n" }.joined(), to: "log")
        let sink = SinkProbe<String>("out")
        let trouble = Trouble([0: 2])
        let all = Supervisor(.oneForAll, name: "all", intensity: 100, backoff: .none)
        let topology = Topology("t") {
            EventStream("in", from: .lines(ofFile: directory("log"))).supervised(all)
                .stage("s")
                .map { (line) throws(Broken) in
                    try trouble.check(0)
                    return line
                }
                .mailbox(.bounded(8)).supervised(all)
                .sink(sink.sink)
        }
        let test = try TopologyTest(topology, seed: seed)
        try test.advance(by: .seconds(1))
        try test.finish()
        #expect(sink.received == (0..<100).map(String.init), "seed \(seed)")
    }

    @Test func `is not waited for when the topology drains`() throws {
        let source = SourceProbe<Int>()
        let sink = SinkProbe<Int>()
        let topology = Topology("t") {
            EventStream("in", from: source.source)
                .supervised(
                    Supervisor(
                        intensity: 10,
                        backoff: .exponential(from: .seconds(1_000), to: .seconds(5_000)))
                )
                .sink(sink.sink)
        }
        let test = try TopologyTest(topology)
        source.send(1)
        source.fail(Broken())
        source.fail(Broken())
        try test.run()
        // In the wait before its second restart.
        #expect(source.starts == 2)
        try test.drain()
        #expect(sink.received == [1])
        #expect(source.starts == 2)
    }
}
