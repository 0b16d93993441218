import Synchronization
import Testing
import WeirCore
import WeirTesting

@Suite struct `A topology under test` {
    @Test func `handles what a probe sends before run returns`() throws {
        let numbers = SourceProbe<Int>()
        let doubled = SinkProbe<Int>()
        let topology = Topology("doubling") {
            EventStream("numbers", from: numbers.source).map { $0 * 2 }.sink(doubled.sink)
        }
        let test = try TopologyTest(topology, seed: 1)
        numbers.send(1, 2, 3)
        #expect(doubled.received == [])
        try test.run()
        #expect(doubled.received == [2, 4, 6])
        numbers.send(4)
        try test.run()
        #expect(doubled.received == [2, 4, 6, 8])
        #expect(!doubled.isClosed)
        numbers.finish()
        try test.finish()
        #expect(doubled.isClosed)
    }

    private func trace(seed: UInt64) throws -> [String] {
        let trace = Mutex<[String]>([])
        let sources = (0..<3).map { _ in SourceProbe<Int>() }
        let sink = SinkProbe<Int>()
        @Sendable func note(_ text: String) { trace.withLock { $0.append(text) } }
        let topology = Topology("t") {
            EventStream.merge(
                sources.enumerated().map { index, probe in
                    EventStream("in\(index)", from: probe.source)
                        .map { value in
                            note("source \(index): \(value)")
                            return value
                        }
                        .mailbox(.bounded(4))
                        .stage("s\(index)")
                        .map { value in
                            note("stage \(index): \(value)")
                            return value
                        }
                }
            )
            .map { value in
                note("merged: \(value)")
                return value
            }
            .sink(sink.sink)
        }
        var configuration = TopologyTest.configuration
        configuration.batchSize = 3
        let test = try TopologyTest(topology, seed: seed, configuration: configuration)
        for index in sources.indices {
            sources[index].send(contentsOf: (index * 100)..<(index * 100 + 20))
            sources[index].finish()
        }
        try test.finish()
        #expect(sink.received.sorted() == (0..<20).flatMap { [$0, $0 + 100, $0 + 200] }.sorted())
        return trace.withLock { $0 }
    }

    @Test(arguments: [0, 1, 7] as [UInt64])
    func `does the same things in the same order for the same seed`(seed: UInt64) throws {
        let first = try trace(seed: seed)
        for _ in 0..<(seed == 1 ? 100 : 10) {
            let again = try trace(seed: seed)
            #expect(again == first)
        }
    }

    @Test func `does things in another order for another seed`() throws {
        let traces = try Set((0..<20).map { try trace(seed: $0) })
        #expect(traces.count > 10)
    }

    @Test func `lets time go on only when told to`() throws {
        let sink = SinkProbe<EventTime>()
        let topology = Topology("t") {
            EventStream(
                "ticks",
                from: Source<EventTime>("ticks") { inlet in
                    for _ in 0..<3 {
                        try await inlet.context.sleep(for: .hours(1))
                        try await inlet.send(inlet.context.now)
                    }
                }
            ).sink(sink.sink)
        }
        let test = try TopologyTest(topology)
        try test.run()
        #expect(sink.received == [])
        try test.advance(by: .minutes(59))
        #expect(sink.received == [])
        try test.advance(by: .minutes(1))
        #expect(sink.received.map(\.nanoseconds) == [3_600_000_000_000])
        try test.advance(by: .days(1))
        #expect(sink.received.count == 3)
        try test.finish()
    }

    @Test func `shows backpressure as what the source can't get rid of`() throws {
        let source = SourceProbe<Int>()
        let sink = SinkProbe<Int>()
        let topology = Topology("t") {
            EventStream("in", from: source.source).mailbox(.bounded(10)).sink(sink.sink)
        }
        let test = try TopologyTest(topology)
        sink.pause()
        source.send(contentsOf: 0..<30_000)
        try test.run()
        #expect(source.pending > 20_000)
        sink.resume()
        try test.run()
        #expect(source.pending == 0)
        #expect(sink.received == Array(0..<30_000))
    }

    @Test func `names the seed when something doesn't come`() throws {
        let source = SourceProbe<Int>()
        let topology = Topology("t") {
            EventStream("in", from: source.source).sink(SinkProbe<Int>().sink)
        }
        let test = try TopologyTest(topology, seed: 42)
        let error = #expect(throws: TopologyTestError.self) { try test.finish() }
        #expect(error?.seed == 42)
        #expect("\(try #require(error))".contains("seed 42"))
    }

    @Test func `makes sources and sinks fail when told to`() throws {
        struct Broken: Error {}
        let source = SourceProbe<Int>()
        let sink = SinkProbe<Int>()
        let topology = Topology("t") {
            EventStream("in", from: source.source).sink(sink.sink)
        }
        let test = try TopologyTest(topology, seed: 3)
        sink.failNextWrite(Broken())
        source.send(1)
        source.fail(Broken())
        source.send(2)
        source.finish()
        try test.advance(by: .seconds(10))
        try test.finish()
        #expect(sink.received == [1, 2])
        #expect(source.starts == 2)
        #expect(sink.opened == 2)
    }

    @Test func `takes from outlets`() throws {
        let source = SourceProbe<Int>()
        let out: Outlet<Int> = "out"
        let topology = Topology("t") {
            EventStream("in", from: source.source).sink(.outlet(out))
        }
        let test = try TopologyTest(topology, seed: 3)
        let taken = try test.collect(out)
        source.send(1, 2)
        try test.run()
        #expect(taken.received == [1, 2])
        #expect(!taken.isFinished)
        source.finish()
        try test.finish()
        #expect(taken.isFinished)
        #expect(taken.failure == nil)
    }
}
