/// Reads the records of one segment in order, through a window of its file.
///
/// Of one thread at a time. Whatever the file holds, it returns whole valid records or says
/// where they end.
final class SegmentCursor {
    /// What stands where the next record would.
    enum Step {
        case record(RecordHeader, UnsafeRawBufferPointer)
        case end(Ending)
    }

    /// Why there is no further record.
    enum Ending: Sendable, Hashable {
        case zeros
        case endOfFile
        case invalid(String)

        var reason: String {
            switch self {
            case .zeros: "there are zeros where a record should be"
            case .endOfFile: "the segment ends where a record should be"
            case .invalid(let reason): reason
            }
        }
    }

    let header: SegmentHeader
    let path: String
    private(set) var size: Int

    /// Where the next record begins.
    private(set) var offset = SegmentHeader.size

    /// The number of the next record.
    private(set) var position: UInt64

    /// Where the commit of the last record that was read begins; nil before the first.
    private(set) var lastGroup: Int?

    private let file: any StoredFile
    private let seed: UInt32
    private let windowSize: Int
    private var window: UnsafeMutableRawBufferPointer
    private var windowStart = 0
    private var windowCount = 0

    init(_ file: any StoredFile, path: String, windowSize: Int) throws(StorageError) {
        self.file = file
        self.path = path
        self.windowSize = max(windowSize, 4096)
        size = try file.size
        var bytes = [UInt8](repeating: 0, count: SegmentHeader.size)
        let count = try bytes.withMutableBytes { buffer throws(StorageError) in
            try file.read(at: 0, into: buffer)
        }
        header = try bytes.withBytes { buffer throws(StorageError) in
            try SegmentHeader(UnsafeRawBufferPointer(rebasing: buffer[..<count]), path: path)
        }
        seed = header.checksum
        position = header.first
        window = .allocate(byteCount: self.windowSize, alignment: 16)
    }

    deinit {
        window.deallocate()
        file.close()
    }

    /// The next record; its payload is valid until the next call.
    func next() throws(StorageError) -> Step {
        guard let head = try bytes(at: offset, count: RecordHeader.size) else {
            return .end(try remainderIsZero() ? .endOfFile : .invalid("a header is incomplete"))
        }
        let record = RecordHeader(head)
        if record.flags == 0, head.loadWord(at: 0) == 0, head.loadWord(at: 8) == 0,
            head.loadWord(at: 16) == 0
        {
            return .end(.zeros)
        }
        guard record.stride <= size - offset,
            let whole = try bytes(at: offset, count: RecordHeader.size + record.length)
        else { return .end(.invalid("a record is longer than its segment")) }
        guard record.isValid(whole, seed: seed) else {
            return .end(.invalid("the checksum of record \(position) does not match"))
        }
        guard record.position == position else {
            return .end(
                .invalid("record \(record.position) stands where \(position) should be"))
        }
        offset += record.stride
        position += 1
        lastGroup = record.group
        return .record(record, UnsafeRawBufferPointer(rebasing: whole[RecordHeader.size...]))
    }

    /// Forgets what the window holds, for a file that was written since.
    func dropWindow() throws(StorageError) {
        windowCount = 0
        size = try file.size
    }

    /// Looks in the rest of the file for valid records of the same segment.
    ///
    /// A commit begins only after the one before it is durable. So a record of a commit that
    /// began past `offset` proves that what stands at `offset` was durable and is damaged; one
    /// of the same commit proves nothing, since a device writes the pages of a commit in any
    /// order.
    func remainder() throws(StorageError) -> Remainder {
        var result = Remainder(laterCommit: nil, uncommittedRecords: 0, isZero: true)
        var candidate = offset
        while candidate < size {
            let count = min(windowSize, size - candidate)
            guard let block = try bytes(at: candidate, count: count) else { break }
            if block.isZero {
                candidate += count
                continue
            }
            result.isZero = false
            // One word at a time: the block may move when a record needs more of the file.
            let limit = candidate + count
            while candidate < limit {
                guard let head = try bytes(at: candidate, count: RecordHeader.size) else {
                    return result
                }
                guard let record = try validRecord(head, at: candidate) else {
                    candidate += 8
                    continue
                }
                if record.group > offset {
                    result.laterCommit = candidate
                    return result
                }
                result.uncommittedRecords += 1
                candidate += record.stride
            }
        }
        return result
    }

