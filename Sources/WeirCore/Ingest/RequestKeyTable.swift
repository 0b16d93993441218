import DequeModule

/// The keys of the requests that a source has taken.
///
/// A value without I/O. Bounded in number and in time: past either the oldest are forgotten.
struct RequestKeyTable: RecordedTable {
    static var kind: UInt8 { IngestRecord.Kind.requestKeys }

    private struct Entry: Sendable {
        let fingerprint: UInt64
        var count = 0
        var time: EventTime
        /// The journal's newest record that tells the key.
        var recordedAt: UInt64 = 0
        var isTaken = false
    }

    private var entries: [RequestKey: Entry] = [:]
    /// The keys of requests that were taken, in that order.
    private var taken = Deque<RequestKey>()
    private let limit: Int
    private let lifetime: Duration
    /// Keys that were forgotten before their time, to make room for others.
    private(set) var forgotten = 0

    init(limit: Int, lifetime: Duration) {
        self.limit = max(1, limit)
        self.lifetime = lifetime
    }

    var count: Int { entries.count }

    /// Claims a key for a request.
    mutating func claim(
        _ key: RequestKey, _ fingerprint: UInt64, at now: EventTime
    ) -> RequestVerdict {
        forgetExpired(now)
        if let entry = entries[key] {
            if entry.fingerprint != fingerprint { return .different }
            return entry.isTaken ? .taken(entry.count) : .underWay
        }
        guard makeRoom() else { return .full }
        entries[key] = Entry(fingerprint: fingerprint, time: now)
        return .new
    }

    /// The events of a request are safe; does nothing when that is known.
    mutating func settle(_ key: RequestKey, _ count: Int, recordedAt position: UInt64) {
        guard var entry = entries[key], !entry.isTaken else { return }
        entry.count = count
        entry.recordedAt = position
        entry.isTaken = true
        entries[key] = entry
        taken.append(key)
    }

    /// The request was refused: its key is free again.
    mutating func abandon(_ key: RequestKey) {
        if entries[key]?.isTaken == false { entries[key] = nil }
    }

    private mutating func forgetExpired(_ now: EventTime) {
        while let key = taken.first, let entry = entries[key],
            entry.time.advanced(by: lifetime) <= now
        {
            entries[key] = nil
            taken.removeFirst()
        }
    }

    private mutating func makeRoom() -> Bool {
        while entries.count >= limit {
            guard let oldest = taken.popFirst() else { return false }
            entries[oldest] = nil
            forgotten += 1
        }
        return true
    }

    // MARK: Journal

    /// Takes over what a record of the journal says; in the journal's order.
    mutating func restore(
        _ key: RequestKey, _ fingerprint: UInt64, _ count: Int, time: EventTime,
        recordedAt position: UInt64
    ) {
        // A key that has expired and was used again has a newer record.
        forgetExpired(time)
        if entries.removeValue(forKey: key) != nil { taken.removeAll { $0 == key } }
        guard makeRoom() else { return }
        entries[key] = Entry(
            fingerprint: fingerprint, count: count, time: time, recordedAt: position,
            isTaken: true)
        taken.append(key)
    }

    /// Whether the journal from a position on doesn't tell all that is to be remembered.
    func needsRecord(before position: UInt64) -> Bool {
        entries.values.contains { $0.isTaken && $0.recordedAt < position }
    }

    /// Bytes of a key in ``encoded``.
    static let encodedLength = RequestKey.encodedLength + 8 + 4 + 8

    /// All keys, the oldest first.
    ///
    /// Layout, little endian: their number (4 bytes), and of each the key (16), the fingerprint of
    /// its content (8), the number of its events (4), and its time in nanoseconds (8).
    var encoded: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(4 + taken.count * Self.encodedLength)
        bytes.appendNumber(UInt32(taken.count))
        for key in taken {
            guard let entry = entries[key] else { continue }
            key.append(to: &bytes)
            bytes.appendNumber(entry.fingerprint)
            bytes.appendNumber(UInt32(truncatingIfNeeded: entry.count))
            bytes.appendNumber(entry.time.nanoseconds)
        }
        return bytes
    }

    /// Takes note that a record with all of ``encoded`` is in the journal.
    mutating func wasRecorded(at position: UInt64) {
        for key in taken { entries[key]?.recordedAt = position }
    }

    /// Becomes what a record of the journal says.
    mutating func restore(
        _ bytes: UnsafeRawBufferPointer, at position: UInt64
    ) throws(IngestFormatError) {
        entries.removeAll()
        taken.removeAll()
        var reader = IngestBytes(bytes)
        for _ in 0..<(try reader.number(UInt32.self)) {
            restore(
                try RequestKey(&reader), try reader.number(UInt64.self),
                Int(try reader.number(UInt32.self)),
                time: EventTime(nanoseconds: try reader.number(Int64.self)),
                recordedAt: position)
        }
    }
}
