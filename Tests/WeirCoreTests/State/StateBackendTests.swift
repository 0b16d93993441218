import Synchronization
import Testing
import WeirCore
import WeirTesting

@Suite struct `A state backend` {
    private func backend(_ engine: MemoryEngine, entries: Int = 4) -> StateBackend {
        StateBackend(cache: StateCache(entries: entries)) { engine }
    }

    private func totals(_ results: SinkProbe<Keyed<Int, Int>>, _ count: Int) -> Topology {
        Topology("totals") {
            EventStream("numbers", from: .collection(0..<count)).keyed { $0 % 100 }
                .reduce(into: 0, name: "total") { $0 += $1 }.sink(results.sink)
        }
    }

    @Test func `ends the run with its error before a wrong result leaves`() async throws {
        let engine = MemoryEngine()
        engine.failsAfter.withLock { $0 = 300 }
        let results = SinkProbe<Keyed<Int, Int>>("results")
        let configuration = RunConfiguration(
            batchSize: 10, seed: 1, stateBackend: backend(engine))
        let error = await #expect(throws: StageFailure.self) {
            try await totals(results, 5_000).run(configuration)
        }
        #expect(error?.stage == "total")
        #expect(error?.cause as? MemoryEngine.Failure != nil)
        var model: [Int: Int] = [:]
        for (index, result) in results.received.enumerated() {
            model[index % 100, default: 0] += index
            #expect(result == Keyed(key: index % 100, value: model[index % 100] ?? 0))
        }
        #expect(results.received.count < 5_000)
    }

    @Test func `can be another one for a stage`() async throws {
        let engine = MemoryEngine()
        let results = SinkProbe<Keyed<Int, Int>>("results")
        var configuration = RunConfiguration(seed: 1, stateBackend: backend(engine))
        configuration.stageBackends = ["total": .memory]
        try await totals(results, 1_000).run(configuration)
        #expect(engine.reads.load(ordering: .relaxed) == 0)
        configuration.stageBackends = [:]
        try await totals(results, 1_000).run(configuration)
        #expect(engine.reads.load(ordering: .relaxed) > 0)
    }

    @Test func `refuses to start when it can't be opened`() async throws {
        let results = SinkProbe<Keyed<Int, Int>>("results")
        let broken = StateBackend(cache: StateCache()) { throw MemoryEngine.Failure() }
        await #expect(throws: MemoryEngine.Failure.self) {
            try await totals(results, 10).run(RunConfiguration(stateBackend: broken))
        }
        #expect(results.received.isEmpty)
    }

    @Test func `refuses state that can't be encoded, naming the stage and the way out`()
        async throws
    {
        struct Opaque: Sendable { var count: Int }
        let engine = MemoryEngine()
        let topology = Topology("opaque") {
            EventStream("numbers", from: .collection(0..<10))
                .map { Opaque(count: $0) }.keyed { $0.count }
                .window(.count(2)).collect(name: "opaque").sink(.forEach { _ in })
        }
        let error = await #expect(throws: TopologyError.self) {
            try await topology.run(RunConfiguration(stateBackend: backend(engine)))
        }
        #expect(error?.description.contains("stageBackends[\"opaque\"] = .memory") == true)
        var configuration = RunConfiguration(stateBackend: backend(engine))
        configuration.stageBackends["opaque"] = .memory
        try await topology.run(configuration)
    }
}
