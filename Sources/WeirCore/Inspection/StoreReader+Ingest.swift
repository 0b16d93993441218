import WeirJournal

extension StoreReader {
    /// The ingest journals, each read from its first record to its last.
    func ingestJournals(
        _ producerLimit: Int, _ damage: inout [StoreContents.Damage]
    ) throws -> [StoreContents.IngestJournal] {
        let parent = "\(directory.path)/ingest"
        guard try directory.files.exists(parent) else { return [] }
        var journals: [StoreContents.IngestJournal] = []
        for name in try directory.files.list(parent) {
            var journal = StoreContents.IngestJournal(
                source: CheckpointDirectory.stageName(ofIngestDirectory: name),
                directory: "\(parent)/\(name)")
            if let found = read(&journal, producerLimit) {
                journal.problem = found.reason
                damage.append(found)
            }
            journals.append(journal)
        }
        return journals
    }

    /// Returns what is damaged.
    private func read(
        _ journal: inout StoreContents.IngestJournal, _ producerLimit: Int
    ) -> StoreContents.Damage? {
        var scanner: JournalScanner?
        var producers: [String: UInt64] = [:]
        defer {
            if let scanner {
                journal.segments = scanner.segments.map {
                    .init(file: $0.file, first: $0.first, bytes: $0.bytes)
                }
                journal.bytes = scanner.segments.reduce(0) { $0 + $1.bytes }
                journal.firstPosition = scanner.firstPosition
                journal.endPosition = scanner.position
                journal.tail = scanner.tail.map {
                    "\($0.segment) at offset \($0.offset): a commit that is not durable, with "
                        + "\($0.records) whole records"
                }
            }
            journal.producerCount = producers.count
            journal.producers = producers.sorted { $0.key < $1.key }.prefix(producerLimit).map {
                .init(name: $0.key, last: $0.value)
            }
        }
        do throws(StorageError) {
            let opened = try JournalScanner(
                directory: journal.directory, fileSystem: directory.files,
                options: JournalOptions(cipher: cipher))
            scanner = opened
            while let record = try opened.next(opensSealed: cipher != nil) {
                journal.records += 1
                if let key = record.key {
                    if !journal.keys.contains(key) { journal.keys.append(key) }
                    continue
                }
                do throws(IngestFormatError) {
                    try journal.add(record, &producers)
                } catch {
                    return .init(
                        file: opened.path ?? journal.directory, offset: nil,
                        reason: "record \(record.position) is none of an ingest journal's")
                }
            }
            return nil
        } catch {
            var offset: Int?
            if case .corrupt(_, let place, _) = error.code { offset = place }
            return .init(file: error.path, offset: offset, reason: "\(error)")
        }
    }
}

extension StoreContents.IngestJournal {
    fileprivate mutating func add(
        _ record: JournalRecord, _ producers: inout [String: UInt64]
    ) throws(IngestFormatError) {
        if record.kind == IngestRecord.Kind.producers {
            producers = try ProducerTable.sequences(in: record.payload)
            return
        }
        if record.kind == IngestRecord.Kind.requestKeys { return }
        let contents = try IngestRecordContents(record.payload)
        try contents.forEachMessage { _, _ in }
        messages += contents.count
        if contents.time.nanoseconds != 0 {
            firstTime = firstTime ?? contents.time
            lastTime = contents.time
        }
        if !contents.producer.isEmpty, !RequestKey.isKey(contents.producer), contents.count > 0 {
            producers[contents.producer] = contents.firstSequence &+ UInt64(contents.count) &- 1
        }
    }
}

extension ProducerTable {
    /// What a record of the table says of each producer.
    fileprivate static func sequences(
        in bytes: UnsafeRawBufferPointer
    ) throws(IngestFormatError) -> [String: UInt64] {
        var sequences: [String: UInt64] = [:]
        var reader = IngestBytes(bytes)
        for _ in 0..<(try reader.number(UInt32.self)) {
            let name = try reader.take(Int(try reader.number(UInt8.self)))
            sequences[String(decoding: name, as: UTF8.self)] = try reader.number(UInt64.self)
        }
        return sequences
    }
}

extension CheckpointDirectory {
    /// The stage whose ingest journal has a directory of this name.
    static func stageName(ofIngestDirectory name: String) -> String {
        var bytes: [UInt8] = []
        var rest = name.utf8[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"),
                let escaped = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
            {
                bytes.append(escaped)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
