import Synchronization
import Testing
import WeirCore
import WeirTesting

private let small: RunConfiguration = {
    var configuration = TopologyTest.configuration
    configuration.batchSize = 4
    return configuration
}()

@Suite struct `A running topology` {
    @Test(arguments: TopologyTest.seeds(20))
    func `takes from the source no more than its mailboxes hold`(seed: UInt64) throws {
        let source = SourceProbe<Int>()
        let sink = SinkProbe<Int>()
        let topology = Topology("t") {
            EventStream("in", from: source.source).mailbox(.bounded(8))
                .stage("middle").mailbox(.bounded(8)).stage("last").mailbox(.bounded(8))
                .sink(sink.sink)
        }
        let test = try TopologyTest(topology, seed: seed, configuration: small)
        try #require(test.running.stage("last")).pause()
        source.send(contentsOf: 0..<500)
        try test.run()
        // Each mailbox holds 8, and each stage may be at work on a batch of 4 that it can't get rid of yet.
        let taken = 500 - source.pending
        #expect(taken <= 3 * (8 + 8) + 4, "\(test)")
        #expect(taken >= 8)
        try #require(test.running.stage("last")).resume()
        try test.run()
        #expect(sink.received == Array(0..<500))
    }

    @Test(arguments: TopologyTest.seeds(50))
    func `delivers everything that it has taken when it drains`(seed: UInt64) throws {
        let source = SourceProbe<Int>()
        let sink = SinkProbe<Int>()
        let topology = Topology("t") {
            EventStream("in", from: source.source).mailbox(.bounded(8))
                .stage("middle").mailbox(.bounded(8)).stage("last").mailbox(.bounded(8))
                .sink(sink.sink)
        }
        let test = try TopologyTest(topology, seed: seed, configuration: small)
        try #require(test.running.stage("last")).pause()
        source.send(contentsOf: 0..<500)
        try test.run()
        try test.drain()
        #expect(sink.received == Array(0..<(500 - source.pending)), "\(test)")
        #expect(source.isStopped)
        #expect(sink.isClosed)
    }

    @Test(arguments: TopologyTest.seeds(50))
    func `counts what it drops when it is cancelled`(seed: UInt64) throws {
        let source = SourceProbe<Int>()
        let sink = SinkProbe<Int>()
        let topology = Topology("t") {
            EventStream("in", from: source.source).mailbox(.bounded(8))
                .stage("middle").mailbox(.bounded(8)).stage("last").mailbox(.bounded(8))
                .sink(sink.sink)
        }
        let test = try TopologyTest(topology, seed: seed, configuration: small)
        try #require(test.running.stage("last")).pause()
        source.send(contentsOf: 0..<500)
        try test.run()
        try test.cancel()
        let dropped = test.running.status().stages.reduce(0) {
            $0 + $1.dropped["cancelled", default: 0]
        }
        #expect(dropped + sink.received.count == 500 - source.pending, "\(test)")
    }

    @Test func `holds one stage and lets it go on`() throws {
        let source = SourceProbe<Int>()
        let sink = SinkProbe<Int>()
        let topology = Topology("t") {
            EventStream("in", from: source.source).stage("middle").sink(sink.sink)
        }
        let test = try TopologyTest(topology)
        let middle = try #require(test.running.stage("middle"))
        middle.pause()
        source.send(1, 2)
        try test.run()
        #expect(sink.received == [])
        #expect(test.running.status().stage("middle")?.isPaused == true)
        middle.resume()
        try test.run()
        #expect(sink.received == [1, 2])
        test.running.pause()
        source.send(3)
        try test.run()
        #expect(sink.received == [1, 2])
        test.running.resume()
        try test.run()
        #expect(sink.received == [1, 2, 3])
    }

    @Test(arguments: TopologyTest.seeds(20))
    func `ends the streams behind a stage that is cancelled`(seed: UInt64) throws {
        let source = SourceProbe<Int>()
        let sink = SinkProbe<Int>()
        let topology = Topology("t") {
            EventStream("in", from: source.source).stage("middle").stage("last").sink(sink.sink)
        }
        let test = try TopologyTest(topology, seed: seed)
        source.send(1, 2)
        try test.run()
        try #require(test.running.stage("middle")).cancel()
        source.send(3)
        try test.run()
        try test.finish()
        #expect(sink.received == [1, 2])
        #expect(sink.isClosed)
    }

    @Test func `ends a source that is silent when its stage is cancelled`() throws {
        let source = SourceProbe<Int>()
        let sink = SinkProbe<Int>()
        let topology = Topology("t") { EventStream("in", from: source.source).sink(sink.sink) }
        let test = try TopologyTest(topology)
        try test.run()
        try #require(test.running.stage("in")).cancel()
        try test.finish()
        #expect(source.isStopped)
        #expect(sink.isClosed)
    }

