/// Reads a journal from its files alone: without its lock, changing nothing, also while a process
/// writes it.
///
/// It stops where the last durable commit ends, as far as the files show it. Of one thread at a
/// time.
package final class JournalScanner {
    /// A segment file.
    package struct Segment: Sendable, Hashable {
        /// The name of the file.
        package let file: String
        /// The number of its first record.
        package let first: Journal.Position
        /// Bytes of the file, preallocated ones included.
        package let bytes: Int
    }

    private let directory: String
    private let files: any FileSystem
    private let options: JournalOptions
    private let opener: RecordOpener
    private var cursor: SegmentCursor?
    private var current = 0

    /// The segments, in order.
    package private(set) var segments: [Segment] = []

    /// The number of the record that ``next()`` returns next.
    package private(set) var position: Journal.Position = 0

    /// What stands behind the last whole record: a commit that is under way, or was torn.
    package private(set) var tail: JournalCut?

    /// Looks for the segments of a directory.
    ///
    /// - Throws: `.corrupt` for a segment with a damaged header, `.unsupported` for another version
    ///   or format, `.notFound` when there is no such directory.
    package init(
        directory: String, fileSystem: any FileSystem = LocalFileSystem(),
        options: JournalOptions = .init()
    ) throws(StorageError) {
        self.directory = directory
        files = fileSystem
        self.options = options
        opener = RecordOpener(options.cipher)
        try findSegments()
        position = segments.first?.first ?? 0
    }

    /// The number of the oldest record, or of the first one to come.
    package var firstPosition: Journal.Position { segments.first?.first ?? 0 }

    /// The file that holds the next record, once it is open.
    package var path: String? { cursor?.path }

    /// Goes on with another record, not before the first; the records before it in its segment are
    /// read over by ``next()``.
    package func seek(to position: Journal.Position) {
        let target = max(position, firstPosition)
        if target < self.position || cursor == nil
            || segments[current...].dropFirst().contains(where: { $0.first <= target })
        {
            cursor = nil
            current = segments.lastIndex { $0.first <= target } ?? 0
        }
        self.position = target
    }

    /// The next record; nil at the end, where a later call may find more.
    ///
    /// - Parameter opensSealed: Whether a sealed record is opened; else its content is as it was
    ///   written.
    /// - Throws: `.corrupt` with the segment and the offset of a damaged record, `.wrongKey` for a
    ///   sealed one that can't be opened, `.notFound` when retention has removed the segment
    ///   meanwhile.
    package func next(opensSealed: Bool = true) throws(StorageError) -> JournalRecord? {
        while true {
            if segments.isEmpty { try findSegments() }
            guard current < segments.count else { return nil }
            let cursor = try openedCursor()
            if let end = end(of: current), cursor.position >= end {
                moveOn()
                continue
            }
            switch try cursor.next() {
            case .record(let header, let payload):
                if header.position < position { continue }
                let isSealed = header.flags & RecordHeader.sealed != 0
                let content = opensSealed ? try opened(payload, header, cursor) : payload
                position = header.position + 1
                return JournalRecord(
                    position: header.position, kind: header.kind, payload: content,
                    key: isSealed && !opensSealed ? header.key : nil)
            case .end(let ending):
                guard try goOn(behind: cursor, ending) else { return nil }
            }
        }
    }

    private func end(of segment: Int) -> Journal.Position? {
        segment + 1 < segments.count ? segments[segment + 1].first : nil
    }

    private func moveOn() {
        current += 1
        cursor = nil
    }

    private func openedCursor() throws(StorageError) -> SegmentCursor {
        if let cursor { return cursor }
        let opened = try SegmentCursor.open(
            "\(directory)/\(segments[current].file)", files, options)
        cursor = opened
        return opened
    }

    /// Whether there is something to read where no valid record stands.
    private func goOn(
        behind cursor: SegmentCursor, _ ending: SegmentCursor.Ending
    ) throws(StorageError) -> Bool {
        if end(of: current) != nil {
            throw .corrupt(cursor.path, offset: cursor.offset, ending.reason)
        }
        // A writer may have gone on since the file was looked at.
        try cursor.dropWindow()
        let isDamaged = try cursor.isWrittenWhole()
        let remainder = try cursor.remainder()
        if isDamaged || remainder.laterCommit != nil {
            try cursor.dropWindow()
            let offset = cursor.offset
            guard try recovers(cursor) else {
                throw .corrupt(cursor.path, offset: offset, ending.reason)
            }
            return true
        }
        tail =
            remainder.isZero
            ? nil
            : JournalCut(
                segment: segments[current].file, offset: cursor.offset,
                records: remainder.uncommittedRecords)
        let known = segments.count
        try findSegments()
        // Before the writer began another segment it may have gone on in this one.
        try cursor.dropWindow()
        return segments.count > known
    }

    /// Whether the record that was not valid is by now.
    private func recovers(_ cursor: SegmentCursor) throws(StorageError) -> Bool {
        guard case .record = try cursor.next() else { return false }
        // Read once more, so that it is handed out.
        self.cursor = nil
        return true
    }

    private func findSegments() throws(StorageError) {
        let newest = segments.last?.first
        for name in try files.list(directory) {
            guard let first = SegmentHeader.first(of: name) else { continue }
            if let newest, first <= newest { continue }
            let cursor = try SegmentCursor.open(
                "\(directory)/\(name)", files, options)
            segments.append(Segment(file: name, first: first, bytes: cursor.size))
        }
        if newest == nil { position = segments.first?.first ?? 0 }
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
}
