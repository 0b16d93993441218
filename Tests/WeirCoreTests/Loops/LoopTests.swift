import Synchronization
import Testing
import WeirCore
import WeirTesting

struct LoopFault: Error {}

struct Collatz: Codable, Sendable, Equatable {
    var start: Int
    var value: Int
    var steps = 0

    init(_ start: Int) {
        self.start = start
        value = start
    }

    var next: Collatz {
        var next = self
        next.value = value % 2 == 0 ? value / 2 : 3 * value + 1
        next.steps += 1
        return next
    }

    static func steps(of start: Int) -> Int {
        var number = Collatz(start)
        while number.value != 1 { number = number.next }
        return number.steps
    }
}

extension EventStream where Element == Collatz {
    /// The length of each number's way to 1, found by a loop with this many stages.
    func steps(stages: Int, maximumWaiting: Int = 65_536) -> EventStream<[Int]> {
        loop("collatz", maximumWaiting: maximumWaiting) { number in
            var number = number
            for stage in 0..<stages {
                number = number.stage("body \(stage)").mailbox(.bounded(4))
            }
            let step = number.map { number throws in
                if number.value < 0 { throw LoopFault() }
                return number.value == 1 ? number : number.next
            }.split { $0.value == 1 }
            return (feedback: step.rest, output: step.matching)
        }
        .map { [$0.start, $0.steps] }
    }
}

extension Reading {
    var oneRoundLess: Reading {
        var reading = self
        reading.value -= 1
        return reading
    }
}

private let expectedSteps = (1...30).map { [$0, Collatz.steps(of: $0)] }

@Suite struct `A loop` {
    private func run<Output: Sendable>(
        seed: UInt64 = 0, batchSize: Int? = nil,
        _ make: (SinkProbe<Output>) -> Topology
    ) throws -> (out: [Output], test: TopologyTest) {
        let out = SinkProbe<Output>()
        var configuration = TopologyTest.configuration
        if let batchSize { configuration.batchSize = batchSize }
        let test = try TopologyTest(make(out), seed: seed, configuration: configuration)
        try test.finish()
        return (out.received, test)
    }

    @Test(arguments: [0, 1, 3], TopologyTest.seeds(8))
    func `goes on until everything has left it`(stages: Int, seed: UInt64) throws {
        let (steps, test) = try run(seed: seed, batchSize: 2) { out in
            Topology("numbers") {
                EventStream("numbers", from: .collection((1...30).map { Collatz($0) }))
                    .steps(stages: stages).sink(out.sink)
            }
        }
        #expect(steps.sorted { $0[0] < $1[0] } == expectedSteps, "\(test)")
        #expect(test.running.deadLetters.total == 0)
    }

    @Test func `ends when nothing ever came in`() throws {
        let (steps, _) = try run { out in
            Topology("numbers") {
                EventStream("numbers", from: .collection([Collatz]())).steps(stages: 1)
                    .sink(out.sink)
            }
        }
        #expect(steps.isEmpty)
    }

    @Test(arguments: [1, 3], TopologyTest.seeds(6))
    func `finds what can be reached in a graph`(parallelism: Int, seed: UInt64) throws {
        let edges = Dictionary(
            uniqueKeysWithValues: (0..<40).map { ($0, [($0 * 7 + 3) % 40, ($0 * 3) % 40]) })
        var expected: Set<Int> = []
        var open = [5]
        while let node = open.popLast() {
            if expected.insert(node).inserted { open += edges[node] ?? [] }
        }
        let (reached, test) = try run(seed: seed) { (out: SinkProbe<Int>) in
            Topology("graph") {
                EventStream("starts", from: .collection([5]))
                    .loop("reach") { node in
                        let new = node.keyed(by: { $0 }, parallelism: parallelism).distinct()
                        return (feedback: new.flatMap { edges[$0] ?? [] }, output: new)
                    }
                    .sink(out.sink)
            }
        }
        #expect(reached.sorted() == expected.sorted(), "\(test)")
    }

    @Test(arguments: TopologyTest.seeds(6))
    func `does not lock up when it is full`(seed: UInt64) throws {
        let (leaves, test) = try run(seed: seed, batchSize: 4) { (out: SinkProbe<Int>) in
            Topology("tree") {
                EventStream("roots", from: .collection([1])).mailbox(.bounded(2))
                    .loop("tree", maximumWaiting: 20) { node in
                        let both = node.stage("body").mailbox(.bounded(2))
                            .flatMap { [2 * $0, 2 * $0 + 1] }
                            .split { $0 >= 1_024 }
                        return (feedback: both.rest, output: both.matching)
                    }
                    .sink(out.sink)
            }
        }
        let letters = test.running.deadLetters.total
        #expect(letters > 0)
        #expect(!leaves.isEmpty || letters > 0, "\(test)")
        let first = test.running.deadLetters.letters.first
        #expect(first?.reason.contains("the loop 'tree' is full: 20 events wait") == true)
    }

