import Synchronization
import Testing
import WeirCore
import WeirTesting

/// Calls that the test answers one by one.
private final class Calls: Sendable {
    private struct Locked: Sendable {
        var made: [Int] = []
        var waiting: [Int: CheckedContinuation<Int, any Error>] = [:]
        var cancelled: [Int] = []
    }

    private let locked = Mutex(Locked())

    var made: [Int] { locked.withLock { $0.made } }
    var cancelled: [Int] { locked.withLock { $0.cancelled } }

    func call(_ value: Int) async throws -> Int {
        locked.withLock { $0.made.append(value) }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                locked.withLock { $0.waiting[value] = continuation }
            }
        } onCancel: {
            let waiting = locked.withLock { locked in
                locked.cancelled.append(value)
                return locked.waiting.removeValue(forKey: value)
            }
            waiting?.resume(throwing: CancellationError())
        }
    }

    func answer(_ value: Int, _ answer: Result<Int, any Error>) {
        locked.withLock { $0.waiting.removeValue(forKey: value) }?.resume(with: answer)
    }

    func answer(_ value: Int) {
        answer(value, .success(value * 10))
    }
}

private struct Bad: Error, CustomStringConvertible {
    let description = "bad"
}

@Suite struct `Mapping with asynchronous calls` {
    @Test func `keeps the order and the limit of calls in flight`() throws {
        let calls = Calls()
        let sink = SinkProbe<Int>()
        let test = try TopologyTest(
            Topology("t") {
                EventStream("in", from: .collection(1...5))
                    .mapAsync(inFlight: 2) { try await calls.call($0) }.sink(sink.sink)
            })
        try test.run()
        #expect(calls.made == [1, 2])
        calls.answer(2)
        try test.run()
        #expect(sink.received == [])
        #expect(calls.made == [1, 2], "a result that waits for its turn takes room")
        calls.answer(1)
        try test.run()
        #expect(sink.received == [10, 20])
        #expect(calls.made == [1, 2, 3, 4])
        for value in 3...5 {
            calls.answer(value)
            try test.run()
        }
        try test.finish()
        #expect(sink.received == [10, 20, 30, 40, 50])
    }

    @Test func `suspends upstream while the calls in flight are at their limit`() throws {
        let calls = Calls()
        let numbers = SourceProbe<Int>()
        let test = try TopologyTest(
            Topology("t") {
                EventStream("in", from: numbers.source).mailbox(.bounded(4))
                    .mapAsync(inFlight: 2) { try await calls.call($0) }.mailbox(.bounded(4))
                    .sink(.discard)
            })
        numbers.send(contentsOf: 0..<1_000)
        try test.run()
        #expect(numbers.pending > 900)
        #expect(calls.made == [0, 1])
    }

    @Test func `lets results leave as they come when order doesn't matter`() throws {
        let calls = Calls()
        let sink = SinkProbe<Int>()
        let test = try TopologyTest(
            Topology("t") {
                EventStream("in", from: .collection(1...3))
                    .mapAsync(ordered: false) { try await calls.call($0) }.sink(sink.sink)
            })
        for value in [2, 3, 1] {
            try test.run()
            calls.answer(value)
        }
        try test.finish()
        #expect(sink.received == [20, 30, 10])
    }

    @Test func `lets no unordered result pass a watermark`() throws {
        let calls = Calls()
        let numbers = SourceProbe<Int>()
        let sink = SinkProbe<Int>()
        let test = try TopologyTest(
            Topology("t") {
                EventStream("in", from: numbers.source)
                    .mapAsync(ordered: false) { try await calls.call($0) }.sink(sink.sink)
            })
        let stage = try #require(test.running.instances.last?.first)
        numbers.send(1, at: EventTime(milliseconds: 1))
        numbers.sendWatermark(EventTime(milliseconds: 1))
        numbers.send(2, at: EventTime(milliseconds: 2))
        try test.run()
        calls.answer(2)
        try test.run()
        #expect(sink.received == [])
        #expect(stage.metrics.watermark.load(ordering: .relaxed) == Int64.min)
        calls.answer(1)
        try test.run()
        #expect(sink.received == [10, 20])
        #expect(stage.metrics.watermark.load(ordering: .relaxed) == 1_000_000)
    }

