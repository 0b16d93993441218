import Synchronization
import Testing
import WeirCore
import WeirTesting

@Suite struct `A sink that upserts` {
    private final class Table: Sendable {
        private struct State: Sendable {
            var rows: [Int: Int] = [:]
            var writes: [(keys: [Int], removed: [Int])] = []
            var failures = 0
        }

        private let state: Mutex<State>

        init(failures: Int = 0) { state = Mutex(State(failures: failures)) }

        var rows: [Int: Int] { state.withLock { $0.rows } }
        var writes: [(keys: [Int], removed: [Int])] { state.withLock { $0.writes } }

        var sink: Sink<Upsert<Int, Int>> {
            .upserting { [self] rows, removed in
                try state.withLock { state in
                    state.writes.append((rows.map(\.key), removed))
                    for (key, row) in rows { state.rows[key] = row }
                    for key in removed { state.rows[key] = nil }
                    if state.failures > 0 {
                        state.failures -= 1
                        throw Broken()
                    }
                }
            }
        }
    }

    @Test func `tells a table the last word on each key of a batch`() async throws {
        let table = Table()
        let upserts = [(1, 10), (2, 20), (1, 11), (3, nil), (2, nil), (1, 12)].map {
            Upsert(key: $0.0, row: $0.1)
        }
        try await Topology("t") {
            EventStream("in", from: .collection(upserts)).sink(table.sink)
        }.run()
        #expect(table.rows == [1: 12])
        #expect(table.writes.map(\.keys) == [[1]])
        #expect(table.writes.map(\.removed) == [[2, 3]])
    }

    @Test(arguments: TopologyTest.seeds(20))
    func `ends with the rows of the result, though writes fail`(seed: UInt64) throws {
        let table = Table(failures: 2)
        let changes = SourceProbe<Reading>()
        let test = try TopologyTest(
            Topology("t", supervisor: Supervisor(backoff: .none)) {
                EventStream("in", from: changes.source).keyed(by: \.key)
                    .aggregate(.sum(of: \.value))
                    .map { $0 }
                    .upserts(by: \.key)
                    .map { Upsert(key: $0.key, row: $0.row?.value) }
                    .sink(table.sink)
            }, seed: seed)
        var random = SplitMix64(seed: seed)
        var expected: [Int: Int] = [:]
        for value in 1...50 {
            let key = Int.random(in: 0..<7, using: &random)
            expected[key, default: 0] += value
            changes.send(Reading(key, value, at: 0))
            if Bool.random(using: &random) { try test.run() }
        }
        changes.finish()
        try test.finish()
        #expect(table.rows == expected)
    }
}
