import Glibc
import Testing
import WeirJournal
import WeirTesting

@testable import WeirCore

/// A sum for each key, on a disk in memory; its source can be read again.
private struct SmallRun {
    struct Sum: Codable, Sendable {
        var key: Int
        var value: Int
    }

    static let last = 9

    /// - Parameter pause: Before which number the source waits to be stopped; nil for never.
    static func start(_ disk: SimulatedFileSystem, pause: Int? = nil) throws -> TopologyTest {
        var store = StateStore.directory("/store", checkpointEvery: .zero, keeping: 1)
        store.fileSystem = disk
        var configuration = TopologyTest.configuration
        configuration.store = store
        return try TopologyTest(topology(pause: pause), configuration: configuration)
    }

    private static func topology(pause: Int?) -> Topology {
        let numbers = Source<Int>("numbers") { inlet in
            for number in Int(inlet.position?.offset ?? 0)..<last {
                if number == pause {
                    for await _ in AsyncStream<Never>(unfolding: { await wait() }) {}
                    return
                }
                try await inlet.send(
                    Batch([number]), position: SourcePosition(offset: Int64(number + 1)))
            }
        }
        return Topology("sums") {
            EventStream("numbers", from: numbers)
                .keyed(by: { $0 % 2 }, parallelism: 1)
                .reduce(into: 0, name: "sum") { $0 += $1 }
                .map { Sum(key: $0.key, value: $0.value) }
                .sink(.transactionalJSONLines(toFile: "/out.jsonl"))
        }
    }

    private static func wait() async -> Never? {
        let (stream, continuation) = AsyncStream<Void>.makeStream()
        await withTaskCancellationHandler {
            for await _ in stream {}
        } onCancel: {
            continuation.finish()
        }
        return nil
    }

    /// What the file has when all goes well.
    static func result(_ disk: SimulatedFileSystem) throws -> [UInt8] {
        let test = try start(disk)
        try test.finish()
        return try disk.readFile("/out.jsonl")
    }

    /// A disk on which a run was suspended, and another killed behind its checkpoint.
    static func disk() throws -> SimulatedFileSystem {
        let disk = SimulatedFileSystem()
        let first = try start(disk, pause: 3)
        try first.run()
        _ = try first.perform { [running = first.running] in try await running.suspend() }
        let second = try start(disk, pause: 6)
        try second.run()
        _ = try second.perform { [running = second.running] in try await running.checkpoint() }
        try second.run()
        return disk.fork()
    }

    /// One on which the last checkpoint is complete and the file doesn't have its lines yet.
    static func uncommittedDisk() throws -> SimulatedFileSystem {
        let disk = SimulatedFileSystem()
        let first = try start(disk, pause: 3)
        try first.run()
        _ = try first.perform { [running = first.running] in try await running.suspend() }
        let before = try disk.readFile("/out.jsonl")
        for operations in 1... {
            let copy = disk.fork()
            let test = try start(copy, pause: 6)
            try test.run()
            copy.crashAfter(operations: operations)
            let isDone =
                (try? test.perform { [running = test.running] in
                    try await running.checkpoint()
                }) != nil
            copy.kill()
            if isDone, try copy.readFile("/out.jsonl") == before { return copy.fork() }
            if operations > 200 { break }
        }
        throw NotFound()
    }

    struct NotFound: Error {}
}

/// All files, with their sizes.
private func files(_ disk: SimulatedFileSystem, in directory: String) throws -> [(String, Int)] {
    try disk.list(directory).flatMap { name in
        let path = directory == "/" ? "/\(name)" : "\(directory)/\(name)"
        if let inner = try? files(disk, in: path) { return inner }
        return [(path, try disk.open(path, .read).size)]
    }
}

@Suite struct `A damaged store` {
    /// Each that many-th bit is flipped; all of them with `WEIR_ALL_BITS` in the environment.
    private static let step = getenv("WEIR_ALL_BITS") == nil ? 7 : 1

    private enum Outcome {
        case exact
        case refused(String)
        case wrong([UInt8])
    }

