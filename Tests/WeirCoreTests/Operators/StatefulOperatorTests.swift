import Testing
import WeirCore
import WeirTesting

@Suite(.everyStateBackend) struct `Operators with state` {
    /// Runs a collection through an operator with small batches and returns what comes out.
    private func run<Element: Sendable, Output: Sendable>(
        _ events: [Element], batchSize: Int = 3,
        _ build: (EventStream<Element>) -> EventStream<Output>
    ) throws -> (received: [Output], running: RunningTopology) {
        let sink = SinkProbe<Output>()
        let topology = Topology("t") {
            build(EventStream("in", from: .collection(events))).sink(sink.sink)
        }
        var configuration = TopologyTest.configuration
        configuration.batchSize = batchSize
        let test = try TopologyTest(topology, configuration: configuration)
        // Time for the waits between restarts.
        try test.advance(by: .seconds(10))
        try test.finish()
        return (sink.received, test.running)
    }

    private func dropped(_ reason: DropReason, _ running: RunningTopology) -> Int {
        running.instances.joined().reduce(0) { $0 + $1.metrics.droppedByReason[reason, default: 0] }
    }

    @Test func `scan emits each new value`() throws {
        #expect(try run(Array(1...5)) { $0.scan(0) { $0 + $1 } }.received == [1, 3, 6, 10, 15])
    }

    @Test func `scan into a state emits what the step returns`() throws {
        let result = try run(["a", "b", "a", "a"]) {
            $0.scan(into: [String: Int]()) { counts, word in
                counts[word, default: 0] += 1
                return counts[word, default: 0]
            }
        }
        #expect(result.received == [1, 1, 2, 3])
    }

    @Test func `scan goes back to the last completed batch when an event fails`() throws {
        struct Bad: Error {}
        let result = try run(Array(1...7), batchSize: 7) {
            $0.scan(0) { $0 + $1 }.map { (sum) throws(Bad) in
                if sum == 6 { throw Bad() }
                return sum
            }
        }
        // The third event is given up, so its number is not in the sum either.
        #expect(result.received == [1, 3, 7, 12, 18, 25])
        #expect(result.running.deadLetters.total == 1)
    }

    @Test(arguments: [0, 1, 3, 4, 100]) func `prefix passes the first events on and ends`(
        count: Int
    ) throws {
        let result = try run(Array(0..<20)) { $0.prefix(count) }
        #expect(result.received == Array(0..<min(count, 20)))
    }

    @Test func `prefix stops an endless source`() throws {
        let sink = SinkProbe<Int>()
        let numbers = SourceProbe<Int>()
        let test = try TopologyTest(
            Topology("t") { EventStream("in", from: numbers.source).prefix(2).sink(sink.sink) })
        numbers.send(1, 2, 3)
        try test.run()
        numbers.send(4, 5)
        try test.run()
        numbers.send(6)
        try test.finish()
        #expect(sink.received == [1, 2])
        #expect(sink.isClosed)
    }

    @Test func `prefix leaves other uses of the stream alone`() throws {
        let first = SinkProbe<Int>("first")
        let all = SinkProbe<Int>("all")
        let stream = EventStream("in", from: .collection(0..<50))
        let test = try TopologyTest(
            Topology("t") {
                stream.prefix(5).sink(first.sink)
                stream.sink(all.sink)
            })
        try test.finish()
        #expect(first.received == Array(0..<5))
        #expect(all.received == Array(0..<50))
    }

    @Test func `prefix counts only events that got through`() throws {
        struct Bad: Error {}
        let result = try run(Array(0..<10), batchSize: 10) {
            $0.prefix(3).map { (value) throws(Bad) in
                if value == 1 { throw Bad() }
                return value
            }
        }
        #expect(result.received == [0, 2, 3])
    }

    @Test func `dropFirst leaves the first events out`() throws {
        #expect(try run(Array(0..<10)) { $0.dropFirst(4) }.received == Array(4..<10))
        #expect(try run(Array(0..<10)) { $0.dropFirst(0) }.received == Array(0..<10))
        #expect(try run(Array(0..<3)) { $0.dropFirst(4) }.received == [])
    }

    @Test func `enumerated numbers the events`() throws {
        let result = try run(["a", "b", "c", "d"]) { $0.enumerated() }
        #expect(result.received.map(\.offset) == [0, 1, 2, 3])
        #expect(result.received.map(\.element) == ["a", "b", "c", "d"])
    }

