import Synchronization
import Testing
import WeirCore
import WeirTesting

@Suite struct `The dead letters` {
    /// Refuses events as long as it is broken.
    private final class Service: Sendable {
        private let broken = Atomic<Bool>(true)

        func repair() { broken.store(false, ordering: .relaxed) }

        func check(_ value: Int) throws(Broken) -> Int {
            if broken.load(ordering: .relaxed) && value % 2 == 0 { throw Broken() }
            return value
        }
    }

    private let source = SourceProbe<Int>()
    private let sink = SinkProbe<Int>("out")
    private let service = Service()

    private func start(
        seed: UInt64 = 0, capacity: Int = 1_000, mailbox: MailboxPolicy = .default
    ) throws -> TopologyTest {
        let service = service
        let topology = Topology("t", supervisor: Supervisor(backoff: .none)) {
            EventStream("in", from: source.source).stage("s")
                .map { (value) throws(Broken) in try service.check(value) }
                .mailbox(mailbox)
                .sink(sink.sink)
        }
        var configuration = TopologyTest.configuration
        configuration.deadLetterCapacity = capacity
        return try TopologyTest(topology, seed: seed, configuration: configuration)
    }

    @Test(arguments: TopologyTest.seeds(10))
    func `are sent again with their times and leave the list`(seed: UInt64) throws {
        let test = try start(seed: seed)
        for value in 1...6 { source.send(value, at: EventTime(nanoseconds: Int64(value))) }
        try test.run()
        #expect(sink.received == [1, 3, 5])
        service.repair()
        let letters = test.running.deadLetters
        let sent = try test.perform { try await letters.redriveAll { $0.event as? Int != 4 } }
        #expect(sent == 2)
        #expect(sink.received == [1, 3, 5, 2, 6])
        #expect(sink.times.map(\.nanoseconds) == [1, 3, 5, 2, 6])
        #expect(letters.letters.map { $0.event as? Int } == [4])
        #expect((letters.total, letters.redriven, letters.discarded) == (3, 2, 0))
        source.finish()
        try test.finish()
    }

    @Test func `are letters again when they fail again`() throws {
        let test = try start()
        source.send(1, 2)
        try test.run()
        let letters = test.running.deadLetters
        let first = try #require(letters.letters.first)
        try test.perform { try await letters.redrive(first) }
        #expect(letters.letters.map { $0.event as? Int } == [2])
        #expect((letters.total, letters.redriven) == (2, 1))
        // The first one is spent.
        let error = #expect(throws: RedriveError.self) {
            try test.perform { try await letters.redrive(first) }
        }
        #expect(error?.code == .notInList)
    }

    @Test func `stay in the list while their stage is full, and when it has ended`() throws {
        let test = try start(mailbox: .bounded(1))
        source.send(2)
        try test.run()
        let letters = test.running.deadLetters
        let letter = try #require(letters.letters.first)
        try #require(test.running.stage("s")).pause()
        source.send(3, 5)
        try test.run()
        let waiting = test.start { try await letters.redrive(letter) }
        try test.run()
        waiting.cancel()
        try test.run()
        #expect(letters.letters.count == 1)
        #expect(letters.redriven == 0)
        try #require(test.running.stage("s")).resume()
        source.finish()
        try test.finish()
        let error = #expect(throws: RedriveError.self) {
            try test.perform { try await letters.redrive(letter) }
        }
        #expect(error?.code == .stageHasEnded)
        #expect(letters.letters.count == 1)
    }

    @Test func `that never were events say so`() throws {
        let topology = Topology("t") {
            EventStream("in", from: source.source).sink(.deadLetters("no use"))
        }
        let test = try TopologyTest(topology)
        source.send(1)
        try test.run()
        let letters = test.running.deadLetters
        let letter = try #require(letters.letters.first)
        #expect(!letter.canBeRedriven)
        let error = #expect(throws: RedriveError.self) {
            try test.perform { try await letters.redrive(letter) }
        }
        #expect(error?.code == .noWayBack)
        #expect("\(try #require(error))".contains("'deadLetters' can't be sent"))
    }

    @Test func `come one after the other to who listens, until the run ends`() throws {
        let test = try start(capacity: 2)
        let letters = test.running.deadLetters
        let early = letters.arrivals()
        let seen = test.start {
            var values: [Int] = []
            for await letter in early { values.append(letter.event as? Int ?? 0) }
            return values
        }
        source.send(contentsOf: 1...8)
        source.finish()
        try test.finish()
        #expect(try test.perform { try await seen.value } == [2, 4, 6, 8])
        #expect((letters.total, letters.discarded) == (4, 2))
        #expect(try test.perform { await letters.arrivals().first { _ in true } == nil })
    }

    @Test(arguments: TopologyTest.seeds(10))
    func `find the way back to an instance, to a call and to a sink`(seed: UInt64) throws {
        let service = service
        let calls = SinkProbe<Int>("calls")
        let written = Mutex<[Int]>([])
        let stream = EventStream("in", from: source.source)
        let topology = Topology("t", supervisor: Supervisor(backoff: .none)) {
            stream.keyed(by: { $0 % 4 }, parallelism: 3)
                .scan(into: 0, name: "scan") { (_, value: Int) throws(Broken) in
                    try service.check(value)
                }
                .sink(sink.sink)
            stream.mapAsync(name: "call") { (value: Int) async throws(Broken) in
                try service.check(value)
            }
            .sink(calls.sink)
            stream.sink(
                .forEach { value in
                    let checked = try service.check(value)
                    written.withLock { $0.append(checked) }
                })
        }
        let test = try TopologyTest(topology, seed: seed)
        source.send(contentsOf: 0..<12)
        try test.run()
        let letters = test.running.deadLetters
        #expect(letters.total == 18, "\(test)")
        service.repair()
        #expect(try test.perform { try await letters.redriveAll() } == 18)
        #expect(sink.received.sorted() == Array(0..<12))
        #expect(calls.received.sorted() == Array(0..<12))
        #expect(Set(written.withLock { $0 }) == Set(0..<12))
        source.finish()
        try test.finish()
    }

    @Test func `don't hold event time back when they come again`() throws {
        let late = SinkProbe<Int>("late")
        let service = service
        let trouble = EventStream("in", from: source.source)
            .eventTime({ EventTime(nanoseconds: Int64($0)) }, .monotonic).stage("s")
            .map { (value) throws(Broken) in try service.check(value) }
        let windows = trouble.keyed(by: { _ in 0 }).window(.tumbling(.nanoseconds(10)))
        let topology = Topology("t", supervisor: Supervisor(backoff: .none)) {
            windows.reduce(into: 0) { $0 += $1 }.map(\.value).sink(sink.sink)
            windows.late.sink(late.sink)
        }
        let test = try TopologyTest(topology)
        source.send(1, 2, 15, 25)
        try test.run()
        #expect(sink.received == [1, 15])
        service.repair()
        let letters = test.running.deadLetters
        #expect(try test.perform { try await letters.redriveAll() } == 1)
        #expect(late.received == [2])
        source.finish()
        try test.finish()
        #expect(sink.received == [1, 15, 25])
    }
}
