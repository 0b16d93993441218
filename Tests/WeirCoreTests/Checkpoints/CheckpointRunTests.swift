import Foundation
import Testing
import WeirCore

private struct Total: Codable, Sendable, Equatable {
    var key: Int
    var value: Int
}

@Suite(.everyStateBackend) struct `A run with a store` {
    private func totals(
        _ events: Int, file: String, parallelism: Int? = nil
    ) -> Topology {
        Topology("totals") {
            EventStream("numbers", from: .collection(0..<events))
                .keyed(by: { $0 % 10 }, parallelism: parallelism)
                .reduce(into: 0, name: "count") { count, _ in count += 1 }
                .map { Total(key: $0.key, value: $0.value) }
                .sink(.transactionalJSONLines(toFile: file))
        }
    }

    private func lines(_ file: String) throws -> [Total] {
        try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n").map {
            try JSONDecoder().decode(Total.self, from: Data($0.utf8))
        }
    }

    private func expectExact(_ file: String, _ events: Int) throws {
        var next = [Int](repeating: 1, count: 10)
        for line in try lines(file) {
            #expect(line.value == next[line.key])
            next[line.key] = line.value + 1
        }
        #expect(next == [Int](repeating: events / 10 + 1, count: 10))
    }

    @Test func `makes everything final when its streams have ended`() async throws {
        let directory = try TemporaryDirectory()
        let file = directory("out.jsonl")
        let store = StateStore.directory(directory("store"))
        try await totals(10_000, file: file).run(.init(store: store))
        try expectExact(file, 10_000)
        try await totals(10_000, file: file).run(.init(store: store))
        try expectExact(file, 10_000)
    }

    @Test func `goes on from its newest checkpoint when it was cut short`() async throws {
        let directory = try TemporaryDirectory()
        let file = directory("out.jsonl")
        let store = StateStore.directory(directory("store"), checkpointEvery: .zero)
        let events = 40_000
        for attempt in 0..<4 {
            let running = try await totals(events, file: file).start(.init(store: store))
            for _ in 0...attempt { _ = try? await running.checkpoint() }
            running.cancel()
            try? await running.waitUntilFinished()
        }
        try await totals(events, file: file).run(.init(store: store))
        try expectExact(file, events)
    }

    @Test func `spreads state that isn't kept by key only while it is as in a new run`()
        async throws
    {
        for keepsCount in [false, true] {
            let directory = try TemporaryDirectory()
            let store = StateStore.directory(directory("store"), checkpointEvery: .zero)
            let topology = { (parallelism: Int) in
                Topology("counted") {
                    EventStream("numbers", from: .collection(0..<1_000))
                        .keyed(by: { $0 % 10 }, parallelism: parallelism)
                        .reduce(into: 0, name: "sum") { $0 += $1 }
                        .scan(0) { count, _ in keepsCount ? count + 1 : count }
                        .sink(.forEach { _ in })
                }
            }
            try await topology(2).run(.init(store: store))
            do {
                try await topology(3).run(.init(store: store))
                #expect(!keepsCount)
            } catch let error as StoreError {
                #expect(keepsCount)
                #expect(error.description.contains("isn't kept by key"))
            }
        }
    }

    @Test(arguments: [(1, 3), (3, 1), (2, 4)])
    func `restores with another parallelism`(_ before: Int, _ after: Int) async throws {
        let directory = try TemporaryDirectory()
        let file = directory("out.jsonl")
        let store = StateStore.directory(directory("store"), checkpointEvery: .zero)
        let events = 20_000
        let running = try await totals(events, file: file, parallelism: before)
            .start(.init(store: store))
        try await running.checkpoint()
        running.cancel()
        try? await running.waitUntilFinished()
        try await totals(events, file: file, parallelism: after).run(.init(store: store))
        try expectExact(file, events)
    }

    @Test func `is suspended and continued without a window firing early`() async throws {
        let directory = try TemporaryDirectory()
        let file = directory("out.jsonl")
        let store = StateStore.directory(directory("store"), checkpointEvery: .zero)
        let events = 30_000
        for _ in 0..<3 {
            let running = try await totals(events, file: file).start(.init(store: store))
            try await running.suspend()
        }
        try await totals(events, file: file).run(.init(store: store))
        try expectExact(file, events)
    }
}