    /// Whether the record at `offset`, which is not valid, was written to its end: then no crash
    /// can have made it so, and it is damaged.
    ///
    /// A segment has zeros where nothing was written. A crash leaves a write's beginning, or some of
    /// its sectors; either way the record's last byte is zero, or all that it has in some sector. A
    /// record that has such zeros of its own proves nothing, nor does one with a damaged header.
    func isWrittenWhole() throws(StorageError) -> Bool {
        guard let head = try bytes(at: offset, count: RecordHeader.size) else { return false }
        let record = RecordHeader(head)
        guard record.flags & RecordHeader.present != 0, record.position == position,
            record.group == lastGroup ?? offset || record.group == offset,
            record.stride <= size - offset,
            let whole = try bytes(at: offset, count: RecordHeader.size + record.length),
            !record.isValid(whole, seed: seed), whole.last != 0
        else { return false }
        var start = 0
        while start < whole.count {
            let end = min(whole.count, start + Self.sector - (offset + start) % Self.sector)
            if UnsafeRawBufferPointer(rebasing: whole[start..<end]).allSatisfy({ $0 == 0 }) {
                return false
            }
            start = end
        }
        return true
    }

    /// What a device writes at once, at least.
    private static let sector = 512

    /// What ``remainder()`` found.
    struct Remainder {
        var laterCommit: Int?
        var uncommittedRecords: Int
        var isZero: Bool
    }

    private func validRecord(
        _ head: UnsafeRawBufferPointer, at candidate: Int
    ) throws(StorageError) -> RecordHeader? {
        let record = RecordHeader(head)
        guard record.flags & RecordHeader.present != 0, record.position >= position,
            record.position - position <= UInt64(candidate - offset) / 24,
            record.group >= SegmentHeader.size, record.group <= candidate,
            record.stride <= size - candidate,
            let whole = try bytes(at: candidate, count: RecordHeader.size + record.length),
            record.isValid(whole, seed: seed)
        else { return nil }
        return record
    }

    private func remainderIsZero() throws(StorageError) -> Bool {
        guard offset < size else { return true }
        return try bytes(at: offset, count: size - offset)?.isZero ?? true
    }

    /// Bytes of the file, valid until the next call; nil when it is not that long.
    @inline(__always)
    private func bytes(at start: Int, count: Int) throws(StorageError) -> UnsafeRawBufferPointer? {
        if start < windowStart || start + count > windowStart + windowCount {
            guard start + count <= size, try fill(at: start, count: count) else { return nil }
        }
        let from = start - windowStart
        return UnsafeRawBufferPointer(rebasing: window[from..<(from + count)])
    }

    @inline(never)
    private func fill(at start: Int, count: Int) throws(StorageError) -> Bool {
        if count > window.count {
            window.deallocate()
            window = .allocate(byteCount: count, alignment: 16)
        }
        windowCount = 0
        let length = min(max(count, windowSize), size - start)
        windowStart = start
        windowCount = try file.read(
            at: start, into: UnsafeMutableRawBufferPointer(rebasing: window[..<length]))
        return windowCount >= count
    }
}

extension SegmentCursor {
    /// Opens a segment of a journal with these options.
    static func open(
        _ path: String, _ files: any FileSystem, _ options: JournalOptions
    ) throws(StorageError) -> SegmentCursor {
        let cursor = try SegmentCursor(
            try files.open(path, .read), path: path, windowSize: options.readAheadBytes)
        guard cursor.header.format == options.format else {
            throw StorageError(
                .unsupported(
                    reason: "its format \(cursor.header.format) is not \(options.format)"),
                path: path, action: "open")
        }
        return cursor
    }
}
