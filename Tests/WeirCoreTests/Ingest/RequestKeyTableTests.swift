import Testing

@testable import WeirCore

@Suite struct `The keys of requests` {
    private func key(_ number: UInt8) throws -> RequestKey {
        try #require(RequestKey(digest: Array(repeating: number, count: 32)))
    }

    private func time(_ seconds: Int64) -> EventTime {
        EventTime(nanoseconds: seconds * 1_000_000_000)
    }

    private func table(_ limit: Int = 3) -> RequestKeyTable {
        RequestKeyTable(limit: limit, lifetime: .seconds(10))
    }

    @Test func `survive as the producer of a record, which no producer can be called`() throws {
        let key = try #require(RequestKey(digest: Array(0..<32)))
        #expect(RequestKey(producer: key.producer) == key)
        #expect(RequestKey.isKey(key.producer))
        for name in ["", "till-7", "\u{1}", "\u{1}" + String(repeating: "x", count: 32)] {
            #expect(RequestKey(producer: name) == nil)
        }
        #expect(RequestKey(digest: [1, 2, 3]) == nil)
    }

    @Test func `are claimed, settled, and given free again`() throws {
        var table = table()
        let key = try key(1)
        #expect(table.claim(key, 7, at: time(0)) == .new)
        #expect(table.claim(key, 7, at: time(1)) == .underWay)
        #expect(table.claim(key, 8, at: time(1)) == .different)
        table.abandon(key)
        #expect(table.claim(key, 8, at: time(2)) == .new)
        table.settle(key, 5, recordedAt: 1)
        table.abandon(key)
        #expect(table.claim(key, 8, at: time(3)) == .taken(5))
        #expect(table.claim(key, 7, at: time(3)) == .different)
    }

    @Test func `are forgotten when their time is over`() throws {
        var table = table()
        let (first, second) = (try key(1), try key(2))
        #expect(table.claim(first, 7, at: time(0)) == .new)
        table.settle(first, 1, recordedAt: 1)
        #expect(table.claim(second, 7, at: time(5)) == .new)
        table.settle(second, 1, recordedAt: 2)
        #expect(table.claim(first, 7, at: time(9)) == .taken(1))
        #expect(table.claim(first, 7, at: time(10)) == .new)
        #expect(table.claim(second, 7, at: time(14)) == .taken(1))
        #expect(table.forgotten == 0)
    }

    @Test func `make room for others, but not while their requests are on their way`() throws {
        var table = table(2)
        #expect(table.claim(try key(1), 7, at: time(0)) == .new)
        #expect(table.claim(try key(2), 7, at: time(0)) == .new)
        #expect(table.claim(try key(3), 7, at: time(0)) == .full)
        table.settle(try key(2), 1, recordedAt: 1)
        #expect(table.claim(try key(3), 7, at: time(0)) == .new)
        #expect(table.claim(try key(1), 7, at: time(0)) == .underWay)
        #expect(table.forgotten == 1 && table.count == 2)
    }

    @Test func `come back from the journal, each as its newest record says`() throws {
        var before = table()
        before.restore(try key(1), 7, 1, time: time(0), recordedAt: 1)
        before.restore(try key(2), 7, 2, time: time(1), recordedAt: 2)
        // The first one's time is over: it was used again.
        before.restore(try key(1), 9, 3, time: time(10), recordedAt: 3)
        #expect(before.needsRecord(before: 3) && !before.needsRecord(before: 2))
        var after = table()
        try before.encoded.withUnsafeBytes { bytes in
            try after.restore(bytes, at: 4)
            #expect(throws: IngestFormatError.self) {
                try after.restore(UnsafeRawBufferPointer(rebasing: bytes.dropLast()), at: 4)
            }
            try after.restore(bytes, at: 4)
        }
        #expect(!after.needsRecord(before: 4) && after.needsRecord(before: 5))
        #expect(after.claim(try key(1), 9, at: time(10)) == .taken(3))
        #expect(after.claim(try key(2), 7, at: time(10)) == .taken(2))
    }
}
