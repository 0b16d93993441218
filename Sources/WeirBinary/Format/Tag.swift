/// The first byte of a value.
enum Tag {
    static let null: UInt8 = 0x00
    static let no: UInt8 = 0x01
    static let yes: UInt8 = 0x02
    /// A member of a shape that the value does not have.
    static let absent: UInt8 = 0x03
    static let unsigned: UInt8 = 0x04
    /// A negative integer *n*, as the unsigned −1 − *n*.
    static let negative: UInt8 = 0x05
    static let wideSigned: UInt8 = 0x06
    static let wideUnsigned: UInt8 = 0x07
    static let float: UInt8 = 0x08
    static let double: UInt8 = 0x09
    static let string: UInt8 = 0x0A
    static let array: UInt8 = 0x0B
    static let map: UInt8 = 0x0C
    static let object: UInt8 = 0x0D

    static let bytes: UInt8 = 0x10
    static let unsignedRun: UInt8 = 0x11
    static let signedRun: UInt8 = 0x12
    static let floatRun: UInt8 = 0x13
    static let doubleRun: UInt8 = 0x14
    static let boolRun: UInt8 = 0x15

    /// The first of 32 tags of strings that are so short.
    static let shortString: UInt8 = 0x20
    /// The first of 64 tags of integers that are so small.
    static let smallUnsigned: UInt8 = 0x40
    /// The first of 64 tags of objects with so low a shape.
    static let lowShape: UInt8 = 0x80
    static let lowShapes = 64
}

/// The bytes before the shapes of a document.
enum Header {
    static let bytes: [UInt8] = [0x57, 0x42, 0x01, 0x00]
}

/// Unsigned integers of 7 bits a byte, the low ones first (LEB128).
enum Varint {
    static let countMaximum = 10

    @inline(__always)
    static func count(_ value: UInt64) -> Int {
        (63 - (value | 1).leadingZeroBitCount) / 7 + 1
    }

    /// Writes a value where there is room for it, and gives the number of bytes.
    @inline(__always)
    static func write(_ value: UInt64, to bytes: UnsafeMutablePointer<UInt8>) -> Int {
        var rest = value
        var count = 0
        while rest >= 0x80 {
            bytes[count] = UInt8(truncatingIfNeeded: rest) | 0x80
            rest >>= 7
            count &+= 1
        }
        bytes[count] = UInt8(truncatingIfNeeded: rest)
        return count &+ 1
    }

    /// Reads a value that ends before `end`; nil if it does not, or has more than 64 bits.
    @inline(__always)
    static func read(
        _ bytes: UnsafePointer<UInt8>, _ offset: inout Int, end: Int
    ) -> UInt64? {
        guard offset < end else { return nil }
        let first = bytes[offset]
        if first < 0x80 {
            offset &+= 1
            return UInt64(first)
        }
        return readLong(bytes, &offset, end: end)
    }

    private static func readLong(
        _ bytes: UnsafePointer<UInt8>, _ offset: inout Int, end: Int
    ) -> UInt64? {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while offset < end {
            let byte = bytes[offset]
            offset &+= 1
            if shift == 63, byte > 1 { return nil }
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 {
                // A last byte of zero would be a second way to write the same number.
                return byte == 0 ? nil : value
            }
            shift &+= 7
            if shift > 63 { return nil }
        }
        return nil
    }

    @inline(__always)
    static func zigzag(_ value: Int64) -> UInt64 {
        UInt64(bitPattern: (value << 1) ^ (value >> 63))
    }

    @inline(__always)
    static func unzigzag(_ value: UInt64) -> Int64 {
        Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1)
    }
}
