import Synchronization
import Testing
import WeirJournal

@testable import WeirCore

@Suite struct `A file that grows by whole checkpoints` {
    private let disk = SimulatedFileSystem()
    private let large = (0..<(5 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 31) }

    @Test(arguments: [false, true])
    func `never has a whole segment in memory`(isSuspect: Bool) throws {
        let files = PortionedFiles(disk, limit: 1 << 20)
        let file = try TransactionalFile(path: "/out", files: files, restored: nil)
        for start in stride(from: 0, to: large.count, by: 1 << 18) {
            try file.write(Array(large[start..<(start + 1 << 18)]))
        }
        if isSuspect {
            disk.fail(.synchronize, with: .io)
            #expect(throws: StorageError.self) { try file.prepare(checkpoint: 1) }
        }
        let prepared: TransactionalFile.Prepared
        do {
            prepared = try file.prepare(checkpoint: 2)
        } catch {
            // The simulated disk has lost what it could not write.
            #expect(isSuspect)
            return
        }
        try file.commit(checkpoint: 2)
        #expect(try disk.readFile("/out") == large)
        file.close()
        // Another run, which begins with that checkpoint.
        let again = try TransactionalFile(path: "/out", files: files, restored: prepared)
        #expect(try disk.readFile("/out") == large)
        again.close()
    }

    @Test func `ends when what it has prepared is cut short`() throws {
        let file = try TransactionalFile(path: "/out", files: disk, restored: nil)
        try file.write(large)
        _ = try file.prepare(checkpoint: 1)
        let pending = try disk.open("/out.pending-1", .readWrite)
        try pending.truncate(to: large.count - 1)
        #expect(throws: StorageError.self) { try file.commit(checkpoint: 1) }
        #expect(try disk.readFile("/out").isEmpty)
    }
}

/// Files of which only so much may be read at once.
private final class PortionedFiles: FileSystem {
    private let files: SimulatedFileSystem
    private let limit: Int

    init(_ files: SimulatedFileSystem, limit: Int) {
        self.files = files
        self.limit = limit
    }

    func open(_ path: String, _ mode: OpenMode) throws(StorageError) -> any StoredFile {
        PortionedFile(try files.open(path, mode), limit: limit)
    }

    func list(_ directory: String) throws(StorageError) -> [String] { try files.list(directory) }
    func createDirectory(_ path: String) throws(StorageError) { try files.createDirectory(path) }
    func exists(_ path: String) throws(StorageError) -> Bool { try files.exists(path) }
    func rename(_ from: String, to: String) throws(StorageError) {
        try files.rename(from, to: to)
    }
    func remove(_ path: String) throws(StorageError) { try files.remove(path) }
    func syncDirectory(_ path: String) throws(StorageError) { try files.syncDirectory(path) }
    func lock(_ path: String) throws(StorageError) -> any FileLock { try files.lock(path) }
}

private final class PortionedFile: StoredFile {
    private let file: any StoredFile
    private let limit: Int

    init(_ file: any StoredFile, limit: Int) {
        self.file = file
        self.limit = limit
    }

    func read(
        at offset: Int, into buffer: UnsafeMutableRawBufferPointer
    ) throws(StorageError) -> Int {
        guard buffer.count <= limit else {
            throw StorageError(.tooLarge, path: "\(buffer.count) bytes", action: "read")
        }
        return try file.read(at: offset, into: buffer)
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(StorageError) {
        try file.write(bytes, at: offset)
    }
    func allocate(_ size: Int) throws(StorageError) { try file.allocate(size) }
    func truncate(to size: Int) throws(StorageError) { try file.truncate(to: size) }
    func synchronize() throws(StorageError) { try file.synchronize() }
    var size: Int { get throws(StorageError) { try file.size } }
    func close() { file.close() }
}