    @Test(arguments: TopologyTest.seeds(6))
    func `takes what it had no room for when it is sent again`(seed: UInt64) throws {
        let numbers = SourceProbe<Collatz>()
        let out = SinkProbe<[Int]>()
        let test = try TopologyTest(
            Topology("full") {
                EventStream("numbers", from: numbers.source)
                    .steps(stages: 1, maximumWaiting: 1)
                    .sink(out.sink)
            }, seed: seed)
        numbers.send(contentsOf: (1...30).map { Collatz($0) })
        try test.run()
        let letters = test.running.deadLetters
        #expect(letters.total > 0)
        #expect(letters.letters.allSatisfy { $0.reason.contains("is full") })
        for _ in 0..<10_000 where !letters.letters.isEmpty {
            let sent = try test.perform { try await letters.redriveAll() }
            #expect(sent > 0)
            try test.run()
        }
        #expect(out.received.sorted { $0[0] < $1[0] } == expectedSteps, "\(test)")
        numbers.finish()
        try test.finish()
    }

    @Test func `sends an event again that failed on a later round`() throws {
        let service = Mutex(false)
        let out = SinkProbe<[Int]>()
        let numbers = SourceProbe<Collatz>()
        let test = try TopologyTest(
            Topology("failing", supervisor: Supervisor(backoff: .none)) {
                EventStream("numbers", from: numbers.source)
                    .loop("collatz") { number in
                        // Fused with the loop's head, which gives the event up.
                        let step = number.map { number throws in
                            if number.value == 8, !service.withLock({ $0 }) { throw LoopFault() }
                            return number.value == 1 ? number : number.next
                        }.split { $0.value == 1 }
                        return (feedback: step.rest, output: step.matching)
                    }
                    .map { [$0.start, $0.steps] }
                    .sink(out.sink)
            }, seed: 1)
        numbers.send(contentsOf: (1...10).map { Collatz($0) })
        try test.run()
        let letters = test.running.deadLetters
        let stuck = letters.letters.compactMap { ($0.event as? Collatz)?.start }
        #expect(stuck.contains(3) && !stuck.contains(4))
        service.withLock { $0 = true }
        let sent = try test.perform { try await letters.redriveAll() }
        #expect(sent == stuck.count)
        try test.run()
        #expect(out.received.sorted { $0[0] < $1[0] } == Array(expectedSteps[..<10]))
        numbers.finish()
        try test.finish()
    }

    @Test(arguments: TopologyTest.seeds(6))
    func `holds event time back while an event goes round`(seed: UInt64) throws {
        let readings = SourceProbe<Reading>()
        let out = SinkProbe<[Int]>()
        let test = try TopologyTest(
            Topology("time") {
                EventStream("readings", from: readings.source)
                    .eventTime(\.at, .monotonic.neverIdle)
                    .loop("rounds") { reading in
                        let next = reading.stage("body").map {
                            $0.oneRoundLess
                        }.split { $0.value > 0 }
                        return (feedback: next.rest.filter { _ in false }, output: next.rest)
                    }
                    .keyed(by: \.key).window(.tumbling(.seconds(10))).aggregate(.count())
                    .map { [$0.key, $0.value] }
                    .sink(out.sink)
            }, seed: seed)
        readings.send(Reading(1, 1, at: 1), Reading(1, 1, at: 2), Reading(1, 1, at: 30))
        try test.run()
        #expect(out.received == [[1, 2]], "\(test)")
        readings.finish()
        try test.finish()
        #expect(out.received == [[1, 2], [1, 1]])
    }

    @Test(arguments: TopologyTest.seeds(6))
    func `counts events of many rounds in their windows`(seed: UInt64) throws {
        let readings = (0..<40).map { Reading($0 % 2, 1 + $0 % 7, at: Double($0)) }
        let late = SinkProbe<Int>()
        let (counts, test) = try run(seed: seed, batchSize: 3) { (out: SinkProbe<Int>) in
            Topology("time") {
                let windows = EventStream("readings", from: .collection(readings))
                    .eventTime(\.at, .monotonic)
                    .loop("rounds") { reading in
                        let next = reading.stage("body").map {
                            $0.oneRoundLess
                        }.split { $0.value <= 0 }
                        return (feedback: next.rest, output: next.matching)
                    }
                    .keyed(by: \.key).window(.tumbling(.seconds(5)))
                windows.aggregate(.count()).map(\.value).sink(out.sink)
                windows.late.map(\.value).sink(late.sink)
            }
        }
        #expect(counts.reduce(0, +) == 40, "\(test)")
        #expect(late.received.isEmpty)
    }

