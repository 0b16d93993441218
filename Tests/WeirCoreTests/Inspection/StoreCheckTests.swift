import Testing
import WeirJournal

@testable import WeirCore

@Suite struct `Checking a store` {
    private struct Old: Codable, Sendable { var count = 0 }
    private struct Grown: Codable, Sendable {
        var count = 0
        var note: String?
    }
    private struct Other: Codable, Sendable { var count = "" }

    private func counts<State: Codable & Sendable>(
        _ initial: State, name: String = "counts", topology: String = "counts",
        _ change: @escaping @Sendable (inout State) -> Void = { _ in }
    ) -> Topology {
        Topology(topology) {
            EventStream("numbers", from: .collection(0..<100))
                .keyed(by: { $0 % 10 })
                .reduce(into: initial, name: name) { state, _ in change(&state) }
                .sink(.forEach { _ in })
        }
    }

    private func made(_ directory: TemporaryDirectory) async throws -> StateStore {
        let store = StateStore.directory(directory("store"), checkpointEvery: .zero)
        try await counts(Old()) { $0.count += 1 }.run(
            .init(logger: RecordedStore.quiet.logger, store: store))
        return store
    }

    @Test func `says that what has grown loads`() async throws {
        let directory = try TemporaryDirectory()
        let store = try await made(directory)
        let report = try await counts(Grown()).check(store, configuration: RecordedStore.quiet)
        #expect(report.loads, "\(report)")
        #expect(report.stages == [.init(name: "counts", entries: 10, isNew: false)])
    }

    @Test func `names what has been renamed, retyped or belongs to others`() async throws {
        let directory = try TemporaryDirectory()
        var store = try await made(directory)
        let renamed = try await counts(Old(), name: "sums").check(
            store, configuration: RecordedStore.quiet)
        #expect(renamed.problems.map(\.stage) == ["counts"], "\(renamed)")
        let retyped = try await counts(Other()).check(store, configuration: RecordedStore.quiet)
        #expect(retyped.problems.map(\.state) == ["reduce/0"], "\(retyped)")
        #expect(retyped.problems.map(\.path) == ["count"])
        let foreign = try await counts(Old(), topology: "others").check(
            store, configuration: RecordedStore.quiet)
        #expect(!foreign.loads)
        store.dropsUnknownState = true
        let dropping = try await counts(Old(), name: "sums").check(
            store, configuration: RecordedStore.quiet)
        #expect(dropping.loads, "\(dropping)")
    }

    @Test func `works while a run has the store open`() async throws {
        let directory = try TemporaryDirectory()
        let store = try await made(directory)
        let lock = try CheckpointDirectory(store).open()
        defer { lock.release() }
        #expect(try await counts(Old()).check(store, configuration: RecordedStore.quiet).loads)
        let contents = try StoreReader(path: store.path).contents(verifies: true)
        #expect(contents.topology == "counts")
        #expect(contents.damage.isEmpty)
    }

    @Test func `throws for a store that isn't there or lacks the checkpoint`() async throws {
        let directory = try TemporaryDirectory()
        let topology = counts(Old())
        let nowhere = StateStore.directory(directory("none"))
        await #expect(throws: StoreError.self) { try await topology.check(nowhere) }
        let store = try await made(directory)
        let unsaved = StateStore.directory(store.path, from: .savepoint("before"))
        await #expect(throws: StoreError.self) { try await topology.check(unsaved) }
    }

    @Test func `reads requests as they are written`() {
        for request in [
            CheckRequest(store: "/a#b"), CheckRequest(store: "a", checkpoint: 12),
            CheckRequest(store: "a#savepoint:x", savepoint: "y"),
        ] {
            #expect(CheckRequest(request.text) == request)
        }
    }

    @Test func `lists a checkpoint that is not complete as such`() async throws {
        let directory = try TemporaryDirectory()
        let store = try await made(directory)
        try LocalFileSystem().createDirectory("\(store.path)/checkpoints/000000000099")
        let contents = try StoreReader(path: store.path).contents()
        #expect(contents.checkpoints.map(\.isComplete) == [true, false])
        #expect(contents.checkpoints.map(\.checkpoint) == [1, 99])
    }
}
