/// Opens the sealed records of a journal, into memory of its own; of one thread at a time.
final class RecordOpener {
    private let cipher: (any RecordCipher)?
    private var plain = UnsafeMutableRawBufferPointer.allocate(byteCount: 0, alignment: 16)

    init(_ cipher: (any RecordCipher)?) {
        self.cipher = cipher
    }

    deinit { plain.deallocate() }

    /// The content of a record, valid until the next call; that of a plain one as it is.
    func open(
        _ payload: UnsafeRawBufferPointer, _ header: RecordHeader, _ cursor: SegmentCursor
    ) throws(StorageError) -> UnsafeRawBufferPointer {
        guard header.flags & RecordHeader.sealed != 0 else { return payload }
        guard let cipher else {
            throw StorageError(.wrongKey(header.key), path: cursor.path, action: "read")
        }
        let count = payload.count - cipher.overhead
        guard count >= 0 else {
            throw .corrupt(cursor.path, offset: cursor.offset, "a sealed record is too short")
        }
        let name = RecordName(
            segment: cursor.header.identity, position: header.position, kind: header.kind,
            key: header.key)
        if plain.count < count {
            plain.deallocate()
            plain = .allocate(byteCount: count * 2, alignment: 16)
        }
        let target = UnsafeMutableRawBufferPointer(rebasing: plain[..<count])
        try cipher.open(payload, into: target, name: name)
        return UnsafeRawBufferPointer(target)
    }
}
