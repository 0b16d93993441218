import Foundation
import Testing
import Weir
import WeirTestSupport

@testable import WeirCore

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

    private var sums: Topology {
        Topology("sums") {
            EventStream("numbers", from: .tcp(port: 0, as: Int.self))
                .keyed(by: { $0 % 5 })
                .reduce(into: 0, name: "sums") { $0 += $1 }
                .map(\.value)
                .sink(.discard)
        }
    }

    /// Has a hundred numbers in its ingest journal, and a checkpoint.
    private func fill(_ store: StateStore) async throws {
        var configuration = RunConfiguration.quiet()
        configuration.store = store
        let running = try await sums.start(configuration)
        let sender = try await AcknowledgedSender.connect(
            to: "tcp://\(try running.tcp)", producer: "till")
        for number in 0..<100 { try await sender.send(Array("\(number)".utf8)) }
        try await sender.waitUntilAcknowledged()
        await sender.close()
        try await running.suspend()
    }

    @Test func `is checked and replayed with its keys, and not without`() async throws {
        let folder = try Folder()
        let plain = StateStore.directory(folder("store"), checkpointEvery: .zero)
        let store = plain.encrypted(with: FixedKeys(current: try key(1)))
        try await fill(store)
        #expect(try await sums.check(store).loads)
        await #expect(throws: StoreError.self) { try await sums.check(plain) }
        var options = ReplayOptions()
        options.start = .empty
        let report = try await sums.replay(
            store, options: options, configuration: .quiet()
        ) { _ in }
        #expect(report.events == 100 && report.emitted == 100)
        await #expect(throws: (any Error).self) {
            try await sums.replay(plain, options: options, configuration: .quiet()) { _ in }
        }
    }

    @Test func `is looked into without its keys, and only what is damaged is called so`()
        async throws
    {
        let folder = try Folder()
        let plain = StateStore.directory(folder("store"), checkpointEvery: .zero)
        try await fill(plain.encrypted(with: FixedKeys(current: try key(1))))
        let reader = try StoreReader(path: folder("store"))
        for verifies in [false, true] {
            let contents = try reader.contents(verifies: verifies)
            #expect(contents.damage == [])
            #expect(try #require(contents.ingest.first).records > 0)
        }
        let files = try #require(FileManager.default.enumerator(atPath: folder("store")))
        let names = files.compactMap { $0 as? String }
        for name in names where name.hasSuffix(".part") || name.hasSuffix(".wj") {
            let path = "\(folder("store"))/\(name)"
            let bytes = try #require(FileManager.default.contents(atPath: path))
            // That of a stage without state is empty.
            if bytes.isEmpty { continue }
            var damaged = bytes
            damaged[name.hasSuffix(".part") ? bytes.count - 1 : 96] ^= 1
            #expect(FileManager.default.createFile(atPath: path, contents: damaged))
            #expect(try reader.contents(verifies: true).damage.count == 1, "\(name)")
            #expect(FileManager.default.createFile(atPath: path, contents: bytes))
        }
    }
}
