import Testing
import WeirJournal

@testable import WeirEncryption

private func key(_ id: UInt16, _ byte: UInt8? = nil) throws -> EncryptionKey {
    try #require(
        EncryptionKey(id: id, bytes: [UInt8](repeating: byte ?? UInt8(id), count: 32)))
}

private func open(
    _ files: SimulatedFileSystem, _ keys: FixedKeys?
) throws(StorageError) -> Journal {
    try Journal.open(
        directory: "/journal", fileSystem: files,
        options: .init(
            segmentBytes: 2048, cipher: keys.map { RecordEncryption(keys: $0) }))
}

private func text(_ number: UInt64) -> [UInt8] { Array("secret number \(number)".utf8) }

private func write(_ journal: Journal, _ numbers: Range<UInt64>) throws {
    for number in numbers {
        _ = try text(number).withUnsafeBytes { try journal.append($0, kind: 3) }
        if number % 3 == 0 { try journal.commit() }
    }
    try journal.commit()
}

private func texts(_ journal: Journal) throws -> [[UInt8]] {
    let reader = try journal.reader(from: journal.firstPosition)
    var result: [[UInt8]] = []
    while let record = try reader.next() { result.append(Array(record.payload)) }
    return result
}

@Suite struct `An encrypted journal` {
    private let files = SimulatedFileSystem()

    @Test func `returns what was written and shows none of it on disk`() throws {
        let journal = try open(files, FixedKeys(current: try key(1)))
        try write(journal, 0..<100)
        try _ = [].withUnsafeBytes { try journal.append($0) }
        try journal.commit()
        #expect(try texts(journal) == (0..<100).map(text) + [[]])
        for name in try files.list("/journal") where name.hasSuffix(".wj") {
            let bytes = try files.readFile("/journal/" + name)
            #expect(!String(decoding: bytes, as: UTF8.self).contains("secret"))
        }
    }

    @Test func `reads with old keys what they sealed, and seals with the current one`() throws {
        var journal = try open(files, FixedKeys(current: try key(1)))
        try write(journal, 0..<20)
        journal.close()
        journal = try open(files, FixedKeys(current: try key(2), older: [try key(1)]))
        try write(journal, 20..<40)
        #expect(try texts(journal) == (0..<40).map(text))
        journal.close()
        journal = try open(files, FixedKeys(current: try key(2)))
        let missing = #expect(throws: StorageError.self) { try texts(journal) }
        #expect(missing?.code == .wrongKey(1))
    }

    @Test func `says that a key is wrong or missing`() throws {
        let journal = try open(files, FixedKeys(current: try key(1)))
        try write(journal, 0..<5)
        journal.close()
        for keys in [FixedKeys(current: try key(1, 99)), nil] {
            let journal = try open(files, keys)
            let error = #expect(throws: StorageError.self) { try texts(journal) }
            #expect(error?.code == .wrongKey(1))
            // A reader that is asked again does not skip what it could not open.
            let reader = try journal.reader(from: 0)
            for _ in 0..<2 { #expect(throws: StorageError.self) { _ = try reader.next() } }
            #expect(reader.position == 0)
            journal.close()
        }
    }

    @Test func `never seals two contents in the same place`() throws {
        let keys = FixedKeys(current: try key(1))
        var identities: Set<[UInt8]> = []
        var openings = 0
        for round in UInt64(0)..<40 {
            let journal = try open(files, keys)
            openings += 1
            _ = try text(round).withUnsafeBytes { try journal.append($0) }
            files.fail(.synchronize, with: .io, skipping: 1)
            // The segment is made, then the commit into it fails.
            #expect(throws: StorageError.self) {
                try journal.commit()
                _ = try text(round).withUnsafeBytes { try journal.append($0) }
                try journal.commit()
            }
            for name in try files.list("/journal") where name.hasSuffix(".wj") {
                identities.insert(Array(try files.readFile("/journal/" + name)[32..<48]))
            }
            files.crash(seed: round)
        }
        #expect(identities.count >= openings)
    }

    @Test func `derives keys and seals as the standards say`() {
        // RFC 4231, test case 2.
        let code = SegmentKey.authenticate(
            Array("what do ya want for nothing?".utf8), key: Array("Jefe".utf8))
        #expect(code.prefix(4) == [0x5B, 0xDC, 0xC1, 0x46])
        // McGrew and Viega, the GCM specification, test case 14.
        let sealing = CipherContext(key: [UInt8](repeating: 0, count: 32), isSealing: true)
        var sealed = [UInt8](repeating: 0, count: 32)
        let plain = [UInt8](repeating: 0, count: 16)
        let isSealed = sealed.withUnsafeMutableBytes { sealed in
            plain.withUnsafeBytes {
                sealing?.seal($0, into: sealed, nonce: 0, authenticating: []) ?? false
            }
        }
        #expect(isSealed)
        #expect(sealed.prefix(4) == [0xCE, 0xA7, 0x40, 0x3D])
        #expect(sealed[16..<20] == [0xD0, 0xD1, 0xC8, 0xA7])
    }

    @Test func `takes keys of 32 bytes and hides them`() throws {
        #expect(EncryptionKey(id: 1, bytes: [1, 2, 3]) == nil)
        #expect(EncryptionKey(id: 1, hexadecimal: String(repeating: "g", count: 64)) == nil)
        let digits = String(repeating: "0f", count: 32)
        let key = try #require(EncryptionKey(id: 1, hexadecimal: digits))
        #expect(key.secret == [UInt8](repeating: 15, count: 32))
        #expect("\(key)" == "encryption key 1")
        #expect(String(reflecting: key) == "encryption key 1")
    }
}
