/// The first 64 bytes of a segment; see docs/journal-format.md.
struct SegmentHeader: Sendable, Hashable {
    static let size = 64
    static let version: UInt16 = 1
    /// "WEIRJNL1" as a little-endian word.
    static let magic: UInt64 = 0x314C_4E4A_5249_4557

    var format: UInt64
    var first: UInt64
    var identity: SegmentIdentity

    /// The header's own checksum, with which the checksum of each record begins.
    var checksum: UInt32 { encoded.withUnsafeBytes { $0.loadWord32(at: 60) } }

    var encoded: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.size)
        bytes.withUnsafeMutableBytes { bytes in
            bytes.storeWord(Self.magic, at: 0)
            bytes.storeWord(UInt64(Self.version) | UInt64(Self.size) << 16, at: 8)
            bytes.storeWord(format, at: 16)
            bytes.storeWord(first, at: 24)
            bytes.storeWord(identity.low, at: 32)
            bytes.storeWord(identity.high, at: 40)
            bytes.storeWord32(
                Checksum.of(UnsafeRawBufferPointer(rebasing: bytes[..<60])), at: 60)
        }
        return bytes
    }

    init(format: UInt64, first: UInt64, identity: SegmentIdentity) {
        self.format = format
        self.first = first
        self.identity = identity
    }

    /// Reads a header; throws when it is damaged, or of another version.
    init(_ bytes: UnsafeRawBufferPointer, path: String) throws(StorageError) {
        func damaged(_ reason: String) -> StorageError {
            .corrupt(path, offset: 0, reason)
        }
        guard bytes.count >= Self.size else { throw damaged("the header is incomplete") }
        guard bytes.loadWord(at: 0) == Self.magic else {
            throw damaged("this is no segment of a journal")
        }
        guard
            Checksum.of(UnsafeRawBufferPointer(rebasing: bytes[..<60]))
                == bytes.loadWord32(at: 60)
        else { throw damaged("the header's checksum does not match") }
        let version = UInt16(truncatingIfNeeded: bytes.loadWord32(at: 8))
        guard bytes.loadWord(at: 8) == UInt64(Self.version) | UInt64(Self.size) << 16 else {
            throw StorageError(
                .unsupported(reason: "format version \(version) is not \(Self.version)"),
                path: path, action: "open")
        }
        // Far from where a number of a record in a segment could overflow.
        guard bytes.loadWord(at: 24) < 1 << 62 else {
            throw damaged("the first position is out of range")
        }
        self.init(
            format: bytes.loadWord(at: 16), first: bytes.loadWord(at: 24),
            identity: .init(low: bytes.loadWord(at: 32), high: bytes.loadWord(at: 40)))
    }

    /// The file name of the segment that begins with a record.
    static func fileName(first: UInt64) -> String {
        let digits = String(first, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits + ".wj"
    }

    /// The first position that a file name tells, or nil when it is not a segment's.
    static func first(of name: String) -> UInt64? {
        guard name.hasSuffix(".wj"), name.utf8.count == 19,
            let first = UInt64(name.dropLast(3), radix: 16), fileName(first: first) == name
        else { return nil }
        return first
    }
}

extension StorageError {
    static func corrupt(_ path: String, offset: Int, _ reason: String) -> StorageError {
        let name = path.split(separator: "/").last.map(String.init) ?? path
        return StorageError(
            .corrupt(segment: name, offset: offset, reason: reason), path: path, action: "read")
    }
}
