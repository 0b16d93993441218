/// The writing end of a journal: the segment it writes to and the records that wait.
struct JournalWriter: Sendable {
    /// The segment that the next commit goes to.
    struct Target: Sendable {
        var file: any StoredFile
        var header: SegmentHeader
        var offset: Int
        var size: Int
    }

    let directory: String
    let files: any FileSystem
    let options: JournalOptions

    /// Nil before the first commit, and when the next one needs a fresh segment.
    var target: Target?
    var pending = PendingRecords()
    var isClosed = false

    /// The number of the first record that waits, as in the index.
    var end: UInt64
    private var random: SimulatedRandom?

    init(directory: String, files: any FileSystem, options: JournalOptions) {
        self.directory = directory
        self.files = files
        self.options = options
        end = options.firstPosition
        random = options.identitySeed.map { SimulatedRandom(seed: $0) }
    }

    mutating func append(
        _ payload: UnsafeRawBufferPointer, kind: UInt8, allocated: () -> Int
    ) throws(StorageError) -> UInt64 {
        let overhead = options.cipher?.overhead ?? 0
        guard payload.count <= options.maximumRecordBytes else { throw failure(.tooLarge) }
        let needed = pending.used + RecordHeader.stride(payload: payload.count + overhead)
        guard needed <= options.maximumPendingBytes else { throw failure(.uncommitted) }
        if needed > (target.map { $0.size - $0.offset } ?? 0),
            allocated() + SegmentHeader.size + needed > options.maximumBytes
        {
            throw failure(.full)
        }
        let position = end + pending.count
        pending.append(payload, kind: kind, position: position, overhead: overhead)
        return position
    }

    /// Writes what waits and makes it durable; on an error it waits still.
    ///
    /// After a failed write or synchronization the file is not trusted any more: the kernel may
    /// have dropped what it could not write and report success from then on. So the next
    /// attempt writes the same records into a fresh segment.
    mutating func commit(_ index: inout SegmentIndex) throws(StorageError) {
        guard !isClosed else { throw failure(.closed) }
        guard pending.count > 0 else { return }
        if target.map({ $0.offset + pending.used > $0.size }) ?? true {
            target = try makeSegment(index: &index)
        }
        guard var target else { return }
        do throws(StorageError) {
            try write(to: target)
            try target.file.synchronize()
        } catch {
            abandonTarget(&index)
            throw error
        }
        target.offset += pending.used
        self.target = target
        end += pending.count
        index.end = end
        pending.removeAll()
    }

    private mutating func write(to target: Target) throws(StorageError) {
        let seed = target.header.checksum
        guard let cipher = options.cipher else {
            return try pending.withFramed(at: target.offset, seed: seed) {
                bytes throws(StorageError) in
                try target.file.write(bytes, at: target.offset)
            }
        }
        let sealed = try pending.sealed(
            at: target.offset, seed: seed, identity: target.header.identity, cipher: cipher)
        try sealed.withBytes { bytes throws(StorageError) in
            try target.file.write(bytes, at: target.offset)
        }
    }

    /// Gives the unused space of a segment back, as far as the device lets it.
    private mutating func abandonTarget(_ index: inout SegmentIndex) {
        guard let target else { return }
        self.target = nil
        if (try? target.file.truncate(to: target.offset)) != nil,
            let last = index.segments.indices.last,
            index.segments[last].identity == target.header.identity
        {
            index.segments[last].size = target.offset
        }
        target.file.close()
    }

    /// A new, empty and durable segment that begins with the first record that waits.
    ///
    /// It gets its name only when its header is durable, so each segment has a header. It may
    /// replace a segment of the same name, which then holds nothing that was committed.
    private mutating func makeSegment(index: inout SegmentIndex) throws(StorageError) -> Target {
        let header = SegmentHeader(
            format: options.format, first: index.end, identity: makeIdentity())
        let path = directory + "/" + SegmentHeader.fileName(first: index.end)
        let temporary = path + ".new"
        if try files.exists(temporary) { try files.remove(temporary) }
        let (file, size) = try makeFile(temporary, header: header, index: index)
        do throws(StorageError) {
            try files.rename(temporary, to: path)
            try files.syncDirectory(directory)
        } catch {
            file.close()
            // The name may be there all the same, and what stands behind it in the segment before
            // is void then: nothing more is written to that one.
            abandonTarget(&index)
            throw error
        }
        target?.file.close()
        index.add(.init(first: header.first, identity: header.identity, path: path, size: size))
        return Target(file: file, header: header, offset: SegmentHeader.size, size: size)
    }

    private func makeFile(
        _ path: String, header: SegmentHeader, index: SegmentIndex
    ) throws(StorageError) -> (any StoredFile, size: Int) {
        let needed = SegmentHeader.size + pending.used
        let allowed = max(needed, options.maximumBytes - index.size)
        var size = min(max(options.segmentBytes, needed), allowed)
        let file = try files.open(path, .createNew)
        do throws(StorageError) {
            while true {
                do throws(StorageError) {
                    try file.allocate(size)
                    break
                } catch {
                    // On a disk that is nearly full a smaller segment may still fit.
                    guard error.code == .noSpace, size > needed else { throw error }
                    size = max(needed, size / 4)
                }
            }
            try header.encoded.withBytes { bytes throws(StorageError) in
                try file.write(bytes, at: 0)
            }
            try file.synchronize()
            return (file, size)
        } catch {
            file.close()
            // Best effort: the next attempt removes what stays.
            try? files.remove(path)
            throw error
        }
    }

    private mutating func makeIdentity() -> SegmentIdentity {
        if var seeded = random {
            let identity = SegmentIdentity(low: seeded.next(), high: seeded.next())
            random = seeded
            return identity
        }
        var system = SystemRandomNumberGenerator()
        return SegmentIdentity(low: system.next(), high: system.next())
    }

    func failure(_ code: StorageError.Code) -> StorageError {
        StorageError(code, path: directory, action: "append to")
    }
}
