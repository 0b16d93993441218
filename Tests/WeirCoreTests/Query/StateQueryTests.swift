import Testing
import WeirCore
import WeirTesting

@Suite(.everyStateBackend) struct `A running stage` {
    private struct Counter: KeyedHandler {
        struct State: Codable, Sendable, Equatable { var count = 0 }
        func initialState(for key: Int) -> State { State() }
        func on(
            _ event: Reading, state: inout State, _ context: inout Context<Int, Int>
        ) {
            state.count += event.value
        }
    }

    @Test(arguments: [1, 3]) func `tells what it keeps of a key`(_ parallelism: Int) async throws {
        let hub = MergeHub<Reading>()
        let topology = Topology("asked") {
            let readings = EventStream("in", from: hub.source)
            readings.keyed(by: \.key, parallelism: parallelism)
                .handle("count") { Counter() }.sink(.discard)
            readings.keyed(by: \.key, parallelism: parallelism)
                .reduce(into: [Int](), name: "values") { $0.append($1.value) }
                .sink(.outlet("out"))
        }
        let running = try await topology.start()
        let producer = try hub.attach()
        for number in 1...9 { try await producer.send(Reading(number % 4, number, at: 0)) }
        var seen = 0
        var iterator = try running.output(Outlet<Keyed<Int, [Int]>>("out")).makeAsyncIterator()
        while seen < 9, try await iterator.next() != nil { seen += 1 }
        let values = try #require(running.stage("values"))
        #expect(try await values.state(of: 1, as: [Int].self) == [1, 5, 9])
        #expect(try await values.state(of: 7, as: [Int].self) == nil)
        await #expect(throws: QueryError.self) { try await values.state(of: "1", as: [Int].self) }
        await #expect(throws: QueryError.self) { try await values.state(of: 1, as: Int.self) }
        producer.finish()
        hub.finish()
        while try await iterator.next() != nil {}
        try await running.waitUntilFinished()
        let count = try #require(running.stage("count"))
        #expect(try await count.state(of: 1, as: Counter.State.self)?.count == 15)
    }
}