    @Test func `tries a failed call again with waits that grow`() throws {
        let calls = Calls()
        let sink = SinkProbe<Int>()
        let test = try TopologyTest(
            Topology("t") {
                EventStream("in", from: .collection([1]))
                    .mapAsync(
                        retry: .exponential(attempts: 3, from: .seconds(1), jitter: 0)
                    ) { try await calls.call($0) }.sink(sink.sink)
            })
        try test.run()
        calls.answer(1, .failure(Bad()))
        try test.advance(by: .milliseconds(999))
        #expect(calls.made.count == 1)
        try test.advance(by: .milliseconds(1))
        #expect(calls.made.count == 2)
        calls.answer(1, .failure(Bad()))
        try test.advance(by: .milliseconds(1_999))
        #expect(calls.made.count == 2)
        try test.advance(by: .milliseconds(1))
        calls.answer(1)
        try test.finish()
        #expect(sink.received == [10])
        #expect(
            test.running.instances.joined().allSatisfy {
                $0.metrics.restarts.load(ordering: .relaxed) == 0
            })
    }

    @Test func `fails a call at its timeout and cancels it`() throws {
        let calls = Calls()
        let sink = SinkProbe<Int>()
        let test = try TopologyTest(
            Topology("t") {
                EventStream("in", from: .collection(1...2))
                    .mapAsync(timeout: .seconds(1)) { try await calls.call($0) }
                    .recover(from: AsyncTimeout.self) { _ in .emit(-1) }
                    .sink(sink.sink)
            })
        try test.run()
        calls.answer(2)
        try test.advance(by: .milliseconds(999))
        #expect(sink.received == [])
        try test.advance(by: .milliseconds(1))
        try test.finish()
        #expect(sink.received == [-1, 20])
        #expect(calls.cancelled == [1])
    }

    @Test func `restarts and calls again, then gives the event up with its attempts`() throws {
        let made = Mutex<[Int]>([])
        let sink = SinkProbe<Int>()
        let test = try TopologyTest(
            Topology("t") {
                EventStream("in", from: .collection(0..<30))
                    .mapAsync(inFlight: 1) { (value) async throws(Bad) -> Int in
                        made.withLock { $0.append(value) }
                        if value % 3 == 1 { throw Bad() }
                        return value
                    }.sink(sink.sink)
            })
        for _ in 0..<200 { try test.advance(by: .seconds(1)) }
        try test.finish()
        #expect(sink.received == (0..<30).filter { $0 % 3 != 1 })
        #expect(made.withLock { $0.filter { $0 == 4 }.count } == 3)
        #expect(test.running.deadLetters.letters.count == 10)
        #expect(test.running.deadLetters.letters.allSatisfy { $0.attempts == 3 })
    }

    @Test func `gives every event up when every call fails, and goes on`() throws {
        let test = try TopologyTest(
            Topology("t") {
                EventStream("in", from: .collection(0..<100))
                    .mapAsync { (_) async throws(Bad) -> Int in throw Bad() }.sink(.discard)
            })
        try test.advance(by: .minutes(1))
        try test.finish()
        #expect(test.running.deadLetters.total == 100)
    }

    private func received(
        deciding decide: @escaping @Sendable (Bad) -> Decision<Int>
    ) throws -> (sink: SinkProbe<Int>, test: TopologyTest) {
        let sink = SinkProbe<Int>()
        let test = try TopologyTest(
            Topology("t") {
                EventStream("in", from: .collection(0..<4))
                    .mapAsync { (value) async throws(Bad) -> Int in
                        if value == 1 { throw Bad() }
                        return value
                    }
                    .recover(from: Bad.self, decide)
                    .sink(sink.sink)
            })
        return (sink, test)
    }

    @Test func `lets a recovery behind it decide`() throws {
        let skipped = try received { _ in .skip }
        try skipped.test.finish()
        #expect(skipped.sink.received == [0, 2, 3])
        #expect(skipped.test.running.deadLetters.total == 0)

        let emitted = try received { _ in .emit(100) }
        try emitted.test.finish()
        #expect(emitted.sink.received == [0, 100, 2, 3])

        let letters = try received { _ in .deadLetter }
        try letters.test.finish()
        #expect(letters.sink.received == [0, 2, 3])
        #expect(letters.test.running.deadLetters.letters.map(\.attempts) == [1])

        let escalated = try received { _ in .escalate }
        #expect(throws: StageFailure.self) { try escalated.test.finish() }
    }

    @Test func `goes on when nothing comes of the only call in flight`() throws {
        let sink = SinkProbe<Int>()
        let test = try TopologyTest(
            Topology("t") {
                EventStream("in", from: .collection(0..<5))
                    .mapAsync(inFlight: 1) { (value) async throws(Bad) -> Int in
                        if (1...3).contains(value) { throw Bad() }
                        return value
                    }
                    .recover(from: Bad.self) { _ in .skip }
                    .sink(sink.sink)
            })
        try test.finish()
        #expect(sink.received == [0, 4])
    }

    @Test func `cancels the calls in flight with the run`() throws {
        let calls = Calls()
        let test = try TopologyTest(
            Topology("t") {
                EventStream("in", from: .collection(1...3))
                    .mapAsync { try await calls.call($0) }.sink(.discard)
            })
        try test.run()
        try test.cancel()
        #expect(calls.cancelled.sorted() == [1, 2, 3])
    }

    @Test func `gives up only the result that fails behind it`() throws {
        let sink = SinkProbe<Int>()
        let test = try TopologyTest(
            Topology("t") {
                EventStream("in", from: .collection(0..<10))
                    .mapAsync { $0 }
                    .map { (value) throws(Bad) in
                        if value == 5 { throw Bad() }
                        return value
                    }
                    .sink(sink.sink)
            })
        try test.advance(by: .seconds(60))
        try test.finish()
        #expect(sink.received == (0..<10).filter { $0 != 5 })
    }

    @Test func `lets a recovery decide about a result that fails behind it`() throws {
        let sink = SinkProbe<Int>()
        let test = try TopologyTest(
            Topology("t") {
                EventStream("in", from: .collection(0..<10))
                    .mapAsync { $0 }
                    .map { (value) throws(Bad) in
                        if value % 3 == 1 { throw Bad() }
                        return value
                    }
                    .recover(from: Bad.self) { _ in .emit(-1) }
                    .sink(sink.sink)
            })
        try test.finish()
        #expect(sink.received == (0..<10).map { $0 % 3 == 1 ? -1 : $0 })
    }

    @Test(arguments: TopologyTest.seeds(50))
    func `keeps the order whatever the schedule`(seed: UInt64) throws {
        let sink = SinkProbe<Int>()
        let test = try TopologyTest(
            Topology("t") {
                EventStream("in", from: .collection(0..<500))
                    .mapAsync(inFlight: 7) { value in
                        for _ in 0..<(value % 5) { await Task.yield() }
                        return value
                    }.sink(sink.sink)
            }, seed: seed)
        try test.finish()
        #expect(sink.received == Array(0..<500), "\(test)")
    }
}

