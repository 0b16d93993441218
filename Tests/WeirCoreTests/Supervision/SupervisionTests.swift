import Synchronization
import Testing
import WeirCore
import WeirTesting

struct Broken: Error {}

/// Throws for an event as often as it is told to.
final class Trouble: Sendable {
    private let left: Mutex<[Int: Int]>

    init(_ failures: [Int: Int]) { left = Mutex(failures) }

    func check(_ value: Int) throws(Broken) {
        let fails = left.withLock { left in
            guard let count = left[value], count > 0 else { return false }
            left[value] = count - 1
            return true
        }
        if fails { throw Broken() }
    }
}

@Suite struct `A supervised stage` {
    private func small(_ batchSize: Int = 8) -> RunConfiguration {
        var configuration = TopologyTest.configuration
        configuration.batchSize = batchSize
        return configuration
    }

    @Test(arguments: TopologyTest.seeds(50))
    func `handles an event that fails twice once, and loses none`(seed: UInt64) throws {
        let source = SourceProbe<Int>()
        let sink = SinkProbe<Int>()
        let trouble = Trouble([3: 2, 17: 1])
        let topology = Topology("t") {
            EventStream("in", from: source.source).stage("s")
                .map { (value) throws(Broken) in
                    try trouble.check(value)
                    return value
                }
                .sink(sink.sink)
        }
        let test = try TopologyTest(topology, seed: seed, configuration: small())
        source.send(contentsOf: 0..<40)
        source.finish()
        try test.advance(by: .seconds(10))
        try test.finish()
        #expect(sink.received == Array(0..<40), "\(test)")
        #expect(test.running.deadLetters.total == 0)
        #expect(try #require(test.running.status().stage("s")).restarts >= 1)
    }

    @Test(arguments: TopologyTest.seeds(20))
    func `goes on after poison events between others`(seed: UInt64) throws {
        let source = SourceProbe<Int>()
        let sink = SinkProbe<Int>()
        let topology = Topology("t") {
            EventStream("in", from: source.source).stage("s")
                .map { (value) throws(Broken) in
                    if value % 10 == 0 { throw Broken() }
                    return value
                }
                .sink(sink.sink)
        }
        // One event a batch: the poison is always alone in its own.
        let test = try TopologyTest(topology, seed: seed, configuration: small(1))
        source.send(contentsOf: 1..<100)
        source.finish()
        try test.advance(by: .seconds(4))
        try test.finish()
        #expect(sink.received == (1..<100).filter { $0 % 10 != 0 }, "\(test)")
        #expect(test.running.deadLetters.letters.map(\.attempts) == Array(repeating: 3, count: 9))
    }

    @Test func `waits before the second restart, in virtual time`() throws {
        let source = SourceProbe<Int>()
        let sink = SinkProbe<Int>()
        let trouble = Trouble([1: 3])
        let supervisor = Supervisor(
            intensity: 10, backoff: .exponential(from: .seconds(1), factor: 2, jitter: 0),
            attempts: 5)
        let topology = Topology("t", supervisor: supervisor) {
            EventStream("in", from: source.source)
                .map { (value) throws(Broken) in
                    try trouble.check(value)
                    return value
                }
                .sink(sink.sink)
        }
        let test = try TopologyTest(topology)
        source.send(1)
        try test.run()
        #expect(test.running.status().stage("in")?.activity == "restarting")
        try test.advance(by: .milliseconds(999))
        #expect(sink.received == [])
        try test.advance(by: .milliseconds(1))
        #expect(sink.received == [])
        try test.advance(by: .seconds(2))
        #expect(sink.received == [1])
    }

    private func restarted(
        _ strategy: Supervisor.Strategy, failing: String, seed: UInt64
    ) throws -> [String] {
        let source = SourceProbe<Int>()
        let sink = SinkProbe<Int>("sink")
        let shared = Supervisor(strategy, name: "shared", intensity: 10)
        // Once in its batch, once alone.
        let trouble = Trouble([1: 2])
        var stream = EventStream("in", from: source.source)
        for name in ["a", "b", "c"] {
            stream = stream.stage(name)
                .map { (value) throws(Broken) in
                    if name == failing { try trouble.check(value) }
                    return value
                }
                .supervised(shared)
        }
        let topology = Topology("t") { stream.sink(sink.sink) }
        let test = try TopologyTest(topology, seed: seed)
        source.send(1, 2)
        try test.advance(by: .seconds(1))
        #expect(sink.received == [1, 2])
        return test.running.status().stages.filter { $0.restarts > 0 }.map(\.name)
    }

