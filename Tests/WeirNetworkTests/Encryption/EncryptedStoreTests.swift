import Foundation
import Testing
import Weir

@Suite struct `An encrypted store` {
    private func topology(_ events: Int, _ output: String) -> Topology {
        Topology("secret") {
            EventStream("numbers", from: .collection(0..<events))
                .keyed(by: { "plain-key-\($0 % 5)" })
                .reduce(into: 0, name: "count") { count, _ in count += 1 }
                .keyed(by: \.key)
                .latestPerCheckpoint()
                .map { ["\($0.element.key)", "\($0.element.value)"] }
                .sink(.transactionalJSONLines(toFile: output))
        }
    }

    private func key(_ id: UInt16) throws -> EncryptionKey {
        try #require(EncryptionKey(id: id, bytes: [UInt8](repeating: UInt8(id), count: 32)))
    }

    @Test func `shows no state, goes on with its key and with a newer one, and not without`()
        async throws
    {
        let directory = FileManager.default.temporaryDirectory.path + "/weir-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let output = directory + ".jsonl"
        defer { try? FileManager.default.removeItem(atPath: output) }
        let plain = StateStore.directory(directory, checkpointEvery: .zero)
        let first = plain.encrypted(with: FixedKeys(current: try key(1)))
        try await topology(1_000, output).run(RunConfiguration(store: first))
        for case let name as String in try #require(
            FileManager.default.enumerator(atPath: directory))
        {
            let bytes = FileManager.default.contents(atPath: "\(directory)/\(name)") ?? Data()
            #expect(bytes.range(of: Data("plain-key".utf8)) == nil, "\(name) can be read")
        }
        await #expect(throws: StoreError.self) {
            try await topology(2_000, output).run(RunConfiguration(store: plain))
        }
        let wrong = plain.encrypted(with: FixedKeys(current: try key(2)))
        await #expect(throws: StoreError.self) {
            try await topology(2_000, output).run(RunConfiguration(store: wrong))
        }
        let rotated = plain.encrypted(
            with: FixedKeys(current: try key(2), older: [try key(1)]))
        try await topology(2_000, output).run(RunConfiguration(store: rotated))
        let lines = try String(contentsOfFile: output, encoding: .utf8).split(separator: "\n")
        #expect(lines.filter { $0.contains("\"400\"") }.count == 5)
        try await topology(3_000, output).run(RunConfiguration(store: wrong))
    }
}
