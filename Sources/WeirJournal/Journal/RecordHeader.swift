/// The 24 bytes before a record's payload; see docs/journal-format.md.
struct RecordHeader {
    static let size = 24
    /// Set in each record's flags, so that no record begins with 24 zeros.
    static let present: UInt8 = 0x80
    static let sealed: UInt8 = 0x01

    /// Bytes of the payload as stored.
    var length: Int
    var checksum: UInt32
    var position: UInt64
    /// Where in the segment the first record of the same commit begins.
    var group: Int
    var kind: UInt8
    var flags: UInt8
    var key: UInt16

    /// Bytes of a record in the file: a multiple of 8.
    var stride: Int { Self.stride(payload: length) }

    static func stride(payload: Int) -> Int { (size + payload + 7) & ~7 }

    @inline(__always)
    init(_ bytes: UnsafeRawBufferPointer) {
        let first = bytes.loadWord(at: 0)
        let last = bytes.loadWord(at: 16)
        length = Int(UInt32(truncatingIfNeeded: first))
        checksum = UInt32(truncatingIfNeeded: first >> 32)
        position = bytes.loadWord(at: 8)
        group = Int(UInt32(truncatingIfNeeded: last))
        kind = UInt8(truncatingIfNeeded: last >> 32)
        flags = UInt8(truncatingIfNeeded: last >> 40)
        key = UInt16(truncatingIfNeeded: last >> 48)
    }

    /// The checksum of a whole record, whose header need not hold it yet.
    @inline(__always)
    static func checksum(
        of record: UnsafeRawBufferPointer, length: Int, seed: UInt32
    ) -> UInt32 {
        var checksum = Checksum()
        checksum.add(UInt64(seed) | UInt64(UInt32(truncatingIfNeeded: length)) << 32)
        checksum.add(UnsafeRawBufferPointer(rebasing: record[8..<(size + length)]))
        return checksum.value
    }

    /// Whether a whole record, with its payload, is what was written.
    @inline(__always)
    func isValid(_ record: UnsafeRawBufferPointer, seed: UInt32) -> Bool {
        flags & Self.present != 0
            && Self.checksum(of: record, length: length, seed: seed) == checksum
    }
}
