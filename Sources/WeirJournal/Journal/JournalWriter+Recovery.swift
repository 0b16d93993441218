extension JournalWriter {
    /// Finds out what is on disk and cuts a commit that did not become durable.
    mutating func recover() throws(StorageError) -> (SegmentIndex, JournalCut?) {
        var index = SegmentIndex(end: options.firstPosition)
        for name in try files.list(directory) {
            if name.hasSuffix(".wj.new") { try files.remove(directory + "/" + name) }
            guard let first = SegmentHeader.first(of: name) else { continue }
            let cursor = try SegmentCursor.open("\(directory)/\(name)", files, options)
            guard cursor.header.first == first else {
                throw .corrupt(
                    name, offset: 24,
                    "the header's first position \(cursor.header.first) is not the name's")
            }
            index.segments.append(
                .init(
                    first: first, identity: cursor.header.identity, path: cursor.path,
                    size: cursor.size))
        }
        guard let last = index.segments.indices.last else { return (index, nil) }
        let name = SegmentHeader.fileName(first: index.segments[last].first)
        let cursor = try SegmentCursor.open("\(directory)/\(name)", files, options)
        let cut = try findEnd(cursor, name: name)
        end = cursor.position
        index.end = end
        index.segments[last].size = try resume(cursor, cutting: cut != nil)
        try files.syncDirectory(directory)
        return (index, cut)
    }

    /// Moves the cursor to the end of what is whole, and tells whether something follows.
    private func findEnd(
        _ cursor: SegmentCursor, name: String
    ) throws(StorageError) -> JournalCut? {
        while true {
            guard case .end(let ending) = try cursor.next() else { continue }
            if ending == .endOfFile { return nil }
            let isDamaged = try cursor.isWrittenWhole()
            let remainder = try cursor.remainder()
            if isDamaged || remainder.laterCommit != nil {
                throw .corrupt(cursor.path, offset: cursor.offset, ending.reason)
            }
            if remainder.isZero { return nil }
            return JournalCut(
                segment: name, offset: cursor.offset, records: remainder.uncommittedRecords)
        }
    }

    /// Opens the last segment for writing, without what was cut.
    ///
    /// What was cut has to be gone for good before a new commit is written: a part of it could
    /// stand right behind the new commit and be read as its continuation.
    private mutating func resume(
        _ cursor: SegmentCursor, cutting: Bool
    ) throws(StorageError) -> Int {
        var size = cursor.size
        let file = try files.open(cursor.path, .readWrite)
        do throws(StorageError) {
            if cutting { try file.truncate(to: cursor.offset) }
            try rewriteLastCommit(cursor, file)
            try file.synchronize()
        } catch {
            file.close()
            throw error
        }
        if cutting {
            size = cursor.offset
            // Without room the next commit begins a new segment.
            if (try? file.allocate(cursor.size)) != nil { size = cursor.size }
        }
        if options.cipher == nil, size > cursor.offset {
            target = Target(
                file: file, header: cursor.header, offset: cursor.offset, size: size)
        } else {
            // A sealed record's name may have been used by what was cut.
            file.close()
        }
        return size
    }

    /// Writes the last commit once more, as it is.
    ///
    /// A process that was killed may have left it in the kernel's cache alone, marked as written
    /// after a synchronization that failed: then only writing it makes the next one write it.
    private func rewriteLastCommit(
        _ cursor: SegmentCursor, _ file: any StoredFile
    ) throws(StorageError) {
        guard let start = cursor.lastGroup, start < cursor.offset else { return }
        var bytes = [UInt8](repeating: 0, count: cursor.offset - start)
        try bytes.withMutableBytes { bytes throws(StorageError) in
            guard try file.read(at: start, into: bytes) == bytes.count else {
                throw .corrupt(cursor.path, offset: start, "the last commit is incomplete")
            }
            try file.write(UnsafeRawBufferPointer(bytes), at: start)
        }
    }
}