    @Test(arguments: TopologyTest.seeds(20))
    func `drains one stage`(seed: UInt64) throws {
        let left = SourceProbe<Int>()
        let right = SourceProbe<Int>()
        let leftSink = SinkProbe<Int>("leftSink")
        let rightSink = SinkProbe<Int>("rightSink")
        let topology = Topology("t") {
            EventStream("left", from: left.source).stage("a").sink(leftSink.sink)
            EventStream("right", from: right.source).stage("b").sink(rightSink.sink)
        }
        let test = try TopologyTest(topology, seed: seed)
        left.send(1, 2)
        right.send(3)
        try test.run()
        let stage = try #require(test.running.stage("a"))
        try test.perform("drain a") { try await stage.drain() }
        #expect(leftSink.received == [1, 2])
        right.send(4)
        try test.run()
        #expect(rightSink.received == [3, 4])
        #expect(left.isStopped && !right.isStopped)
    }

    @Test(arguments: TopologyTest.seeds(20))
    func `drains an outlet until its consumer can have everything`(seed: UInt64) throws {
        let source = SourceProbe<Int>()
        let out: Outlet<Int> = "out"
        let topology = Topology("t") {
            EventStream("in", from: source.source).stage("middle").sink(.outlet(out))
                .mailbox(.bounded(1))
        }
        let test = try TopologyTest(topology, seed: seed)
        source.send(1, 2, 3)
        try test.run()
        let stage = try #require(test.running.stage("out"))
        let drained = Atomic<Bool>(false)
        let isDrained = { @Sendable in drained.load(ordering: .relaxed) }
        test.start {
            try await stage.drain()
            drained.store(true, ordering: .relaxed)
        }
        try test.run()
        #expect(source.isStopped)
        #expect(!isDrained())
        let taken = try test.collect(out)
        try test.run()
        #expect(taken.received == [1, 2, 3])
        #expect(isDrained())
    }

    @Test(arguments: TopologyTest.seeds(20))
    func `drains an outlet whose consumer has left`(seed: UInt64) throws {
        let source = SourceProbe<Int>()
        let out: Outlet<Int> = "out"
        let topology = Topology("t") {
            EventStream("in", from: source.source).stage("middle").sink(.outlet(out))
        }
        let test = try TopologyTest(topology, seed: seed)
        let taken = try test.collect(out, limit: 1)
        source.send(1, 2)
        try test.run()
        #expect(taken.received == [1])
        let stage = try #require(test.running.stage("out"))
        try test.perform("drain out") { try await stage.drain() }
    }

    @Test(arguments: TopologyTest.seeds(20))
    func `ends a branch whose consumer has seen enough`(seed: UInt64) throws {
        let source = SourceProbe<Int>()
        let out: Outlet<Int> = "out"
        let topology = Topology("t") {
            EventStream("in", from: source.source).stage("middle").sink(.outlet(out))
        }
        let test = try TopologyTest(topology, seed: seed)
        let taken = try test.collect(out, limit: 2)
        source.send(contentsOf: 0..<10)
        try test.run()
        #expect(taken.received == [0, 1])
        // The stages notice when they send the next time.
        source.send(10)
        try test.run()
        source.send(11)
        try test.run()
        try test.finish()
        #expect(source.isStopped || source.pending <= 1)
    }

    @Test(arguments: TopologyTest.seeds(20))
    func `ends with the error of the stage that failed for good`(seed: UInt64) throws {
        struct Broken: Error {}
        let source = SourceProbe<Int>()
        let out: Outlet<Int> = "out"
        let topology = Topology("t", supervisor: Supervisor(poison: .escalate)) {
            EventStream("in", from: source.source)
                .map { (value) throws(Broken) in
                    if value == 3 { throw Broken() }
                    return value
                }
                .sink(.outlet(out))
        }
        let test = try TopologyTest(topology, seed: seed)
        let taken = try test.collect(out)
        source.send(1, 2, 3, 4)
        try test.advance(by: .seconds(60))
        let failure = #expect(throws: StageFailure.self) { try test.finish() }
        #expect(failure?.stage == "in")
        #expect(failure?.cause is Broken)
        #expect(taken.isFinished)
        #expect(taken.failure is StageFailure, "the outlet must not end as if all was well")
    }

    @Test(arguments: TopologyTest.seeds(20))
    func `hands a full mailbox with the policy fail to the sender's supervisor`(seed: UInt64) throws
    {
        let source = SourceProbe<Int>()
        let sink = SinkProbe<Int>()
        let topology = Topology("t") {
            EventStream("in", from: source.source)
                .stage("small").mailbox(.bounded(2, overflow: .fail))
                .sink(sink.sink)
        }
        let test = try TopologyTest(topology, seed: seed, configuration: small)
        try #require(test.running.stage("small")).pause()
        source.send(contentsOf: 0..<3)
        try test.run()
        try #require(test.running.stage("small")).resume()
        try test.advance(by: .seconds(2))
        #expect(sink.received == [0, 1, 2], "\(test)")
    }

