internal import CWeirIntrinsics

/// CRC32C (Castagnoli, reflected polynomial 0x82F63B78), as in iSCSI (RFC 3720).
package struct Checksum: Sendable {
    private var state: UInt32 = ~0

    package init() {}

    package var value: UInt32 { ~state }

    package mutating func add(_ bytes: UnsafeRawBufferPointer) {
        if Self.isInHardware {
            state = cweir_crc32c(state, bytes.baseAddress, bytes.count)
        } else {
            state = Self.continued(state, bytes)
        }
    }

    @inline(__always)
    mutating func add(_ word: UInt64) {
        withUnsafeBytes(of: word.littleEndian) { add($0) }
    }

    package static func of(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
        var checksum = Checksum()
        checksum.add(bytes)
        return checksum.value
    }

    private static let isInHardware = cweir_crc32c_in_hardware() != 0

    /// The way of a processor without the instruction: a table and a byte at a time.
    static func continued(_ state: UInt32, _ bytes: UnsafeRawBufferPointer) -> UInt32 {
        var state = state
        table.withUnsafeBufferPointer { table in
            for byte in bytes {
                state = table[Int(UInt8(truncatingIfNeeded: state) ^ byte)] ^ (state >> 8)
            }
        }
        return state
    }

    private static let table: [UInt32] = (0..<256).map { index in
        (0..<8).reduce(UInt32(index)) { value, _ in
            value & 1 == 1 ? (value >> 1) ^ 0x82F6_3B78 : value >> 1
        }
    }
}
