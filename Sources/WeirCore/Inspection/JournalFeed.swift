import WeirJournal

/// The recorded input of one source, record by record.
final class JournalFeed {
    /// A record with its messages.
    struct Record {
        let position: UInt64
        let time: EventTime
        /// Messages that are still to be given.
        let messages: Range<Int>
        let bytes: [UInt8]
    }

    let source: String
    let input: RecordedInput
    private let directory: String
    private let scanner: JournalScanner
    private var upcoming: Record?
    private var done = SourcePosition(offset: 0)

    init(_ store: StoreReader, source: String, input: RecordedInput) throws {
        self.source = source
        self.input = input
        directory = store.directory.ingestDirectory(of: source)
        scanner = try JournalScanner(
            directory: directory, fileSystem: store.directory.files,
            options: JournalOptions(cipher: store.cipher))
    }

    var firstPosition: UInt64 { scanner.firstPosition }
    /// The number of the record behind the last that was given.
    private(set) var position: UInt64 = 0

    /// Goes on at a position, or with the first record for nil.
    func begin(at position: SourcePosition?) {
        let first = position ?? SourcePosition(offset: Int64(scanner.firstPosition))
        done = first
        self.position = UInt64(max(0, first.offset))
        scanner.seek(to: self.position)
        upcoming = nil
    }

    /// The next record, without taking it.
    func peek() throws -> Record? {
        if let upcoming { return upcoming }
        while let record = try scanner.next() {
            guard record.kind == IngestRecord.Kind.messages else { continue }
            do throws(IngestFormatError) {
                let contents = try IngestRecordContents(record.payload)
                let skipped = done.offset == Int64(record.position) ? Int(done.identity) : 0
                let first = min(skipped, contents.count)
                upcoming = Record(
                    position: record.position, time: contents.time,
                    messages: first..<contents.count,
                    bytes: [UInt8](record.payload))
                return upcoming
            } catch {
                throw ReplayError(
                    "'\(directory)': record \(record.position) is none of an ingest journal's")
            }
        }
        return nil
    }

    /// Takes the next record.
    func take() {
        if let upcoming { position = upcoming.position + 1 }
        upcoming = nil
    }

    /// Hands messages of a record to the source's stand-in.
    func give(_ messages: Range<Int>, of record: Record) {
        let isLast = messages.upperBound == record.messages.upperBound
        let position =
            isLast
            ? SourcePosition(offset: Int64(record.position) + 1)
            : SourcePosition(
                offset: Int64(record.position), identity: UInt64(messages.upperBound))
        input.give(.init(record: record.bytes, messages: messages, position: position))
    }

    /// The number of the first record that was read at a time or later; the end when there is none.
    func position(at time: EventTime) throws -> UInt64 {
        begin(at: nil)
        while let record = try peek() {
            if record.time >= time { return record.position }
            take()
        }
        return position
    }
}