    @Test(arguments: TopologyTest.seeds(20))
    func `hands over a single event at once`(seed: UInt64) throws {
        let source = SourceProbe<Int>()
        let sink = SinkProbe<Int>()
        let topology = Topology("t") {
            EventStream("in", from: source.source).stage("a").stage("b").sink(sink.sink)
        }
        let test = try TopologyTest(topology, seed: seed)
        for value in 0..<50 {
            source.send(value)
            try test.run()
            #expect(sink.received.last == value, "\(test)")
        }
    }

    @Test func `lets an outlet go on as well`() throws {
        let source = SourceProbe<Int>()
        let topology = Topology("t") { EventStream("in", from: source.source).sink(.outlet("out")) }
        let test = try TopologyTest(topology)
        let taken = try test.collect(Outlet<Int>("out"))
        test.running.stage("out")?.pause()
        source.send(1)
        try test.run()
        #expect(taken.received == [])
        test.running.resume()
        try test.run()
        #expect(taken.received == [1])
        test.running.stage("out")?.pause()
        source.send(2)
        try test.run()
        try test.drain()
        try test.run()
        #expect(taken.received == [1, 2])
        #expect(taken.isFinished)
    }

    @Test func `gives a paused outlet all that it has at the end`() throws {
        let source = SourceProbe<Int>()
        let topology = Topology("t") { EventStream("in", from: source.source).sink(.outlet("out")) }
        let test = try TopologyTest(topology)
        let taken = try test.collect(Outlet<Int>("out"))
        test.running.stage("out")?.pause()
        source.send(1, 2)
        source.finish()
        try test.finish()
        try test.run()
        #expect(taken.received == [1, 2])
    }

    @Test(arguments: TopologyTest.seeds(20))
    func `ends when all of its stages have stopped, with a store as well`(seed: UInt64) throws {
        let source = SourceProbe<Int>()
        let out: Outlet<Int> = "out"
        let topology = Topology("t") {
            EventStream("in", from: source.source).stage("middle").sink(.outlet(out))
        }
        var configuration = TopologyTest.configuration
        configuration.store = continuationStore()
        let test = try TopologyTest(topology, seed: seed, configuration: configuration)
        _ = try test.collect(out, limit: 1)
        for event in 0..<5 {
            source.send(event)
            try test.run()
        }
        try test.finish()
    }

    @Test(arguments: TopologyTest.seeds(20))
    func `hands what a source has left at its end to the supervisor, if it finds no room`(
        seed: UInt64
    ) throws {
        let source = SourceProbe<Int>()
        let sink = SinkProbe<Int>()
        let topology = Topology("t") {
            EventStream("in", from: source.source).mailbox(.bounded(4, overflow: .fail))
                .sink(sink.sink).mailbox(.bounded(1))
        }
        let test = try TopologyTest(topology, seed: seed)
        sink.pause()
        for event in 0..<8 {
            source.send(event)
            try test.run()
        }
        source.finish()
        try test.run()
        sink.resume()
        try test.advance(by: .seconds(10))
        try test.finish()
        let status = try #require(test.running.status().stage("in"))
        #expect(status.restarts > 0)
        #expect(sink.received.count + status.dropped["overflow", default: 0] == 8, "\(test)")
    }

    @Test(arguments: TopologyTest.seeds(20))
    func `can be suspended twice`(seed: UInt64) throws {
        let source = SourceProbe<Int>()
        let sink = SinkProbe<Int>()
        let topology = Topology("t") { EventStream("in", from: source.source).sink(sink.sink) }
        var configuration = TopologyTest.configuration
        configuration.store = continuationStore()
        let test = try TopologyTest(topology, seed: seed, configuration: configuration)
        source.send(1)
        let numbers = Mutex<[Int]>([])
        for _ in 0..<2 {
            test.start { [running = test.running] in
                let number = try await running.suspend()
                numbers.withLock { $0.append(number) }
            }
        }
        try test.run()
        try test.finish()
        #expect(numbers.withLock { $0 } == [1, 1])
        let last = try test.perform { [running = test.running] in try await running.suspend() }
        #expect(last == 1)
    }

    @Test func `does not wait for the restart of a stage that is cancelled`() throws {
        let source = SourceProbe<Int>()
        let sink = SinkProbe<Int>()
        let slow = Supervisor(intensity: 10, backoff: .exponential(from: .hours(1), to: .hours(1)))
        let trouble = Trouble([1: 5])
        let topology = Topology("t") {
            EventStream("in", from: source.source).stage("failing")
                .map { (value) throws(Broken) in
                    try trouble.check(value)
                    return value
                }
                .supervised(slow).sink(sink.sink)
        }
        let test = try TopologyTest(topology)
        source.send(1)
        try test.run()
        test.running.stage("failing")?.cancel()
        try test.run()
        #expect(sink.isClosed)
        source.finish()
        try test.finish()
    }
}