    @Test(arguments: TopologyTest.seeds(20))
    func `restarts the stages that the strategy says`(seed: UInt64) throws {
        #expect(try restarted(.oneForOne, failing: "b", seed: seed) == ["b"])
        #expect(try restarted(.restForOne, failing: "b", seed: seed) == ["b", "c"])
        #expect(try restarted(.oneForAll, failing: "b", seed: seed) == ["a", "b", "c"])
    }

    @Test(arguments: TopologyTest.seeds(20))
    func `does not restart its source with it under rest-for-one`(seed: UInt64) throws {
        let source = SourceProbe<Int>()
        let sink = SinkProbe<Int>()
        // Once in its batch, once alone.
        let trouble = Trouble([1: 2])
        let topology = Topology("t", supervisor: Supervisor(.restForOne)) {
            EventStream("in", from: source.source)
                .map { (value) throws(Broken) in
                    try trouble.check(value)
                    return value
                }
                .sink(sink.sink)
        }
        let test = try TopologyTest(topology, seed: seed)
        source.send(1, 2)
        try test.advance(by: .seconds(1))
        #expect(sink.received == [1, 2])
        #expect(source.starts == 1)
    }

    @Test(arguments: TopologyTest.seeds(20))
    func `escalates to the parent when it fails too often`(seed: UInt64) throws {
        let source = SourceProbe<Int>()
        let sink = SinkProbe<Int>()
        let trouble = Trouble([1: 3])
        let parent = Supervisor(.oneForOne, name: "parent", intensity: 2)
        let child = Supervisor(
            .oneForOne, name: "child", intensity: 1, attempts: 10, under: parent)
        let topology = Topology("t") {
            EventStream("in", from: source.source).stage("a").supervised(child)
                .stage("b")
                .map { (value) throws(Broken) in
                    try trouble.check(value)
                    return value
                }
                .supervised(child).sink(sink.sink)
        }
        let test = try TopologyTest(topology, seed: seed)
        source.send(1)
        try test.advance(by: .seconds(30))
        #expect(sink.received == [1], "\(test)")
        let supervisors = test.running.status().supervisors
        // The second failure within the period is the parent's, which starts the whole group afresh.
        let restarts = Dictionary(uniqueKeysWithValues: supervisors.map { ($0.name, $0.restarts) })
        #expect(restarts["child"] == 2)
        #expect(restarts["parent"] == 1)
        #expect(test.running.status().stage("a")?.restarts == 1)
    }

    @Test(arguments: TopologyTest.seeds(20))
    func `ends the run when the root gives up`(seed: UInt64) throws {
        let source = SourceProbe<Int>()
        let topology = Topology("t", supervisor: Supervisor(intensity: 1, attempts: 10)) {
            EventStream("in", from: source.source)
                .map { (_: Int) throws(Broken) -> Int in throw Broken() }
                .sink(SinkProbe<Int>().sink)
        }
        let test = try TopologyTest(topology, seed: seed)
        source.send(1)
        try test.advance(by: .seconds(60))
        #expect(throws: StageFailure.self) { try test.finish() }
    }

    @Test(arguments: TopologyTest.seeds(20))
    func `writes every event once when its sink fails twice`(seed: UInt64) throws {
        let source = SourceProbe<Int>()
        let sink = SinkProbe<Int>()
        let topology = Topology("t") { EventStream("in", from: source.source).sink(sink.sink) }
        let test = try TopologyTest(topology, seed: seed, configuration: small())
        sink.failNextWrite(Broken())
        sink.failNextWrite(Broken())
        source.send(contentsOf: 0..<50)
        source.finish()
        try test.advance(by: .seconds(10))
        try test.finish()
        #expect(sink.received == Array(0..<50))
        #expect(sink.opened == 3)
    }

    @Test(arguments: TopologyTest.seeds(20))
    func `runs a source again that has thrown`(seed: UInt64) throws {
        let source = SourceProbe<Int>()
        let sink = SinkProbe<Int>()
        let topology = Topology("t") { EventStream("in", from: source.source).sink(sink.sink) }
        let test = try TopologyTest(topology, seed: seed)
        source.send(1)
        source.fail(Broken())
        source.send(2)
        source.fail(Broken())
        source.send(3)
        source.finish()
        try test.advance(by: .seconds(10))
        try test.finish()
        #expect(sink.received == [1, 2, 3])
        #expect(source.starts == 3)
    }

