internal import Synchronization

/// An append-only sequence of records in segment files, durable by commits.
///
/// A record's position is its number: the first is 0 (or as the options say), each next one
/// more. Records are appended to a buffer and become durable together, by one write and one
/// synchronization. What was committed is there after a crash, in order and unaltered; of the
/// commit that was under way, a first part of its records may be there.
///
/// Safe to use from several threads; calls wait for a commit that is under way, reading and
/// the read-only properties do not.
package final class Journal: Sendable {
    /// The number of a record.
    package typealias Position = UInt64

    let files: any FileSystem
    let options: JournalOptions
    let directory: String
    private let writer: Mutex<JournalWriter>
    private let index: Mutex<SegmentIndex>
    /// Whether a removed file's name may still come back with a crash.
    private let retention = Mutex(false)
    private let lock: any FileLock

    /// What opening cut off, if anything: the last commit, which had not become durable.
    package let cut: JournalCut?

    /// Opens the journal of a directory, or makes a new one.
    ///
    /// Cuts a torn commit off the end. Reads the last segment whole; older ones are checked
    /// when they are read.
    ///
    /// - Throws: `.locked` while another process has it open, `.corrupt` when a record that was
    ///   durable is damaged, `.unsupported` for another version or format.
    package static func open(
        directory: String, fileSystem: any FileSystem = LocalFileSystem(),
        options: JournalOptions = .init()
    ) throws(StorageError) -> Journal {
        try fileSystem.createDirectory(directory)
        let lock = try fileSystem.lock(directory + "/journal.lock")
        var writer = JournalWriter(directory: directory, files: fileSystem, options: options)
        do throws(StorageError) {
            let (index, cut) = try writer.recover()
            return Journal(writer: writer, index: index, cut: cut, lock: lock)
        } catch {
            lock.release()
            throw error
        }
    }

    private init(
        writer: JournalWriter, index: SegmentIndex, cut: JournalCut?, lock: any FileLock
    ) {
        files = writer.files
        options = writer.options
        directory = writer.directory
        self.writer = Mutex(writer)
        self.index = Mutex(index)
        self.cut = cut
        self.lock = lock
    }

    /// The oldest record that the journal holds; equal to the end when it holds none.
    package var firstPosition: Position { index.withLock { $0.first } }

    /// The number that the next record to become durable gets.
    package var endPosition: Position { index.withLock { $0.end } }

    /// Bytes of all segment files, preallocated ones included.
    package var byteSize: Int { index.withLock { $0.size } }

    /// Files of the journal.
    package var segmentCount: Int { index.withLock { $0.segments.count } }

    /// Bytes that the records appended since the last commit take in the file.
    package var pendingBytes: Int { writer.withLock { $0.pending.used } }

    /// Adds a record to those that the next commit makes durable.
    ///
    /// - Returns: Its position, valid once it is committed; ``discardPending()`` frees it again.
    /// - Throws: `.full`, `.uncommitted` or `.tooLarge`; the record is not taken then.
    @discardableResult
    package func append(
        _ payload: UnsafeRawBufferPointer, kind: UInt8 = 0
    ) throws(StorageError) -> Position {
        try writer.withLock { (writer) throws(StorageError) in
            guard !writer.isClosed else { throw writer.failure(.closed) }
            return try writer.append(payload, kind: kind) { index.withLock { $0.size } }
        }
    }

    /// Makes all records that were appended durable.
    ///
    /// After an error none of them may be assumed durable, and all are kept: the next call
    /// tries again, in a fresh segment when a write or a synchronization failed.
    ///
    /// - Returns: The end of what is durable.
    @discardableResult
    package func commit() throws(StorageError) -> Position {
        try writer.withLock { (writer) throws(StorageError) in
            // Readers see the old index until the new one is durable.
            var changed = index.withLock { $0 }
            let before = changed.segments.first?.first
            defer { publish(changed, hadFirst: before) }
            try writer.commit(&changed)
            return changed.end
        }
    }

    /// Forgets the records that were appended and not committed.
    ///
    /// Those of a commit that failed may still be found when the journal is opened next.
    package func discardPending() {
        writer.withLock { $0.pending.removeAll() }
    }

    /// Removes the segments all of whose records are before a position.
    ///
    /// The newest segment stays. The files are gone durably when this returns.
    ///
    /// - Returns: How many were removed.
    @discardableResult
    package func removeSegments(before position: Position) throws(StorageError) -> Int {
        try retention.withLock { (isUncertain) throws(StorageError) in
            var removed = 0
            while true {
                // One at a time: a crash must not leave a gap between older and newer ones.
                if isUncertain { try files.syncDirectory(directory) }
                isUncertain = false
                guard let path = oldest(before: position) else { return removed }
                try files.remove(path)
                index.withLock { _ = $0.segments.removeFirst() }
                isUncertain = true
                removed += 1
            }
        }
    }

    /// Closes the files and gives the lock back; what was not committed is forgotten.
    package func close() {
        writer.withLock { writer in
            writer.isClosed = true
            writer.target?.file.close()
            writer.target = nil
            writer.pending.removeAll()
        }
        lock.release()
    }

    func snapshot() -> SegmentIndex { index.withLock { $0 } }

    private func oldest(before position: Position) -> String? {
        index.withLock { index in
            guard index.segments.count > 1, index.segments[1].first <= position else {
                return nil
            }
            return index.segments[0].path
        }
    }

    /// Takes over what a commit changed; retention may have removed segments meanwhile.
    private func publish(_ changed: SegmentIndex, hadFirst: Position?) {
        index.withLock { index in
            let first = index.segments.first?.first
            index.end = changed.end
            index.segments = changed.segments.filter { segment in
                hadFirst == nil || first.map { segment.first >= $0 } ?? true
            }
        }
    }
}