@Suite struct `Enriching with a look-up` {
    @Test func `asks once for events of the same key and remembers the answer for a time`() throws {
        let calls = Calls()
        let numbers = SourceProbe<Int>()
        let sink = SinkProbe<[Int]>()
        let test = try TopologyTest(
            Topology("t") {
                EventStream("in", from: numbers.source)
                    .enrich(by: { $0 % 10 }, lifetime: .seconds(60)) {
                        try await calls.call($0)
                    } _: {
                        [$0, $1]
                    }
                    .sink(sink.sink)
            })
        numbers.send(1, 11, 2)
        try test.run()
        #expect(calls.made == [1, 2])
        calls.answer(1)
        calls.answer(2)
        try test.run()
        numbers.send(21)
        try test.run()
        #expect(calls.made == [1, 2])
        #expect(sink.received == [[1, 10], [11, 10], [2, 20], [21, 10]])
        try test.advance(by: .seconds(60))
        numbers.send(31)
        try test.run()
        #expect(calls.made == [1, 2, 1])
    }

    @Test func `passes any number of remembered keys without waiting`() throws {
        let sink = SinkProbe<Int>()
        let test = try TopologyTest(
            Topology("t") {
                EventStream("in", from: .collection(0..<5_000))
                    .enrich(by: { $0 % 2 }, inFlight: 3) {
                        $0
                    } _: {
                        $0 + $1
                    }
                    .sink(sink.sink)
            })
        try test.finish()
        #expect(sink.received == (0..<5_000).map { $0 + $0 % 2 })
    }

    @Test func `forgets the key that was not used for longest`() {
        var cache = LookUpCache<Int, String>(capacity: 2, lifetime: .seconds(10))
        let now = EventTime()
        cache.insert("a", for: 1, at: now)
        cache.insert("b", for: 2, at: now)
        #expect(cache.value(for: 1, at: now) == "a")
        cache.insert("c", for: 3, at: now)
        #expect(cache.value(for: 2, at: now) == nil)
        #expect(cache.value(for: 1, at: now) == "a")
        #expect(cache.value(for: 3, at: now) == "c")
        #expect(cache.value(for: 3, at: now.advanced(by: .seconds(10))) == nil)
        #expect(cache.count == 2)
    }
}

