/// A record as a reader hands it out.
package struct JournalRecord {
    /// The record's number.
    package let position: Journal.Position

    /// What the writer called this kind of record.
    package let kind: UInt8

    /// The content, valid until the reader's next call.
    package let payload: UnsafeRawBufferPointer

    /// The key with which the content is sealed, where it was not opened.
    package let key: UInt16?
}

extension Journal {
    /// Reads durable records in order, beginning with a position.
    ///
    /// - Throws: `.outOfRange` when that record was removed, or is past the end.
    package func reader(from position: Position) throws(StorageError) -> JournalReader {
        let index = snapshot()
        guard position >= index.first, position <= index.end else {
            throw StorageError(
                .outOfRange, path: directory, action: "read record \(position) of")
        }
        return JournalReader(self, from: position, end: index.end)
    }
}

/// Reads a journal's durable records in order, while it may be written; of one thread at a time.
package final class JournalReader {
    private let journal: Journal
    private var end: Journal.Position
    private var cursor: SegmentCursor?
    /// Where the segment after the cursor's begins, as far as that is known.
    private var nextSegment: Journal.Position?
    private let opener: RecordOpener

    /// The number of the record that ``next()`` returns next.
    package private(set) var position: Journal.Position

    init(_ journal: Journal, from position: Journal.Position, end: Journal.Position) {
        self.journal = journal
        self.position = position
        self.end = end
        opener = RecordOpener(journal.options.cipher)
    }

    /// The next record; nil at the end of what is durable, where a later call may find more.
    ///
    /// - Throws: `.corrupt` with the segment and the offset of a damaged record, `.outOfRange`
    ///   when retention has removed the next record.
    package func next() throws(StorageError) -> JournalRecord? {
        if position >= end, try !refresh() { return nil }
        while true {
            if let cursor, position != nextSegment {
                guard case .record(let header, let payload) = try step(cursor) else { continue }
                if header.position < position { continue }
                let plain = try opened(payload, header, cursor)
                position = header.position + 1
                return JournalRecord(
                    position: header.position, kind: header.kind, payload: plain, key: nil)
            }
            try openSegment()
        }
    }

    private func step(_ cursor: SegmentCursor) throws(StorageError) -> SegmentCursor.Step {
        let step = try cursor.next()
        if case .end(let ending) = step {
            throw .corrupt(cursor.path, offset: cursor.offset, ending.reason)
        }
        return step
    }

    /// Looks how far the journal has become durable since.
    private func refresh() throws(StorageError) -> Bool {
        let index = journal.snapshot()
        guard index.end > position else { return false }
        end = index.end
        guard let (segment, next) = index.segment(holding: position) else { throw removed() }
        if let cursor, segment.identity == cursor.header.identity {
            // The window may hold what stood there before the records were written.
            try cursor.dropWindow()
            nextSegment = next
        } else {
            cursor = nil
        }
        return true
    }

    private func openSegment() throws(StorageError) {
        cursor = nil
        let index = journal.snapshot()
        guard let (segment, next) = index.segment(holding: position) else { throw removed() }
        do throws(StorageError) {
            cursor = try SegmentCursor(
                try journal.files.open(segment.path, .read), path: segment.path,
                windowSize: journal.options.readAheadBytes)
        } catch {
            throw error.code == .notFound ? removed() : error
        }
        nextSegment = next
    }

    private func opened(
        _ payload: UnsafeRawBufferPointer, _ header: RecordHeader, _ cursor: SegmentCursor
    ) throws(StorageError) -> UnsafeRawBufferPointer {
        do throws(StorageError) {
            return try opener.open(payload, header, cursor)
        } catch {
            // The next call tries this record again.
            self.cursor = nil
            throw error
        }
    }

    private func removed() -> StorageError {
        StorageError(.outOfRange, path: journal.directory, action: "read record \(position) of")
    }
}
