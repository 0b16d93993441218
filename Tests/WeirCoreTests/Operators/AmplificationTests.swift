import Testing
import WeirCore
import WeirTesting

@Suite struct `An operator that emits many events for one` {
    private struct Expander: KeyedHandler {
        struct State: Codable, Sendable { var count = 0 }

        func initialState(for key: Int) -> State { State() }

        func on(_ number: Int, state: inout State, _ context: inout Context<Int, Int>) {
            for step in 0..<100 { context.emit(number * 100 + step) }
            state.count += 1
        }
    }

    enum Kind: CaseIterable, Sendable { case handler, flatMap }

    private func expanded(_ kind: Kind, _ source: Source<Int>) -> EventStream<Int> {
        let numbers = EventStream("in", from: source)
        switch kind {
        case .handler: return numbers.keyed { _ in 0 }.handle("expand") { Expander() }
        case .flatMap:
            return numbers.stage("expand").flatMap { number in
                (0..<100).map { number * 100 + $0 }
            }
        }
    }

    @Test(arguments: Kind.allCases)
    func `doesn't run ahead of the stage behind it`(_ kind: Kind) throws {
        let sink = SinkProbe<Int>("out")
        sink.pause()
        let test = try TopologyTest(
            Topology("t") { expanded(kind, .collection(0..<5_000)).sink(sink.sink) })
        try test.run()
        let stage = try #require(test.running.status().stages.first { $0.name == "expand" })
        // Two mailboxes of 8,192 events and a few batches of 1,024 are all that there is room for.
        #expect(stage.eventsIn < 600)
        sink.resume()
        try test.finish()
        #expect(sink.received == Array(0..<500_000))
    }

    @Test(arguments: Kind.allCases)
    func `sends batches of the usual size`(_ kind: Kind) throws {
        let sink = SinkProbe<Int>("out")
        let test = try TopologyTest(
            Topology("t") { expanded(kind, .collection(0..<1_000)).sink(sink.sink) })
        try test.finish()
        #expect(sink.received.count == 100_000)
        #expect(sink.batches.allSatisfy { $0.count <= 1_024 })
    }

    @Test func `is no reason for small batches elsewhere`() throws {
        let sink = SinkProbe<Int>("out")
        let test = try TopologyTest(
            Topology("t") {
                EventStream("in", from: .collection(0..<100_000)).map { $0 + 1 }
                    .filter { $0 % 2 == 0 }.sink(sink.sink)
            })
        try test.finish()
        #expect(sink.received.count == 50_000)
        // 98 batches of 1,024, but for the first ones.
        #expect(sink.batches.count < 120)
    }
}
