import Logging
import Synchronization
import WeirJournal

/// What an ingest journal remembers beyond its records: a table that is written into the journal
/// before the segments go that told it.
///
/// A value without I/O.
protocol RecordedTable: Sendable {
    /// The kind of record that holds all of it.
    static var kind: UInt8 { get }
    /// How many entries were forgotten before their time, to make room for others.
    var forgotten: Int { get }
    /// Whether the journal from a position on doesn't tell all that is to be remembered.
    func needsRecord(before position: UInt64) -> Bool
    /// All of it, as a record of the journal.
    var encoded: [UInt8] { get }
    /// Takes note that a record with all of ``encoded`` is in the journal.
    mutating func wasRecorded(at position: UInt64)
    /// Becomes what a record of the journal says.
    mutating func restore(
        _ bytes: UnsafeRawBufferPointer, at position: UInt64
    ) throws(IngestFormatError)
}

/// A table of a source, safe to use from any thread, that says what it forgets.
final class SharedTable<Table: RecordedTable>: Sendable {
    private let table: Mutex<Table>
    private let forgotten: RunCounter
    private let onForgotten: @Sendable (Int) -> Void

    /// - Parameters:
    ///   - forgotten: Counts the entries that were forgotten.
    ///   - onForgotten: Told how many at once.
    init(_ table: Table, forgotten: RunCounter, onForgotten: @escaping @Sendable (Int) -> Void) {
        self.table = Mutex(table)
        self.forgotten = forgotten
        self.onForgotten = onForgotten
    }

    func read<Value: Sendable>(_ body: (borrowing Table) -> Value) -> Value {
        table.withLock { body($0) }
    }

    func change<Value: Sendable, Failure: Error>(
        _ body: (inout Table) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        let (value, lost) = try table.withLock { (table) throws(Failure) in
            let before = table.forgotten
            let value = try body(&table)
            return (value, table.forgotten - before)
        }
        if lost > 0 {
            forgotten.increment(by: lost)
            onForgotten(lost)
        }
        return value
    }

    /// Writes the table into the journal if what is there from a position on doesn't tell all of it.
    func record(in journal: Journal, before position: UInt64) throws(StorageError) {
        guard read({ $0.needsRecord(before: position) }) else { return }
        let recorded = try read { $0.encoded }.withBytes { bytes throws(StorageError) in
            try journal.append(bytes, kind: Table.kind)
        }
        try journal.commit()
        change { $0.wasRecorded(at: recorded) }
    }

    /// Takes over a record of the journal; false if it is of another kind.
    func restore(_ record: JournalRecord) throws(IngestFormatError) -> Bool {
        if record.kind != Table.kind { return false }
        try change { (table) throws(IngestFormatError) in
            try table.restore(record.payload, at: record.position)
        }
        return true
    }
}
