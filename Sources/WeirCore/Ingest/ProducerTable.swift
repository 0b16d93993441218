import DequeModule

/// How far each producer has come: the senders that number their messages.
///
/// A value without I/O.
/// Bounded: past the limit the producer that has been without a connection the longest is
/// forgotten.
struct ProducerTable: RecordedTable {
    static var kind: UInt8 { IngestRecord.Kind.producers }

    private struct Entry: Sendable {
        /// The last number that was taken, durable or not.
        var accepted: UInt64 = 0
        var durable: UInt64 = 0
        /// The journal's newest record that tells `durable`.
        var recordedAt: UInt64 = 0
        var session: ProducerSession?
        var idleSince: UInt64 = 0
    }

    private var entries: [String: Entry] = [:]
    /// Producers without a connection, the longest idle first; entries with another stamp are old.
    private var idle = Deque<(name: String, since: UInt64)>()
    private var stamp: UInt64 = 0
    let limit: Int
    /// Producers that were forgotten to make room for others.
    private(set) var forgotten = 0

    init(limit: Int) {
        self.limit = min(max(1, limit), .max / 4)
    }

    var count: Int { entries.count }

    /// Begins a connection of a producer.
    ///
    /// Returns nil when the table is full of connected producers.
    mutating func open(_ name: String, _ session: ProducerSession) -> ProducerOpening? {
        if entries[name] == nil, entries.count >= limit, !forgetIdle() { return nil }
        var entry = entries[name] ?? Entry()
        let replaced = entry.session
        entry.session = session
        entries[name] = entry
        return ProducerOpening(
            durable: entry.durable, accepted: entry.accepted, replaced: replaced)
    }

    /// Ends a connection; does nothing when the producer has a newer one.
    mutating func close(_ name: String, _ session: ProducerSession) {
        guard let entry = entries[name], entry.session === session else { return }
        if entry.accepted == 0 {
            entries[name] = nil
        } else {
            setIdle(name)
        }
    }

    /// Takes note that messages were taken; false when the connection isn't the newest.
    mutating func accept(_ name: String, upTo sequence: UInt64, _ session: ProducerSession) -> Bool
    {
        guard entries[name]?.session === session else { return false }
        entries[name]?.accepted = sequence
        return true
    }

    /// Takes note that messages are durable; returns who is to be told.
    mutating func acknowledge(
        _ name: String, upTo sequence: UInt64, recordedAt position: UInt64
    ) -> ProducerSession? {
        guard var entry = entries[name] else { return nil }
        entry.durable = sequence
        entry.accepted = max(entry.accepted, sequence)
        entry.recordedAt = position
        entries[name] = entry
        return entry.session
    }

    // MARK: Journal

    /// Takes over what a record of the journal says; in the journal's order.
    mutating func restore(_ name: String, upTo sequence: UInt64, recordedAt position: UInt64) {
        if entries[name] == nil, entries.count >= limit, !forgetIdle() { return }
        entries[name] = Entry(accepted: sequence, durable: sequence, recordedAt: position)
        setIdle(name)
    }

    mutating func removeAll() {
        entries.removeAll()
        idle.removeAll()
    }

    /// Whether the journal from a position on doesn't tell all there is to know.
    func needsRecord(before position: UInt64) -> Bool {
        entries.values.contains { $0.durable > 0 && $0.recordedAt < position }
    }

    /// Bytes of a producer in ``encoded``, at most.
    static let encodedLengthMax = 1 + 255 + 8

    /// All producers, the longest idle first.
    ///
    /// Layout, little endian: their number (4 bytes), and of each the length of its name (1), the
    /// name, and its last durable number (8).
    var encoded: [UInt8] {
        let known = entries.filter { $0.value.durable > 0 }.sorted {
            ($0.value.session == nil ? 0 : 1, $0.value.idleSince)
                < ($1.value.session == nil ? 0 : 1, $1.value.idleSince)
        }
        var bytes: [UInt8] = []
        bytes.appendNumber(UInt32(known.count))
        for (name, entry) in known {
            bytes.append(UInt8(truncatingIfNeeded: name.utf8.count))
            bytes.append(contentsOf: name.utf8)
            bytes.appendNumber(entry.durable)
        }
        return bytes
    }

    /// Takes note that a record with all of ``encoded`` is in the journal.
    mutating func wasRecorded(at position: UInt64) {
        for name in entries.keys { entries[name]?.recordedAt = position }
    }

    /// Becomes what a record of the journal says.
    mutating func restore(
        _ bytes: UnsafeRawBufferPointer, at position: UInt64
    ) throws(IngestFormatError) {
        removeAll()
        var reader = IngestBytes(bytes)
        for _ in 0..<(try reader.number(UInt32.self)) {
            let name = try reader.take(Int(try reader.number(UInt8.self)))
            restore(
                String(decoding: name, as: UTF8.self), upTo: try reader.number(UInt64.self),
                recordedAt: position)
        }
    }

    // MARK: Idle producers

    private mutating func setIdle(_ name: String) {
        stamp += 1
        entries[name]?.session = nil
        entries[name]?.idleSince = stamp
        idle.append((name, stamp))
        if idle.count > 2 * limit + 16 { idle = Deque(idle.filter(isCurrent)) }
    }

    private func isCurrent(_ place: (name: String, since: UInt64)) -> Bool {
        entries[place.name].map { $0.session == nil && $0.idleSince == place.since } ?? false
    }

    /// Forgets the longest idle producer; false when there is none.
    private mutating func forgetIdle() -> Bool {
        for _ in 0..<idle.count {
            guard let place = idle.popFirst() else { return false }
            guard isCurrent(place), let entry = entries[place.name] else { continue }
            if entry.accepted != entry.durable {
                // Its last messages are on their way: sent again, they could not be recognised.
                idle.append(place)
                continue
            }
            entries[place.name] = nil
            forgotten += 1
            return true
        }
        return false
    }
}

/// One connection of a producer, as the ingest journal sees it.
package final class ProducerSession: Sendable {
    package let origin: String
    package let acknowledge: @Sendable (UInt64) -> Void
    package let replace: @Sendable (_ origin: String) -> Void

    /// - Parameters:
    ///   - origin: The peer's address.
    ///   - acknowledge: Called on any thread with the number up to which messages are safe.
    ///   - replace: Called when the producer has connected again from another address.
    package init(
        origin: String, acknowledge: @escaping @Sendable (UInt64) -> Void,
        replace: @escaping @Sendable (_ origin: String) -> Void
    ) {
        self.origin = origin
        self.acknowledge = acknowledge
        self.replace = replace
    }
}

/// What a producer's new connection begins with.
package struct ProducerOpening: Sendable {
    /// The last number that is durable; 0 for none.
    package let durable: UInt64
    /// The last number that was taken; 0 for a producer that isn't known.
    package let accepted: UInt64
    /// The producer's older connection, which is to be closed.
    package let replaced: ProducerSession?
}
