import Testing

@testable import WeirJournal

@Suite struct `A damaged journal` {
    /// Thirty records in commits of three, over a few segments.
    private func makeJournal() throws -> (SimulatedFileSystem, paths: [String]) {
        let files = SimulatedFileSystem()
        var options = small
        options.segmentBytes = 512
        let journal = try openJournal(files, options)
        for number in UInt64(0)..<30 {
            try journal.append(payload(number, longest: 30))
            if number % 3 == 2 { try journal.commit() }
        }
        journal.close()
        let paths = try files.list("/journal").filter { $0.hasSuffix(".wj") }
        return (files, paths.map { "/journal/" + $0 })
    }

    /// What can be read: whole, unaltered records; then the end or an error.
    private func read(_ files: SimulatedFileSystem) throws -> (UInt64, StorageError?) {
        var count: UInt64 = 0
        do throws(StorageError) {
            let journal = try openJournal(files)
            let reader = try journal.reader(from: 0)
            while let record = try reader.next() {
                #expect(record.position == count)
                #expect(Array(record.payload) == payload(count, longest: 30))
                count += 1
            }
        } catch {
            return (count, error)
        }
        return (count, nil)
    }

    @Test func `is never read altered, whichever bit flips`() throws {
        let (files, paths) = try makeJournal()
        var errors = 0
        for (index, path) in paths.enumerated() {
            let file = try files.open(path, .read)
            let bits = try file.size * 8
            for bit in 0..<bits {
                let copy = files.fork()
                copy.corrupt(path, bit: bit)
                let (count, error) = try read(copy)
                if let error {
                    errors += 1
                    guard case .corrupt(let segment, let offset, _) = error.code else {
                        Issue.record("bit \(bit) of \(path): \(error)")
                        continue
                    }
                    #expect(path.hasSuffix(segment))
                    #expect(offset <= bit / 8)
                } else {
                    // Without an error only the last commit may be missing, and only where its
                    // headers are damaged: they may be those of a write that a crash tore.
                    #expect(count >= 27, "bit \(bit) of \(path)")
                    if index < paths.count - 1 { #expect(count == 30) }
                }
            }
        }
        #expect(errors > 5000)
    }

    @Test func `says that a bit has flipped in a record of the last commit`() throws {
        let files = SimulatedFileSystem()
        var options = small
        options.segmentBytes = 8_192
        let journal = try openJournal(files, options)
        for number in UInt64(0)..<3 {
            try journal.append([UInt8](repeating: UInt8(number + 1), count: 700))
            try journal.commit()
        }
        journal.close()
        let name = try #require(files.list("/journal").first { $0.hasSuffix(".wj") })
        let path = "/journal/\(name)"
        let last = 64 + 2 * (24 + 704)
        for bit in stride(from: (last + 24) * 8, to: (last + 24 + 700) * 8, by: 7) {
            let copy = files.fork()
            copy.corrupt(path, bit: bit)
            let error = #expect(throws: StorageError.self) { try openJournal(copy, options) }
            guard case .corrupt(_, let offset, _) = error?.code else {
                Issue.record("bit \(bit): \(String(describing: error))")
                continue
            }
            #expect(offset == last)
        }
        // Whatever a torn write leaves is cut.
        for torn in [last + 24, last + 300, 1_536, 2_048] {
            let copy = files.fork()
            try copy.open(path, .readWrite).write(
                [UInt8](repeating: 0, count: last + 24 + 700 - torn), at: torn)
            #expect(try openJournal(copy, options).endPosition == 2)
        }
        for sector in [1_536, 2_048] {
            let copy = files.fork()
            let end = min(sector + 512, last + 24 + 700)
            try copy.open(path, .readWrite).write(
                [UInt8](repeating: 0, count: end - sector), at: sector)
            #expect(try openJournal(copy, options).endPosition == 2)
        }
    }

    @Test func `is never read altered, wherever its last segment is cut`() throws {
        let (files, paths) = try makeJournal()
        let path = try #require(paths.last)
        let size = try files.open(path, .read).size
        for length in 0..<size {
            let copy = files.fork()
            try copy.open(path, .readWrite).truncate(to: length)
            let (count, error) = try read(copy)
            #expect(count <= 30)
            if let error {
                guard case .corrupt = error.code else {
                    Issue.record("length \(length): \(error)")
                    continue
                }
                #expect(length < 64)
            }
        }
    }

    @Test func `is an error when an older segment is cut or missing`() throws {
        let (files, paths) = try makeJournal()
        try #require(paths.count > 2)
        for length in stride(from: 0, to: 320, by: 8) {
            let copy = files.fork()
            try copy.open(paths[1], .readWrite).truncate(to: length)
            let (_, error) = try read(copy)
            guard case .corrupt(let segment, _, _) = error?.code else {
                Issue.record("length \(length): \(String(describing: error))")
                continue
            }
            #expect(paths[1].hasSuffix(segment))
        }
        let copy = files.fork()
        try copy.remove(paths[1])
        #expect(try read(copy).1 != nil)
    }

    @Test func `says that a zeroed record among others is damage`() throws {
        let (files, paths) = try makeJournal()
        let path = try #require(paths.last)
        try [UInt8](repeating: 0, count: 24).withUnsafeBytes {
            try files.open(path, .readWrite).write($0, at: 64)
        }
        let error = #expect(throws: StorageError.self) { try openJournal(files) }
        guard case .corrupt(_, 64, _) = error?.code else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test func `has the checksum of RFC 3720`() {
        let zeros = [UInt8](repeating: 0, count: 32)
        let digits = Array("123456789".utf8)
        #expect(zeros.withUnsafeBytes { Checksum.of($0) } == 0x8A91_36AA)
        #expect(digits.withUnsafeBytes { Checksum.of($0) } == 0xE306_9283)
        #expect(digits.withUnsafeBytes { ~Checksum.continued(~0, $0) } == 0xE306_9283)
    }
}