    private func outcome(_ disk: SimulatedFileSystem, _ expected: [UInt8]) -> Outcome {
        do {
            let result = try SmallRun.result(disk)
            return result == expected ? .exact : .wrong(result)
        } catch {
            return .refused("\(error)")
        }
    }

    private func disks() throws -> [SimulatedFileSystem] {
        [try SmallRun.disk(), try SmallRun.uncommittedDisk()]
    }

    @Test func `is refused by the file's name or does no harm, whichever bit flips`() throws {
        let expected = try SmallRun.result(SimulatedFileSystem())
        var counts = (exact: 0, refused: 0)
        for disk in try disks() {
            #expect(try SmallRun.result(disk.fork()) == expected)
            let final = try disk.readFile("/out.jsonl")
            for (path, size) in try files(disk, in: "/") {
                for bit in stride(from: 0, to: size * 8, by: Self.step) {
                    let copy = disk.fork()
                    copy.corrupt(path, bit: bit)
                    switch outcome(copy, expected) {
                    case .exact: counts.exact += 1
                    case .refused(let text):
                        counts.refused += 1
                        #expect(text.contains(path), "bit \(bit) of \(path): \(text)")
                    case .wrong(var result):
                        // What is final in the output is its readers': it stays as it is.
                        if path == "/out.jsonl", bit / 8 < final.count, bit / 8 < result.count {
                            result[bit / 8] ^= 1 << UInt8(bit % 8)
                        }
                        #expect(result == expected, "bit \(bit) of \(path)")
                    }
                }
            }
        }
        print("damaged bits: \(counts)")
        #expect(counts.refused > 1000)
    }

    @Test func `is refused by the file's name or does no harm, wherever a file is cut`() throws {
        let expected = try SmallRun.result(SimulatedFileSystem())
        var counts = (exact: 0, refused: 0)
        for disk in try disks() {
            for (path, size) in try files(disk, in: "/") {
                for length in 0..<size {
                    let copy = disk.fork()
                    try copy.open(path, .readWrite).truncate(to: length)
                    switch outcome(copy, expected) {
                    case .exact: counts.exact += 1
                    case .refused(let text):
                        counts.refused += 1
                        #expect(text.contains(path), "length \(length) of \(path): \(text)")
                    case .wrong: Issue.record("length \(length) of \(path)")
                    }
                }
            }
        }
        print("cut files: \(counts)")
        #expect(counts.refused > 1000)
    }

    @Test func `keeps a savepoint whose name is asked for again`() throws {
        let disk = SimulatedFileSystem()
        let test = try SmallRun.start(disk, pause: 4)
        try test.run()
        _ = try test.perform { [running = test.running] in try await running.savepoint("a") }
        let saved = try disk.readFile("/store/savepoints/a/MANIFEST")
        #expect(throws: StoreError.self) {
            try test.perform { [running = test.running] in try await running.savepoint("a") }
        }
        #expect(try disk.readFile("/store/savepoints/a/MANIFEST") == saved)
    }

    @Test func `takes a savepoint whose name a crash has left behind`() throws {
        let disk = SimulatedFileSystem()
        let crashed = try SmallRun.start(disk, pause: 4)
        try crashed.run()
        disk.fail(.rename, with: .crashed)
        disk.fail(.remove, with: .crashed, times: .max)
        #expect(throws: (any Error).self) {
            try crashed.perform { [running = crashed.running] in
                try await running.savepoint("a")
            }
        }
        let after = disk.fork()
        after.clearFaults()
        #expect(try !after.list("/store/savepoints/a").isEmpty)
        let test = try SmallRun.start(after, pause: 6)
        try test.run()
        _ = try test.perform { [running = test.running] in try await running.savepoint("a") }
        #expect(try after.list("/store/savepoints/a").contains("MANIFEST"))
    }

    @Test func `gives up once what can't be encoded, however often its batch is written`() throws {
        let disk = SimulatedFileSystem()
        disk.fail(.write, with: .io, times: 3)
        var store = StateStore.directory("/store", checkpointEvery: .zero)
        store.fileSystem = disk
        var configuration = TopologyTest.configuration
        configuration.store = store
        let test = try TopologyTest(
            Topology("t", supervisor: Supervisor(backoff: .none)) {
                EventStream("in", from: .collection([1, Double.nan, 2]))
                    .sink(.transactionalJSONLines(toFile: "/out.jsonl"))
            }, configuration: configuration)
        try test.finish()
        #expect(test.running.deadLetters.total == 1)
        #expect(try disk.readFile("/out.jsonl") == Array("1\n2\n".utf8))
    }

    @Test func `has made final what its last checkpoint holds after a suspension`() throws {
        let disk = SimulatedFileSystem()
        let test = try SmallRun.start(disk, pause: 4)
        try test.run()
        _ = try test.perform { [running = test.running] in try await running.suspend() }
        #expect(try disk.readFile("/out.jsonl").count { $0 == 0x0A } == 4)
        #expect(try disk.list("/").filter { $0.hasPrefix("out.jsonl") } == ["out.jsonl"])
    }
}

