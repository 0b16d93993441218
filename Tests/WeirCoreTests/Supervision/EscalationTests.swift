import Testing
import WeirCore
import WeirTesting

@Suite struct `An escalated failure` {
    private func failing(
        _ source: SourceProbe<Int>, _ trouble: Trouble
    ) -> EventStream<Int> {
        EventStream("in", from: source.source).stage("a")
            .map { (value) throws(Broken) in
                try trouble.check(value)
                return value
            }
    }

    private func restarts(_ test: TopologyTest) -> [String: Int] {
        Dictionary(
            uniqueKeysWithValues: test.running.status().supervisors.map { ($0.name, $0.restarts) })
    }

    @Test(arguments: TopologyTest.seeds(20))
    func `makes the parent restart the whole group and try the event again`(seed: UInt64) throws {
        let source = SourceProbe<Int>()
        let sink = SinkProbe<Int>()
        let child = Supervisor(
            name: "child", intensity: 0,
            under: Supervisor(name: "parent", intensity: 2, backoff: .none))
        let topology = Topology("t", supervisor: Supervisor(intensity: 0)) {
            failing(source, Trouble([1: 2]))
                .recover(from: Broken.self) { _ in .escalate }.supervised(child)
                .stage("b").supervised(child)
                .sink(sink.sink)
        }
        let test = try TopologyTest(topology, seed: seed)
        source.send(1)
        try test.run()
        source.send(2)
        source.finish()
        try test.run()
        try test.finish()
        #expect(sink.received == [1, 2], "\(test)")
        #expect(restarts(test) == ["root": 0, "child": 0, "parent": 2])
        // The whole group, though b had not failed.
        #expect(try #require(test.running.status().stage("b")).restarts >= 1)
    }

    @Test(arguments: TopologyTest.seeds(20))
    func `comes up through the supervisors until the root ends the run`(seed: UInt64) throws {
        let source = SourceProbe<Int>()
        let parent = Supervisor(name: "parent", intensity: 2, backoff: .none)
        let child = Supervisor(intensity: 5, backoff: .none, poison: .escalate, under: parent)
        let topology = Topology("t", supervisor: Supervisor(intensity: 1, backoff: .none)) {
            failing(source, Trouble([1: .max])).supervised(child).sink(SinkProbe<Int>().sink)
        }
        let test = try TopologyTest(topology, seed: seed)
        source.send(1)
        try test.run()
        #expect(throws: StageFailure.self) { try test.finish() }
        // Two attempts more for each restart of the parent: 3, the root's, 3 again.
        #expect(restarts(test)["parent"] == 4)
        #expect(restarts(test)["root"] == 1)
    }

    @Test func `of a stage right under the root ends the run`() throws {
        let source = SourceProbe<Int>()
        let topology = Topology("t", supervisor: Supervisor(intensity: 9, poison: .escalate)) {
            failing(source, Trouble([1: 3])).sink(SinkProbe<Int>().sink)
        }
        let test = try TopologyTest(topology)
        source.send(1)
        try test.advance(by: .seconds(1))
        #expect(throws: StageFailure.self) { try test.finish() }
    }

    @Test(arguments: TopologyTest.seeds(20))
    func `of a call is handed to the parent and the call made again`(seed: UInt64) throws {
        let source = SourceProbe<Int>()
        let sink = SinkProbe<Int>()
        let trouble = Trouble([1: 2])
        let own = Supervisor(name: "own", intensity: 0)
        let topology = Topology("t", supervisor: Supervisor(intensity: 2, backoff: .none)) {
            EventStream("in", from: source.source)
                .mapAsync { (value: Int) async throws(Broken) in
                    try trouble.check(value)
                    return value
                }
                .recover(from: Broken.self) { _ in .escalate }
                .supervised(own).sink(sink.sink)
        }
        let test = try TopologyTest(topology, seed: seed)
        source.send(1, 2)
        source.finish()
        try test.run()
        try test.finish()
        #expect(sink.received == [1, 2], "\(test)")
        #expect(restarts(test) == ["root": 2, "own": 0])
    }
}

@Suite struct `A row of poison events` {
    private func check(_ topology: Topology, _ source: SourceProbe<Int>, seed: UInt64) throws {
        let test = try TopologyTest(topology, seed: seed)
        source.send(contentsOf: 0..<100)
        source.finish()
        try test.advance(by: .seconds(60))
        try test.finish()
        #expect(
            test.running.deadLetters.letters.map(\.attempts) == Array(repeating: 3, count: 100))
        let supervisors = test.running.status().supervisors
        #expect(supervisors.reduce(0) { $0 + $1.restarts } == 200)
    }

    @Test(arguments: TopologyTest.seeds(10))
    func `does not end the run`(seed: UInt64) throws {
        let source = SourceProbe<Int>()
        let topology = Topology("t") {
            EventStream("in", from: source.source)
                .map { (_: Int) throws(Broken) -> Int in throw Broken() }
                .sink(SinkProbe<Int>().sink)
        }
        try check(topology, source, seed: seed)
    }

    @Test(arguments: TopologyTest.seeds(10))
    func `costs the parent nothing either when a supervisor gives up meanwhile`(
        seed: UInt64
    ) throws {
        let source = SourceProbe<Int>()
        let topology = Topology("t") {
            EventStream("in", from: source.source)
                .map { (_: Int) throws(Broken) -> Int in throw Broken() }
                .supervised(Supervisor(intensity: 1))
                .sink(SinkProbe<Int>().sink)
        }
        try check(topology, source, seed: seed)
    }

    @Test(arguments: TopologyTest.seeds(10))
    func `of failing calls does not end the run`(seed: UInt64) throws {
        let source = SourceProbe<Int>()
        let topology = Topology("t") {
            EventStream("in", from: source.source)
                .mapAsync(inFlight: 1) { (_: Int) async throws(Broken) -> Int in throw Broken() }
                .sink(SinkProbe<Int>().sink)
        }
        try check(topology, source, seed: seed)
    }
}
