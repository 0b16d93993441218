/// Records that are appended and not committed, framed but for what only the commit knows.
struct PendingRecords: Sendable {
    private var bytes: [UInt8] = []

    /// Bytes in the file.
    private(set) var used = 0
    private(set) var count: UInt64 = 0

    mutating func append(
        _ payload: UnsafeRawBufferPointer, kind: UInt8, position: UInt64, overhead: Int
    ) {
        let length = payload.count + overhead
        let stride = RecordHeader.stride(payload: length)
        reserve(used + stride)
        bytes.withUnsafeMutableBytes { bytes in
            let record = UnsafeMutableRawBufferPointer(rebasing: bytes[used..<(used + stride)])
            // The last word first: the payload overwrites what of it is not padding.
            record.storeWord(0, at: stride - 8)
            record.storeWord(UInt64(length), at: 0)
            record.storeWord(position, at: 8)
            record.storeWord(
                UInt64(kind) << 32 | UInt64(RecordHeader.present) << 40, at: 16)
            UnsafeMutableRawBufferPointer(rebasing: record[RecordHeader.size...])
                .copyMemory(from: payload)
        }
        used += stride
        count += 1
    }

    /// The bytes to write at an offset of a segment.
    ///
    /// May be called again for another place: what it leaves behind depends on the records
    /// alone.
    mutating func withFramed<Value>(
        at group: Int, seed: UInt32, _ body: (UnsafeRawBufferPointer) throws(StorageError) -> Value
    ) throws(StorageError) -> Value {
        let used = used
        return try bytes.withMutableBytes { bytes throws(StorageError) in
            let bytes = UnsafeMutableRawBufferPointer(rebasing: bytes[..<used])
            Self.finish(bytes, group: group, seed: seed)
            return try body(UnsafeRawBufferPointer(bytes))
        }
    }

    /// The bytes to write at an offset of a segment, sealed.
    func sealed(
        at group: Int, seed: UInt32, identity: SegmentIdentity, cipher: any RecordCipher
    ) throws(StorageError) -> [UInt8] {
        var sealed = [UInt8](repeating: 0, count: used)
        let key = cipher.sealingKey
        try bytes.withBytes { plain throws(StorageError) in
            try sealed.withMutableBytes { sealed throws(StorageError) in
                var offset = 0
                while offset < used {
                    let record = RecordHeader(
                        UnsafeRawBufferPointer(rebasing: plain[offset..<(offset + 24)]))
                    let start = offset + RecordHeader.size
                    let end = start + record.length
                    sealed.storeWord(plain.loadWord(at: offset), at: offset)
                    sealed.storeWord(record.position, at: offset + 8)
                    let flags = UInt64(RecordHeader.present | RecordHeader.sealed)
                    sealed.storeWord(
                        UInt64(record.kind) << 32 | flags << 40 | UInt64(key) << 48,
                        at: offset + 16)
                    try cipher.seal(
                        UnsafeRawBufferPointer(rebasing: plain[start..<(end - cipher.overhead)]),
                        into: UnsafeMutableRawBufferPointer(rebasing: sealed[start..<end]),
                        name: RecordName(
                            segment: identity, position: record.position, kind: record.kind,
                            key: key))
                    offset += record.stride
                }
                Self.finish(sealed, group: group, seed: seed)
            }
        }
        return sealed
    }

    mutating func removeAll() {
        used = 0
        count = 0
        // A rare huge commit should not hold its memory for ever.
        if bytes.count > 16 << 20 { bytes = [] }
    }

    private mutating func reserve(_ size: Int) {
        guard size > bytes.count else { return }
        let count = max(size, bytes.count * 2, 4096)
        bytes.append(zeros: count - bytes.count)
    }

    /// Fills in where the commit begins, and the checksum over all of a record.
    private static func finish(
        _ bytes: UnsafeMutableRawBufferPointer, group: Int, seed: UInt32
    ) {
        var offset = 0
        while offset < bytes.count {
            bytes.storeWord32(UInt32(truncatingIfNeeded: group), at: offset + 16)
            let rest = UnsafeRawBufferPointer(rebasing: bytes[offset...])
            let length = Int(rest.loadWord32(at: 0))
            bytes.storeWord32(
                RecordHeader.checksum(of: rest, length: length, seed: seed), at: offset + 4)
            offset += RecordHeader.stride(payload: length)
        }
    }
}
