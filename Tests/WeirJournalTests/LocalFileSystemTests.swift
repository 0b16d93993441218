import Testing
import WeirJournal

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// A directory that goes with the test.
final class TemporaryDirectory {
    let path: String

    init() throws {
        var name = Array("/tmp/weir-journal-XXXXXX".utf8CString)
        path = name.withUnsafeMutableBufferPointer { buffer in
            buffer.baseAddress.flatMap { mkdtemp($0) }.map { String(cString: $0) } ?? ""
        }
        try #require(path != "", "no temporary directory")
    }

    deinit { Self.remove(path) }

    private static func remove(_ path: String) {
        let files = LocalFileSystem()
        if let names = try? files.list(path) {
            for name in names { remove(path + "/" + name) }
        }
        try? files.remove(path)
    }
}

@Suite struct `The local file system` {
    let files = LocalFileSystem()

    @Test func `creates a directory with its parents and finds it there the second time`() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/a/b/c"
        try files.createDirectory(path)
        try files.createDirectory(path)
        #expect(try files.exists(path))
        #expect(try files.list(directory.path + "/a") == ["b"])
    }

    @Test func `writes a whole file durably and reads it back`() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/manifest"
        try files.writeDurably([1, 2, 3], to: path)
        try files.writeDurably([4, 5], to: path)
        #expect(try files.readFile(path) == [4, 5])
        #expect(try files.list(directory.path) == ["manifest"])
    }

    @Test func `reads and writes at offsets, preallocates and truncates`() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/file"
        let file = try files.open(path, .createNew)
        try file.allocate(4096)
        try [7, 8, 9].withUnsafeBytes { try file.write($0, at: 2) }
        try file.synchronize()
        try file.truncate(to: 26)
        #expect(try file.size == 26)
        var buffer = [UInt8](repeating: 0xFF, count: 40)
        #expect(try buffer.withUnsafeMutableBytes { try file.read(at: 2, into: $0) } == 24)
        #expect(try buffer.withUnsafeMutableBytes { try file.read(at: 26, into: $0) } == 0)
        #expect(buffer[0] == 7)
        file.close()
        #expect(throws: StorageError.self) { try file.synchronize() }
    }

    @Test func `says why it refuses`() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/file"
        let missing = #expect(throws: StorageError.self) { try files.open(path, .read) }
        #expect(missing?.code == .notFound)
        #expect(missing?.description.contains(path) == true)
        _ = try files.open(path, .createNew)
        let present = #expect(throws: StorageError.self) { try files.open(path, .createNew) }
        #expect(present?.code == .alreadyExists)
    }

    @Test func `refuses a lock that is held and names the process`() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/lock"
        let lock = try files.lock(path)
        let refusal = #expect(throws: StorageError.self) { try files.lock(path) }
        #expect(refusal?.code == .locked(by: getpid()))
        lock.release()
        try files.lock(path).release()
    }
}