    @Test(arguments: TopologyTest.seeds(200))
    func `keeps the totals of a fused operator exact while its neighbour fails`(
        seed: UInt64
    ) throws {
        var random = SplitMix64(seed: seed &+ 99)
        var failures: [Int: Int] = [:]
        for _ in 0..<5 { failures[Int.random(in: 0..<100, using: &random)] = 1 }
        let trouble = Trouble(failures)
        let poison = Int.random(in: 0..<100, using: &random)
        let source = SourceProbe<Int>()
        let sink = SinkProbe<Int>()
        let supervisor = Supervisor(intensity: 100, backoff: .none)
        let topology = Topology("t", supervisor: supervisor) {
            EventStream("in", from: source.source).stage("s")
                .runningTotal()
                .map { (pair) throws(Broken) in
                    try trouble.check(pair.0)
                    if pair.0 == poison { throw Broken() }
                    return pair.1
                }
                .sink(sink.sink)
        }
        let test = try TopologyTest(
            topology, seed: seed,
            configuration: small(Int.random(in: 1...32, using: &random)))
        source.send(contentsOf: 0..<100)
        source.finish()
        try test.finish()
        var total = 0
        let expected = (0..<100).filter { $0 != poison }.map { value in
            total += value
            return total
        }
        #expect(sink.received == expected, "\(test)")
        #expect(test.running.deadLetters.total == 1)
    }
}

@Suite struct `A recovery` {
    private func run(_ decision: Decision<Int>) throws -> (SinkProbe<Int>, TopologyTest) {
        let source = SourceProbe<Int>()
        let sink = SinkProbe<Int>()
        let topology = Topology("t", supervisor: Supervisor(backoff: .none)) {
            EventStream("in", from: source.source)
                .map { (value) throws(Broken) in
                    if value == 2 { throw Broken() }
                    return value
                }
                .recover(from: Broken.self) { _ in decision }
                .sink(sink.sink)
        }
        let test = try TopologyTest(topology)
        source.send(1, 2, 3)
        source.finish()
        try test.run()
        return (sink, test)
    }

    @Test func `may skip the event`() throws {
        let (sink, test) = try run(.skip)
        #expect(sink.received == [1, 3])
        #expect(test.running.status().stage("in")?.dropped == ["skipped": 1])
        #expect(test.running.deadLetters.total == 0)
    }

    @Test func `may send it to the dead letters at once`() throws {
        let (sink, test) = try run(.deadLetter)
        #expect(sink.received == [1, 3])
        #expect(test.running.deadLetters.letters.map(\.attempts) == [1])
    }

    @Test func `may emit another in its place`() throws {
        let (sink, _) = try run(.emit(-2))
        #expect(sink.received == [1, -2, 3])
    }

    @Test(arguments: TopologyTest.seeds(10))
    func `gives the replacement the time of the event that failed`(seed: UInt64) throws {
        let source = SourceProbe<Int>()
        let sink = SinkProbe<Int>()
        let topology = Topology("t") {
            EventStream("in", from: source.source).stage("s")
                .map { (value) throws(Broken) in
                    if value == 2 { throw Broken() }
                    return value
                }
                .recover(from: Broken.self) { _ in .emit(-2) }
                .sink(sink.sink)
        }
        let test = try TopologyTest(topology, seed: seed)
        let times = [1, 2, 3, 4, 5].map { EventTime(nanoseconds: $0) }
        for value in [1, 2, 3] { source.send(value, at: times[value]) }
        source.finish()
        try test.finish()
        #expect(sink.received == [1, -2, 3])
        #expect(sink.times == Array(times[1...3]))
    }

    @Test func `gives the replacement the time that its own stage has assigned`() throws {
        let source = SourceProbe<Int>()
        let sink = SinkProbe<Int>()
        let topology = Topology("t") {
            EventStream("in", from: source.source)
                .eventTime({ EventTime(nanoseconds: Int64($0) * 10) }, .monotonic)
                .map { (value) throws(Broken) in
                    if value == 2 { throw Broken() }
                    return value
                }
                .recover(from: Broken.self) { _ in .emit(-2) }
                .sink(sink.sink)
        }
        let test = try TopologyTest(topology)
        source.send(1, 2, 3)
        source.finish()
        try test.finish()
        #expect(sink.times == [10, 20, 30].map { EventTime(nanoseconds: $0) })
    }

    @Test func `may restart and retry`() throws {
        let (sink, test) = try run(.restart)
        #expect(sink.received == [1, 3])
        #expect(test.running.deadLetters.letters.map(\.attempts) == [3])
    }

    @Test func `may escalate`() throws {
        let (_, test) = try run(.escalate)
        #expect(throws: StageFailure.self) { try test.finish() }
    }

