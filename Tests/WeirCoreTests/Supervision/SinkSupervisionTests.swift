import Synchronization
import Testing
import WeirCore
import WeirTesting

/// A table that refuses some values, and connections while it is away.
private final class Table: Sendable {
    private struct State: Sendable {
        var written: [Int] = []
        var refused: Set<Int>
        var away = 0
        var opened = 0
    }

    private let state: Mutex<State>

    init(refusing refused: Set<Int> = []) {
        state = Mutex(State(refused: refused))
    }

    var written: [Int] { state.withLock { $0.written } }
    var opened: Int { state.withLock { $0.opened } }

    /// Refuses so many connections.
    func goAway(for connections: Int) {
        state.withLock { $0.away = connections }
    }

    var sink: Sink<Int> {
        Sink("table", name: "table") { _ in
            try self.state.withLock { state in
                if state.away > 0 {
                    state.away -= 1
                    throw Away()
                }
                state.opened += 1
            }
            return Writer(self)
        }
    }

    struct Away: Error {}

    private final class Writer: SinkWriter {
        private let table: Table
        private var isBroken = false

        init(_ table: Table) { self.table = table }

        func write(_ batch: Batch<Int>) async throws {
            try table.state.withLock { state in
                if isBroken { throw Broken() }
                if state.away > 0 || batch.elements.contains(where: state.refused.contains) {
                    // As a connection after an error: good for nothing any more.
                    isBroken = true
                    throw Broken()
                }
                state.written += batch.elements
            }
        }
    }
}

@Suite struct `A supervised sink` {
    private func run(
        _ table: Table, seed: UInt64 = 0, root: Supervisor = Supervisor(intensity: 0),
        _ values: Range<Int> = 0..<20, _ configure: (Pipeline) -> Pipeline
    ) throws -> TopologyTest {
        let source = SourceProbe<Int>()
        let topology = Topology("t", supervisor: root) {
            configure(EventStream("in", from: source.source).sink(table.sink))
        }
        var configuration = TopologyTest.configuration
        configuration.batchSize = 8
        let test = try TopologyTest(topology, seed: seed, configuration: configuration)
        source.send(Batch(ContiguousArray(values)))
        source.finish()
        try test.advance(by: .seconds(60))
        return test
    }

    @Test(arguments: TopologyTest.seeds(20))
    func `gives up the event that can't be written, not its batch`(seed: UInt64) throws {
        let table = Table(refusing: [3, 4, 12])
        let test = try run(table, seed: seed) { $0.supervised(Supervisor()) }
        try test.finish()
        #expect(table.written == (0..<20).filter { ![3, 4, 12].contains($0) }, "\(test)")
        let letters = test.running.deadLetters.letters
        #expect(letters.map { $0.event as? Int } == [3, 4, 12])
        #expect(letters.map(\.attempts) == [3, 3, 3])
        #expect(letters.map(\.stage) == ["table", "table", "table"])
    }

    @Test func `escalates poison when its supervisor says so`() throws {
        let test = try run(Table(refusing: [3])) { $0.supervised(Supervisor(poison: .escalate)) }
        #expect(throws: StageFailure.self) { try test.finish() }
    }

    @Test(arguments: TopologyTest.seeds(20))
    func `that can't be opened is waited for, and no event given up`(seed: UInt64) throws {
        let table = Table()
        let patient = Supervisor(intensity: 50, within: .minutes(1))
        let source = SourceProbe<Int>()
        let topology = Topology("t", supervisor: Supervisor(intensity: 0)) {
            EventStream("in", from: source.source).sink(table.sink).supervised(patient)
        }
        let test = try TopologyTest(topology, seed: seed)
        table.goAway(for: 10)
        source.send(1, 2, 3)
        try test.advance(by: .minutes(2))
        #expect(table.written == [1, 2, 3])
        #expect(test.running.deadLetters.total == 0)
        #expect(table.opened == 2)
    }

    @Test func `does as a recovery for its error says`() throws {
        let table = Table(refusing: [3, 12])
        let skipped = try run(table) { $0.recover(from: Broken.self) { _ in .skip } }
        try skipped.finish()
        #expect(table.written == (0..<20).filter { ![3, 12].contains($0) })
        #expect(skipped.running.status().stage("table")?.dropped == ["skipped": 2])
        let letters = try run(Table(refusing: [3])) {
            $0.recover(from: Broken.self) { _ in .deadLetter }
        }
        try letters.finish()
        #expect(letters.running.deadLetters.letters.map(\.attempts) == [1])
    }

    @Test func `has the mailbox it is given`() throws {
        let topology = Topology("t") {
            EventStream("in", from: .collection([1])).sink(SinkProbe<Int>("out").sink)
                .mailbox(.bounded(7))
        }
        #expect(topology.plan.stages.last?.mailbox.capacity == 7)
        let outlet = Topology("o") {
            EventStream("in", from: .collection([1])).sink(.outlet(Outlet<Int>("out")))
                .mailbox(.bounded(0))
        }
        #expect(throws: TopologyError.self) { try outlet.validate() }
    }

    @Test func `is opened anew when it is restarted`() throws {
        let source = SourceProbe<Int>()
        let sink = SinkProbe<Int>("out")
        let topology = Topology("t") { EventStream("in", from: source.source).sink(sink.sink) }
        let test = try TopologyTest(topology)
        source.send(1)
        try test.run()
        test.running.stage("out")?.restart()
        try test.run()
        source.send(2)
        source.finish()
        try test.finish()
        #expect(sink.received == [1, 2])
        #expect(sink.opened == 2)
        #expect(sink.isClosed)
    }

    @Test(arguments: TopologyTest.seeds(20))
    func `is opened anew when it restarts with others`(seed: UInt64) throws {
        let source = SourceProbe<Int>()
        let sink = SinkProbe<Int>("out")
        let all = Supervisor(.oneForAll, name: "all", intensity: 10)
        let trouble = Trouble([2: 1])
        let topology = Topology("t") {
            EventStream("in", from: source.source).stage("failing")
                .map { (value) throws(Broken) in
                    try trouble.check(value)
                    return value
                }
                .supervised(all).sink(sink.sink).supervised(all)
        }
        let test = try TopologyTest(topology, seed: seed)
        source.send(1, 2, 3)
        source.finish()
        try test.advance(by: .seconds(1))
        try test.finish()
        #expect(sink.received == [1, 2, 3], "\(test)")
    }
}