    @Test func `gives out at the end what its body holds`() throws {
        let (sums, test) = try run { (out: SinkProbe<Int>) in
            Topology("chunks") {
                EventStream("numbers", from: .collection(Array(1...10)))
                    .loop("rounds") { number in
                        let chunks = number.chunked(count: 3).map { $0.reduce(0, +) }
                            .split { $0 >= 20 }
                        return (feedback: chunks.rest, output: chunks.matching)
                    }
                    .sink(out.sink)
            }
        }
        // What the last chunk holds leaves at the end of the body: too late for another round.
        let letters = test.running.deadLetters.letters.compactMap { $0.event as? Int }
        #expect(sums.reduce(0, +) + letters.reduce(0, +) == 55)
    }

    @Test func `may hold another loop`() throws {
        let (sums, test) = try run { (out: SinkProbe<Int>) in
            Topology("nested") {
                EventStream("numbers", from: .collection([10, 20, 30]))
                    .loop("outer") { outer in
                        let inner = outer.stage("between").loop("inner") { inner in
                            let less = inner.stage("body").map { $0 - 1 }.split { $0 % 5 == 0 }
                            return (feedback: less.rest, output: less.matching)
                        }.split { $0 == 0 }
                        return (feedback: inner.rest, output: inner.matching)
                    }
                    .sink(out.sink)
            }
        }
        #expect(sums == [0, 0, 0], "\(test)")
    }

    @Test func `keeps the event that fails out and all others in`() throws {
        let out = SinkProbe<Int>()
        let test = try TopologyTest(
            Topology("poison") {
                EventStream("numbers", from: .collection([3, 4, 5]))
                    .loop("up") { number in
                        let more = number.map { number throws in
                            // On its second round.
                            if number == 103 { throw LoopFault() }
                            return number + 100
                        }.split { $0 > 200 }
                        return (feedback: more.rest, output: more.matching)
                    }
                    .sink(out.sink)
            })
        try test.run()
        try test.advance(by: .seconds(60))
        try test.finish()
        #expect(out.received.sorted() == [204, 205])
        #expect(test.running.deadLetters.letters.compactMap { $0.event as? Int } == [103])
    }

    @Test func `drains what goes round`() throws {
        let numbers = SourceProbe<Collatz>()
        let out = SinkProbe<[Int]>()
        let test = try TopologyTest(
            Topology("numbers") {
                EventStream("numbers", from: numbers.source).steps(stages: 2).sink(out.sink)
            })
        numbers.send(contentsOf: (1...30).map { Collatz($0) })
        try test.run()
        try test.drain()
        #expect(out.received.sorted { $0[0] < $1[0] } == expectedSteps)
    }

    @Test func `ends with a body that ends early`() throws {
        let (first, _) = try run { (out: SinkProbe<Int>) in
            Topology("early") {
                EventStream("numbers", from: .collection(Array(0..<100)))
                    .loop("ever") { number in
                        let some = number.prefix(7)
                        return (feedback: some, output: some)
                    }
                    .sink(out.sink)
            }
        }
        #expect(first.count == 7)
    }

    @Test func `refuses a feedback that is none`() {
        let other = EventStream("other", from: .collection([1]))
        let topology = Topology("wrong") {
            EventStream("numbers", from: .collection([1]))
                .loop("loop") { number in (feedback: other, output: number) }
                .sink(.discard)
        }
        #expect(throws: TopologyError.self) { try topology.validate() }
        let empty = Topology("wrong") {
            EventStream("numbers", from: .collection([1]))
                .loop("loop", maximumWaiting: 0) { number in
                    (feedback: number.filter { _ in false }, output: number)
                }
                .sink(.discard)
        }
        #expect(throws: TopologyError.self) { try empty.validate() }
    }

    @Test func `is drawn with its way back`() {
        let topology = Topology("numbers") {
            EventStream("numbers", from: .collection([Collatz(1)])).steps(stages: 1)
                .sink(.discard)
        }
        #expect(topology.drawing(.text).contains("-> collatz (feedback)"))
    }
}