    @Test func `whose replacement fails behind it does not end the run`() throws {
        let source = SourceProbe<Int>()
        let sink = SinkProbe<Int>()
        let topology = Topology("t", supervisor: Supervisor(backoff: .none)) {
            EventStream("in", from: source.source)
                .map { (value) throws(Broken) in
                    if value == 2 { throw Broken() }
                    return value
                }
                .recover(from: Broken.self) { _ in .emit(-2) }
                .map { (value) throws(Broken) in
                    if value < 0 { throw Broken() }
                    return value
                }
                .sink(sink.sink)
        }
        let test = try TopologyTest(topology)
        source.send(1, 2, 3)
        source.finish()
        try test.advance(by: .seconds(1))
        try test.finish()
        #expect(sink.received == [1, 3])
        #expect(test.running.deadLetters.total == 1)
    }
}

@Suite struct `Work that belongs to no event` {
    @Test(arguments: TopologyTest.seeds(20))
    func `is done again when a timer's action fails`(seed: UInt64) throws {
        let source = SourceProbe<Int>()
        let sink = SinkProbe<Int>()
        let trouble = Trouble([2: 1])
        let topology = Topology("t") {
            EventStream("in", from: source.source).held(for: .seconds(10), trouble)
                .sink(sink.sink)
        }
        let test = try TopologyTest(topology, seed: seed)
        source.send(1, 2)
        try test.advance(by: .seconds(9))
        #expect(sink.received == [])
        try test.advance(by: .seconds(1))
        #expect(sink.received == [1, 2], "\(test)")
        #expect(test.running.status().stage("in")?.restarts == 1)
    }

    @Test(arguments: TopologyTest.seeds(20))
    func `gives up the one unit that keeps failing, not its portion`(seed: UInt64) throws {
        let source = SourceProbe<Int>()
        let sink = SinkProbe<Int>()
        let trouble = Trouble([7: .max])
        let topology = Topology("t", supervisor: Supervisor(backoff: .none)) {
            EventStream("in", from: source.source).putOff(trouble).sink(sink.sink)
        }
        var configuration = TopologyTest.configuration
        configuration.batchSize = 5
        let test = try TopologyTest(topology, seed: seed, configuration: configuration)
        source.send(12)
        source.finish()
        try test.finish()
        #expect(sink.received == (0..<12).filter { $0 != 7 }, "\(test)")
        #expect(test.running.deadLetters.letters.map(\.attempts) == [3])
    }
}

extension EventStream<Int> {
    /// Holds events back until a timer fires.
    fileprivate func held(for duration: Duration, _ trouble: Trouble) -> EventStream<Int> {
        transform("held", at: SourceLocation(#fileID, #line)) { scope, downstream in
            scope.markFallible()
            let held = TransactionalValue(Batch<Int>())
            scope.register(held)
            let timer = scope.makeTimer { _ in
                let out = held.value
                held.value = Batch()
                try downstream.batch(out)
                for value in out.elements { try trouble.check(value) }
            }
            return Receiver(
                batch: { batch in
                    held.value.append(contentsOf: batch)
                    if timer.deadline == nil { timer.set(scope.now.advanced(by: duration)) }
                }, signal: downstream.signal)
        }
    }

    /// Emits 0 up to each event as work that is put off.
    fileprivate func putOff(_ trouble: Trouble) -> EventStream<Int> {
        transform("putOff", at: SourceLocation(#fileID, #line)) { scope, downstream in
            scope.markFallible()
            return Receiver(
                batch: { batch in
                    for count in batch.elements {
                        let next = TransactionalValue(0)
                        scope.register(next)
                        scope.enqueue(
                            {
                                var out = Batch<Int>()
                                while next.value < count, out.count < scope.portion {
                                    try trouble.check(next.value)
                                    out.append(next.value)
                                    next.value += 1
                                }
                                try downstream.batch(out)
                                return next.value < count
                            },
                            abandon: {
                                defer { next.value += 1 }
                                return next.value
                            })
                    }
                }, signal: downstream.signal)
        }
    }
}

extension EventStream<Int> {
    /// Pairs each event with the sum so far: state that must follow the fate of its batch.
    fileprivate func runningTotal() -> EventStream<(Int, Int)> {
        transform("total", at: SourceLocation(#fileID, #line)) { scope, downstream in
            let total = TransactionalValue(0)
            scope.register(total)
            return Receiver(
                batch: { batch in
                    var out = Batch<(Int, Int)>()
                    for value in batch.elements {
                        total.value += value
                        out.append((value, total.value))
                    }
                    try downstream.batch(out)
                }, signal: downstream.signal)
        }
    }
}