@Suite(.everyStateBackend) struct `Enriching from a table` {
    private struct Row: Sendable {
        let id: Int
        let name: String
    }

    @Test func `adds the newest row of the key, or nil`() throws {
        let events = SourceProbe<Int>()
        let rows = SourceProbe<Row>()
        let sink = SinkProbe<String>()
        let test = try TopologyTest(
            Topology("t") {
                EventStream("events", from: events.source)
                    .enrich(
                        with: EventStream("rows", from: rows.source), by: { $0 }, rowKey: { $0.id }
                    ) { "\($0) \($1?.name ?? "nobody")" }
                    .sink(sink.sink)
            })
        events.send(1)
        try test.run()
        rows.send(Row(id: 1, name: "a"), Row(id: 2, name: "b"))
        try test.run()
        events.send(1, 2, 3)
        try test.run()
        rows.send(Row(id: 1, name: "c"))
        try test.run()
        events.send(1)
        events.finish()
        rows.finish()
        try test.finish()
        #expect(sink.received == ["1 nobody", "1 a", "2 b", "3 nobody", "1 c"])
    }

    @Test func `waits for the table to be loaded`() throws {
        let events = SourceProbe<Int>()
        let rows = SourceProbe<Row>()
        let sink = SinkProbe<String>()
        let test = try TopologyTest(
            Topology("t") {
                EventStream("events", from: events.source)
                    .enrich(
                        with: EventStream("rows", from: rows.source), by: { $0 },
                        rowKey: { $0.id }, start: .whenLoaded(limit: 3)
                    ) { event, row in row.map { "\(event) \($0.name)" } }
                    .sink(sink.sink)
            })
        events.send(1, 2, 3)
        rows.send(Row(id: 1, name: "a"))
        try test.run()
        #expect(sink.received == [])
        rows.finish()
        try test.run()
        #expect(sink.received == ["1 a"])
        events.send(1)
        events.finish()
        try test.finish()
        #expect(sink.received == ["1 a", "1 a"])
    }

    @Test func `waits for no more events than the limit says`() throws {
        let events = SourceProbe<Int>()
        let rows = SourceProbe<Row>()
        let sink = SinkProbe<Int>()
        let test = try TopologyTest(
            Topology("t") {
                EventStream("events", from: events.source)
                    .enrich(
                        with: EventStream("rows", from: rows.source), by: { $0 },
                        rowKey: { $0.id }, start: .whenLoaded(limit: 3)
                    ) { event, _ in event }
                    .sink(sink.sink)
            })
        events.send(1, 2, 3)
        try test.run()
        #expect(sink.received == [])
        events.send(4)
        try test.run()
        #expect(sink.received == [1, 2, 3, 4])
    }

    @Test func `sends a row that finds the table full to the dead letters`() throws {
        let sink = SinkProbe<String>()
        let rows = (0..<5).map { Row(id: $0 % 3, name: "n\($0)") }
        let test = try TopologyTest(
            Topology("t") {
                EventStream("events", from: .collection(0..<3))
                    .enrich(
                        with: EventStream("rows", from: .collection(rows)), by: { $0 },
                        rowKey: { $0.id }, entries: 2, start: .whenLoaded()
                    ) { "\($0) \($1?.name ?? "nobody")" }
                    .sink(sink.sink)
            })
        try test.finish()
        #expect(sink.received == ["0 n3", "1 n4", "2 nobody"])
        #expect(test.running.deadLetters.total == 1)
    }

    @Test(arguments: TopologyTest.seeds(20))
    func `finds the rows of all keys in parallel instances`(seed: UInt64) throws {
        let sink = SinkProbe<Int>()
        let rows = (0..<1_000).map { Row(id: $0, name: "\($0)") }
        let test = try TopologyTest(
            Topology("t") {
                EventStream("events", from: .collection(0..<2_000))
                    .enrich(
                        with: EventStream("rows", from: .collection(rows)), by: { $0 },
                        rowKey: { $0.id }, start: .whenLoaded(), parallelism: 4
                    ) { event, row in row.flatMap { Int($0.name) == event ? event : nil } }
                    .sink(sink.sink)
            }, seed: seed)
        try test.finish()
        #expect(sink.received.sorted() == Array(0..<1_000), "\(test)")
    }
}
