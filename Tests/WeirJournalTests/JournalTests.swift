import Testing
import WeirJournal

@Suite struct `A journal` {
    let files = SimulatedFileSystem()

    @Test func `returns what was committed, in order, over segments and openings`() throws {
        var expected: [[UInt8]] = []
        for _ in 0..<3 {
            let journal = try openJournal(files)
            #expect(journal.cut == nil)
            for number in UInt64(expected.count)..<UInt64(expected.count + 40) {
                #expect(try journal.append(payload(number), kind: 9) == number)
                expected.append(payload(number))
                if number % 5 == 4 { try journal.commit() }
            }
            #expect(journal.segmentCount > 1)
            #expect(try journal.payloads() == expected)
            journal.close()
        }
    }

    @Test func `keeps kinds, empty payloads and payloads larger than a segment`() throws {
        let journal = try openJournal(files)
        let large = [UInt8](repeating: 5, count: 10_000)
        try journal.append([], kind: 0)
        try journal.append(large, kind: 255)
        try journal.append([1])
        try journal.commit()
        let reader = try journal.reader(from: 0)
        #expect(try reader.next().map { ($0.kind, $0.payload.count) } ?? (1, 1) == (0, 0))
        let record = try #require(try reader.next())
        #expect(record.kind == 255)
        #expect(Array(record.payload) == large)
        #expect(try reader.next()?.position == 2)
        #expect(try reader.next() == nil)
    }

    @Test func `shows readers only what is durable, and follows`() throws {
        let journal = try openJournal(files)
        let reader = try journal.reader(from: 0)
        for number in UInt64(0)..<200 {
            try journal.append(payload(number))
            #expect(try reader.next() == nil)
            try journal.commit()
            #expect(try reader.next().map { Array($0.payload) } == payload(number))
        }
    }

    @Test func `reads from any position`() throws {
        let journal = try openJournal(files)
        for number in UInt64(0)..<100 { try journal.append(payload(number)) }
        try journal.commit()
        for number in UInt64(100)..<160 {
            try journal.append(payload(number))
            try journal.commit()
        }
        for start in UInt64(0)...160 {
            #expect(try journal.payloads(from: start) == (start..<160).map { payload($0) })
        }
        let error = #expect(throws: StorageError.self) { try journal.reader(from: 161) }
        #expect(error?.code == .outOfRange)
    }

    @Test func `removes old segments and keeps the positions`() throws {
        var journal = try openJournal(files)
        for number in UInt64(0)..<100 {
            try journal.append(payload(number))
            try journal.commit()
        }
        let before = journal.byteSize
        #expect(try journal.removeSegments(before: 60) > 0)
        let first = journal.firstPosition
        #expect(first > 0 && first <= 60)
        #expect(journal.byteSize < before)
        let error = #expect(throws: StorageError.self) { try journal.reader(from: first - 1) }
        #expect(error?.code == .outOfRange)
        journal.close()
        journal = try openJournal(files)
        #expect(journal.firstPosition == first)
        #expect(try journal.payloads() == (first..<100).map { payload($0) })
        try journal.removeSegments(before: 100)
        #expect(journal.segmentCount == 1)
        #expect(try journal.append([1]) == 100)
    }

    @Test func `refuses records past its bound of bytes until segments are removed`() throws {
        var options = small
        options.maximumBytes = 8192
        let journal = try openJournal(files, options)
        var number: UInt64 = 0
        let error = #expect(throws: StorageError.self) {
            while true {
                try journal.append(payload(number))
                try journal.commit()
                number += 1
            }
        }
        #expect(error?.code == .full)
        #expect(journal.byteSize <= 8192)
        #expect(try journal.payloads() == (0..<number).map { payload($0) })
        try journal.removeSegments(before: number)
        try journal.append(payload(number))
        try journal.commit()
        #expect(try journal.payloads().last == payload(number))
    }

    @Test func `bounds the size of a record and of what is not committed`() throws {
        var options = small
        options.maximumRecordBytes = 100
        options.maximumPendingBytes = 8192
        let journal = try openJournal(files, options)
        let large = #expect(throws: StorageError.self) {
            try journal.append([UInt8](repeating: 0, count: 101))
        }
        #expect(large?.code == .tooLarge)
        let many = #expect(throws: StorageError.self) {
            for _ in 0..<100 { try journal.append([UInt8](repeating: 0, count: 100)) }
        }
        #expect(many?.code == .uncommitted)
        try journal.commit()
        try journal.append([1])
    }

    @Test(arguments: [SimulatedFileSystem.Kind.rename, .syncDirectory])
    func `keeps what it commits after a segment could not be named`(
        _ kind: SimulatedFileSystem.Kind
    ) throws {
        let journal = try openJournal(files)
        try journal.append(payload(0))
        try journal.commit()
        files.fail(kind, with: .io)
        try journal.append([UInt8](repeating: 1, count: 3_000))
        #expect(throws: StorageError.self) { try journal.commit() }
        journal.discardPending()
        // There would be room for it in the first segment.
        try journal.append(payload(1))
        try journal.commit()
        journal.close()
        #expect(try openJournal(files).payloads() == [payload(0), payload(1)])
    }

    @Test func `is locked while it is open`() throws {
        let journal = try openJournal(files)
        let error = #expect(throws: StorageError.self) { try openJournal(files) }
        #expect(error?.code == .locked(by: files.processNumber))
        #expect(error?.description.contains("\(files.processNumber)") == true)
        journal.close()
        try openJournal(files).close()
    }

    @Test func `refuses another format`() throws {
        let journal = try openJournal(files)
        try journal.append([1])
        try journal.commit()
        journal.close()
        var options = small
        options.format = 8
        #expect(throws: StorageError.self) { try openJournal(files, options) }
    }

    @Test func `works on the disk of the machine`() throws {
        let directory = try TemporaryDirectory()
        let options = JournalOptions(segmentBytes: 64 << 10)
        for round in UInt64(0)..<2 {
            let journal = try Journal.open(directory: directory.path + "/j", options: options)
            for number in (round * 5000)..<(round * 5000 + 5000) {
                try journal.append(payload(number))
                if number % 100 == 99 { try journal.commit() }
            }
            #expect(try journal.payloads() == (0..<(round * 5000 + 5000)).map { payload($0) })
            let error = #expect(throws: StorageError.self) {
                try Journal.open(directory: directory.path + "/j", options: options)
            }
            #expect(error?.description.contains("holds the lock") == true)
            journal.close()
        }
    }
}