    @Test func `removeDuplicates leaves out what equals the event before`() throws {
        let result = try run([1, 1, 2, 2, 2, 1, 1]) { $0.removeDuplicates() }
        #expect(result.received == [1, 2, 1])
        #expect(dropped(.duplicate, result.running) == 4)
    }

    @Test func `changes compares a property`() throws {
        let result = try run(["aa", "ab", "ba", "bb", "ac"]) { $0.changes(of: { $0.first }) }
        #expect(result.received == ["aa", "ba", "ac"])
    }

    @Test func `distinct lets each event through once`() throws {
        let result = try run([1, 2, 1, 3, 2, 1, 4]) { $0.distinct() }
        #expect(result.received == [1, 2, 3, 4])
        #expect(dropped(.duplicate, result.running) == 3)
    }

    @Test func `distinct forgets the oldest key beyond its memory`() throws {
        let result = try run([1, 2, 3, 1, 3]) { $0.distinct(memory: 2) }
        #expect(result.received == [1, 2, 3, 1])
    }

    @Test func `distinct forgets a key when its time is over`() throws {
        let numbers = SourceProbe<Int>()
        let sink = SinkProbe<Int>()
        let test = try TopologyTest(
            Topology("t") {
                EventStream("in", from: numbers.source).distinct(within: .seconds(10))
                    .sink(sink.sink)
            })
        numbers.send(1, 1)
        try test.advance(by: .seconds(9))
        numbers.send(1)
        try test.advance(by: .seconds(1))
        numbers.send(1, 1)
        try test.run()
        #expect(sink.received == [1, 1])
    }

    @Test func `what is dropped in a batch that fails counts once`() throws {
        struct Bad: Error {}
        let result = try run([1, 1, 1, 2, 2, 9], batchSize: 6) {
            $0.distinct().map { (value) throws(Bad) in
                if value == 9 { throw Bad() }
                return value
            }
        }
        #expect(result.received == [1, 2])
        #expect(dropped(.duplicate, result.running) == 3)
    }

    @Test func `arguments that make no sense are reported with the fix`() {
        let stream = EventStream("in", from: .collection(0..<3))
        let topologies = [
            stream.prefix(-1), stream.dropFirst(-1), stream.distinct(memory: 0),
            stream.distinct(within: .zero), stream.throttle(events: 0, per: .seconds(1)),
            stream.throttle(events: 1, per: .zero), stream.debounce(.zero),
            stream.sample(every: .zero), stream.chunked(count: 0).map { $0[0] },
            stream.branch(0, by: { $0 })[0], stream.mapAsync(inFlight: 0) { $0 },
            stream.mapAsync(timeout: .zero) { $0 },
            stream.conflate(capacity: 0) { $0 + $1 },
        ].map { stream in Topology("t") { stream.sink(.discard) } }
        for topology in topologies {
            #expect(throws: TopologyError.self) { try topology.validate() }
        }
    }
}

@Suite struct `A bounded memory` {
    private func insert(
        _ key: Int, _ memory: inout BoundedMemory<Int>, at time: EventTime, isNew: Bool,
        _ location: Testing.SourceLocation = #_sourceLocation
    ) {
        let inserted = memory.insert(key, at: time)
        #expect(inserted == isNew, sourceLocation: location)
    }

    @Test func `goes back to before the batch`() {
        var memory = BoundedMemory<Int>(limit: 3, lifetime: .seconds(10))
        for key in 1...3 { insert(key, &memory, at: EventTime(), isNew: true) }
        memory.begin()
        let later = EventTime(milliseconds: 20_000)
        // A refresh, then enough new keys to push all others out.
        for key in [1, 4, 5, 6, 7] { insert(key, &memory, at: later, isNew: true) }
        memory.rollback()
        #expect(memory.count == 3)
        for key in 1...3 {
            insert(key, &memory, at: EventTime(milliseconds: 1), isNew: false)
        }
        insert(4, &memory, at: EventTime(), isNew: true)
        // The oldest has given way.
        insert(1, &memory, at: EventTime(), isNew: true)
    }

    @Test func `stays bounded when the same keys come again and again`() {
        var memory = BoundedMemory<Int>(limit: 4, lifetime: .nanoseconds(1))
        for round in 0..<1_000 {
            insert(
                round % 2, &memory, at: EventTime(nanoseconds: Int64(round * 10)), isNew: true)
        }
        #expect(memory.count <= 2)
    }
}