@Suite struct `A transactional file on a failing disk` {
    private func lines(_ number: Int) -> [UInt8] {
        Array(repeating: "line \(number)\n", count: 3).flatMap { Array($0.utf8) }
    }

    /// Until it works, as a stage that restarts does.
    private func trying<Value>(_ action: () throws -> Value) throws -> Value {
        for _ in 0..<5 {
            if let value = try? action() { return value }
        }
        return try action()
    }

    @Test(arguments: SimulatedFileSystem.Kind.allCases, [StorageError.Code.io, .noSpace])
    func `has each line once after a crash, whichever call has failed`(
        _ kind: SimulatedFileSystem.Kind, _ code: StorageError.Code
    ) throws {
        for skipped in 0..<24 {
            let disk = SimulatedFileSystem(seed: UInt64(skipped + 1))
            disk.fail(kind, with: code, skipping: skipped)
            var file = try trying {
                try TransactionalFile(path: "/out", files: disk, restored: nil)
            }
            var expected: [UInt8] = []
            var durable: (round: Int, number: Int, prepared: TransactionalFile.Prepared)?
            var number = 0
            func reopen() throws {
                file.close()
                disk.kill()
                file = try trying {
                    try TransactionalFile(path: "/out", files: disk, restored: durable?.prepared)
                }
                try trying { try file.commit(checkpoint: durable?.number ?? 0) }
            }
            for round in 1...4 {
                expected += lines(round)
                while durable?.round != round {
                    do {
                        try trying { try file.write(lines(round)) }
                        let prepared = try trying {
                            // A checkpoint that fails is followed by another one.
                            number += 1
                            return try file.prepare(checkpoint: number)
                        }
                        durable = (round, number, prepared)
                    } catch let error as StorageError {
                        // What was staged is lost: the run fails, and goes on from its checkpoint.
                        guard case .corrupt = error.code else { throw error }
                        try reopen()
                    }
                }
                try check(disk.fork(), durable?.number, durable?.prepared, expected, seed: skipped)
                if round == 2 { try reopen() }
                if round == 3 {
                    _ = try? file.commit(checkpoint: number)
                    try reopen()
                }
                let complete = number
                try trying { try file.commit(checkpoint: complete) }
                try check(disk.fork(), durable?.number, durable?.prepared, expected, seed: skipped)
            }
            disk.clearFaults()
            #expect(try disk.readFile("/out") == expected)
            try reopen()
            #expect(try disk.list("/") == ["out"])
        }
    }

    /// Power goes, and the next run goes on from the checkpoint.
    private func check(
        _ disk: SimulatedFileSystem, _ number: Int?, _ prepared: TransactionalFile.Prepared?,
        _ expected: [UInt8], seed: Int
    ) throws {
        disk.clearFaults()
        disk.crash(seed: UInt64(seed))
        let file = try TransactionalFile(path: "/out", files: disk, restored: prepared)
        try file.commit(checkpoint: number ?? 0)
        #expect(try disk.readFile("/out") == expected)
    }
}
