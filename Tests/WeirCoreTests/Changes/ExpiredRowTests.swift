import Testing
import WeirCore
import WeirTesting

@Suite struct `Rows that an operator does not have any more` {
    private let a = JoinRow(0, 10, at: 0)
    private let b = JoinRow(0, 20, at: 0)
    private let c = JoinRow(0, 30, at: 0)

    @Test func `come back into an aggregate with an update`() throws {
        let source = SourceProbe<Change<JoinRow>>()
        let sink = SinkProbe<Change<Keyed<Int, Int>>>()
        let topology = Topology("t") {
            ChangeStream(EventStream("rows", from: source.source)).keyed(by: \.key)
                .aggregate(.sum(of: \.id), name: "sum", ttl: StateTTL(.hours(1)))
                .changes.sink(sink.sink)
        }
        let test = try TopologyTest(topology)
        func row(_ value: Int) -> Keyed<Int, Int> { Keyed(key: 0, value: value) }
        source.send(.insert(a), .insert(b))
        try test.advance(by: .hours(2))
        #expect(sink.received == [.insert(row(10)), .update(before: row(10), after: row(30))])
        sink.reset()
        source.send(.update(before: a, after: c))
        try test.run()
        #expect(sink.received == [.insert(row(30))])
        source.send(.update(before: c, after: a), .insert(b), .delete(a))
        try test.advance(by: .hours(2))
        #expect(
            sink.received.dropFirst() == [
                .update(before: row(30), after: row(10)), .update(before: row(10), after: row(30)),
                .update(before: row(30), after: row(20)),
            ])
        sink.reset()
        source.send(.delete(b))
        try test.run()
        #expect(sink.received == [])
        #expect(test.running.status().stage("sum")?.stateKeys == 0)
    }

    @Test func `come back into a ranking with an update`() throws {
        let source = SourceProbe<Change<JoinRow>>()
        let sink = SinkProbe<Change<Ranked<Int, JoinRow>>>()
        let topology = Topology("t") {
            ChangeStream(EventStream("rows", from: source.source)).keyed(by: \.key)
                .top(1, ttl: StateTTL(.hours(1)), name: "top") { $0.id > $1.id }
                .changes.sink(sink.sink)
        }
        let test = try TopologyTest(topology)
        source.send(.insert(a), .insert(b))
        try test.advance(by: .hours(2))
        sink.reset()
        source.send(.update(before: b, after: c), .delete(a))
        try test.run()
        #expect(sink.received == [.insert(Ranked(key: 0, rank: 1, row: c))])
        source.send(.delete(c))
        try test.run()
        #expect(sink.received.last == .delete(Ranked(key: 0, rank: 1, row: c)))
        #expect(test.running.status().stage("top")?.stateKeys == 0)
    }

    @Test func `come into a ranking from behind its bound, which is counted`() throws {
        let source = SourceProbe<Change<JoinRow>>()
        let sink = SinkProbe<Int>()
        let topology = Topology("t") {
            ChangeStream(EventStream("rows", from: source.source)).keyed(by: \.key)
                .top(1, rowsPerKey: 2, name: "top") { $0.id > $1.id }
                .changes.map { $0.after?.row.id ?? -1 }.sink(sink.sink)
        }
        let test = try TopologyTest(topology)
        source.send(.insert(c), .insert(b), .insert(a))
        try test.run()
        #expect(sink.received == [30])
        #expect(test.running.status().stage("top")?.dropped == ["skipped": 1])
        let first = JoinRow(0, 40, at: 0)
        source.send(.update(before: a, after: first))
        try test.run()
        #expect(sink.received == [30, 40])
        #expect(test.running.status().stage("top")?.dropped == ["skipped": 2])
        source.send(.delete(b), .delete(first), .delete(c))
        try test.run()
        #expect(sink.received == [30, 40, 30, -1])
        #expect(test.running.status().stage("top")?.stateKeys == 0)
    }
}
