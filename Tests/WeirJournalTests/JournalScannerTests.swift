import Synchronization
import Testing
import WeirJournal

@Suite struct `A scanner of a journal` {
    private func scan(
        _ files: SimulatedFileSystem, from position: UInt64 = 0
    ) throws -> [UInt64] {
        let scanner = try JournalScanner(
            directory: "/journal", fileSystem: files, options: small)
        scanner.seek(to: position)
        return try rest(scanner)
    }

    private func rest(_ scanner: JournalScanner) throws -> [UInt64] {
        var numbers: [UInt64] = []
        while let record = try scanner.next() {
            #expect(Array(record.payload) == shortPayloads[Int(record.position)])
            numbers.append(record.position)
        }
        return numbers
    }

    private func append(_ journal: Journal, _ numbers: Range<Int>, each size: Int = 3) throws {
        for number in numbers {
            try journal.append(shortPayloads[number])
            if number % size == size - 1 { try journal.commit() }
        }
        try journal.commit()
    }

    @Test func `reads all that is durable while the journal is open`() throws {
        let files = SimulatedFileSystem(seed: 1)
        let journal = try openJournal(files)
        try append(journal, 0..<300)
        try journal.append(shortPayloads[300])
        #expect(journal.segmentCount > 3)
        #expect(try scan(files) == Array(0..<300))
        for start in stride(from: UInt64(0), through: 300, by: 7) {
            #expect(try scan(files, from: start) == Array(start..<300))
        }
        journal.close()
    }

    @Test func `goes on with what is written meanwhile`() throws {
        let files = SimulatedFileSystem(seed: 1)
        let journal = try openJournal(files)
        try append(journal, 0..<2)
        let scanner = try JournalScanner(
            directory: "/journal", fileSystem: files, options: small)
        #expect(try rest(scanner) == [0, 1])
        for start in stride(from: 2, to: 200, by: 9) {
            try append(journal, start..<(start + 9))
            #expect(try rest(scanner) == (start..<(start + 9)).map { UInt64($0) })
        }
        journal.close()
    }

    @Test func `takes no segment for damaged that was written on while it looked for the next`()
        throws
    {
        let files = SimulatedFileSystem(seed: 1)
        let journal = try openJournal(files)
        try append(journal, 0..<2)
        let watched = WatchedFiles(files)
        let scanner = try JournalScanner(
            directory: "/journal", fileSystem: watched, options: small)
        watched.beforeList { try? self.append(journal, 2..<100) }
        #expect(try rest(scanner) == Array(0..<100))
        #expect(journal.segmentCount > 1)
        journal.close()
    }

    @Test func `seeks back and forth`() throws {
        let files = SimulatedFileSystem(seed: 1)
        let journal = try openJournal(files)
        try append(journal, 0..<200)
        journal.close()
        let scanner = try JournalScanner(
            directory: "/journal", fileSystem: files, options: small)
        for position in [150, 3, 4, 199, 0, 77] as [UInt64] {
            scanner.seek(to: position)
            #expect(try scanner.next()?.position == position)
        }
    }

    @Test func `leaves a torn commit where it is and says so`() throws {
        let files = SimulatedFileSystem(seed: 1)
        let journal = try openJournal(files)
        try append(journal, 0..<3)
        journal.close()
        let path = "/journal/0000000000000000.wj"
        let file = try files.open(path, .readWrite)
        // Two records of one commit; the first lacks its checksum.
        let size = try file.size
        let scanner = try JournalScanner(
            directory: "/journal", fileSystem: files, options: small)
        while try scanner.next() != nil {}
        #expect(scanner.tail == nil)
        let garbage: [UInt8] = Array(repeating: 7, count: 32)
        try garbage.withUnsafeBytes { try file.write($0, at: size - 32) }
        while try scanner.next() != nil {}
        #expect(scanner.tail?.segment == "0000000000000000.wj")
        #expect(scanner.tail?.records == 0)
        #expect(try file.size == size)
    }

    @Test func `names the segment and the offset of damage`() throws {
        let files = SimulatedFileSystem(seed: 1)
        let journal = try openJournal(files)
        try append(journal, 0..<100, each: 1)
        journal.close()
        let file = try files.open("/journal/0000000000000000.wj", .readWrite)
        try [UInt8(255)].withUnsafeBytes { try file.write($0, at: 64 + 30) }
        #expect {
            try scan(files)
        } throws: { error in
            guard case .corrupt(let segment, let offset, _) = (error as? StorageError)?.code else {
                return false
            }
            return segment == "0000000000000000.wj" && offset == 64
        }
    }

    @Test func `refuses a directory that isn't there, and reads an empty one as empty`() throws {
        let files = SimulatedFileSystem(seed: 1)
        #expect(throws: StorageError.self) { try scan(files) }
        try files.createDirectory("/journal")
        #expect(try scan(files) == [])
    }
}

/// A file system that lets something happen just before it lists a directory once.
private final class WatchedFiles: FileSystem {
    private let files: SimulatedFileSystem
    private let action = Mutex<(@Sendable () -> Void)?>(nil)

    init(_ files: SimulatedFileSystem) { self.files = files }

    func beforeList(_ action: @escaping @Sendable () -> Void) {
        self.action.withLock { $0 = action }
    }

    func list(_ directory: String) throws(StorageError) -> [String] {
        action.withLock { $0.take() }?()
        return try files.list(directory)
    }

    func open(_ path: String, _ mode: OpenMode) throws(StorageError) -> any StoredFile {
        try files.open(path, mode)
    }

    func createDirectory(_ path: String) throws(StorageError) { try files.createDirectory(path) }
    func exists(_ path: String) throws(StorageError) -> Bool { try files.exists(path) }
    func rename(_ from: String, to: String) throws(StorageError) {
        try files.rename(from, to: to)
    }
    func remove(_ path: String) throws(StorageError) { try files.remove(path) }
    func syncDirectory(_ path: String) throws(StorageError) { try files.syncDirectory(path) }
    func lock(_ path: String) throws(StorageError) -> any FileLock { try files.lock(path) }
}
