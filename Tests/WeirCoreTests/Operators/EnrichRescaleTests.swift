import Synchronization
import Testing
import WeirCore
import WeirTesting

/// Goes on from a checkpoint with another parallelism while events wait for the table.
@Suite struct `A table that is being loaded` {
    private struct Run {
        let facts = SourceProbe<Reading>()
        let rows = SourceProbe<Reading>()
        let out = SinkProbe<[Int]>("out")
        let test: TopologyTest

        init(parallelism: Int, _ store: StateStore) throws {
            let (facts, rows, out) = (facts, rows, out)
            var configuration = TopologyTest.configuration
            configuration.parallelism = parallelism
            configuration.store = store
            test = try TopologyTest(
                Topology("loading") {
                    EventStream("facts", from: facts.source)
                        .enrich(
                            with: EventStream("rows", from: rows.source), by: \.key,
                            rowKey: \.key, start: .whenLoaded(limit: 6)
                        ) { fact, row in [fact.key, fact.value, row?.value ?? -1] }
                        .sink(out.sink)
                }, configuration: configuration)
        }

        func suspend() throws {
            let isOver = Mutex(false)
            test.start { [running = test.running] in
                _ = try? await running.suspend()
                isOver.withLock { $0 = true }
            }
            try test.run()
            #expect(isOver.withLock { $0 })
        }
    }

    @Test(arguments: [1, 2, 3])
    func `is still waited for where one of several instances has stopped waiting`(
        _ parallelism: Int
    ) throws {
        let store = continuationStore()
        let first = try Run(parallelism: 4, store)
        // More than may wait of one key, fewer of those of other instances.
        for number in 0..<8 { first.facts.send(Reading(0, number, at: 0)) }
        try first.test.run()
        for key in 1...6 { first.facts.send(Reading(key, 0, at: 0)) }
        try first.test.run()
        #expect((8..<14).contains(first.out.received.count))
        try first.suspend()

        let second = try Run(parallelism: parallelism, store)
        try second.test.run()
        for key in 0...6 { second.rows.send(Reading(key, 100 + key, at: 0)) }
        second.rows.finish()
        second.facts.finish()
        try second.test.finish()
        let facts = (first.out.received + second.out.received).map { $0[0] * 100 + $0[1] }
        #expect(facts.sorted() == Array(0..<8) + (1...6).map { $0 * 100 })
        #expect(second.out.received.allSatisfy { $0[2] == 100 + $0[0] })
    }
}
