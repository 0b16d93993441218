#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Character classes of RFC 9110, section 5.6, and what is done with bytes of those classes.
enum HTTPSyntax {
    /// Whether a token may have a byte: a letter, a digit, or one of `!#$%&'*+-.^_|~` and the grave
    /// accent.
    @inline(__always)
    static func isToken(_ byte: UInt8) -> Bool {
        isIn((0x03FF_6CFA_0000_0000, 0x57FF_FFFF_C7FF_FFFE), byte)
    }

    /// Whether a host with its port may have a byte: all that is visible but `"#,/<>?@\`.
    @inline(__always)
    static func isHost(_ byte: UInt8) -> Bool {
        isIn((0x2FFF_6FF2_0000_0000, 0x7FFF_FFFF_EFFF_FFFE), byte)
    }

    /// Whether a byte's bit is set: in the low word the bits of those below 64.
    @inline(__always)
    private static func isIn(_ set: (low: UInt64, high: UInt64), _ byte: UInt8) -> Bool {
        byte < 128 && (byte < 64 ? set.low : set.high) &>> UInt64(byte & 63) & 1 == 1
    }

    static func isToken(_ bytes: UnsafeRawBufferPointer) -> Bool {
        tokenCount(bytes, from: 0) == bytes.count && !bytes.isEmpty
    }

    /// How many bytes of a token begin at a position.
    @inline(__always)
    static func tokenCount(_ bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
        var index = start
        while index < bytes.count, isToken(bytes[index]) { index &+= 1 }
        return index &- start
    }

    /// Where a byte comes next; nil when it doesn't.
    @inline(__always)
    static func index(
        of byte: UInt8, in bytes: UnsafeRawBufferPointer, from start: Int
    ) -> Int? {
        guard start < bytes.count, let base = bytes.baseAddress else { return nil }
        return memchr(base + start, Int32(byte), bytes.count - start).map {
            UnsafeRawPointer($0) - base
        }
    }

    static func lower(_ byte: UInt8) -> UInt8 {
        (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
    }

    static func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }

    /// The value of a hexadecimal digit.
    static func hexadecimal(_ byte: UInt8) -> Int? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): Int(byte) - 0x30
        case UInt8(ascii: "a")...UInt8(ascii: "f"): Int(byte) - 0x57
        case UInt8(ascii: "A")...UInt8(ascii: "F"): Int(byte) - 0x37
        default: nil
        }
    }

    /// Whether bytes are a text in ASCII, without regard to case.
    ///
    /// The text has letters in lower case, and else only bytes from 0x20 to 0x3F.
    @inline(__always)
    static func equals(_ bytes: UnsafeRawBufferPointer, _ text: StaticString) -> Bool {
        guard bytes.count == text.utf8CodeUnitCount else { return false }
        // Setting a bit makes a letter's case one, and all else from 0x20 on stays itself.
        for index in 0..<bytes.count
        where bytes[index] < 0x20 || bytes[index] | 0x20 != text.utf8Start[index] {
            return false
        }
        return true
    }

    /// Takes spaces and tabs off both ends.
    static func trimmed<Bytes: BidirectionalCollection<UInt8>>(
        _ bytes: Bytes
    ) -> Bytes.SubSequence {
        let isSpace: (UInt8) -> Bool = { $0 == 0x20 || $0 == 0x09 }
        let front = bytes.drop(while: isSpace)
        guard let last = front.lastIndex(where: { !isSpace($0) }) else { return front }
        return front[...last]
    }

    /// The same range without the spaces and tabs at both ends.
    static func trimmed(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) -> Range<Int> {
        var (low, high) = (range.lowerBound, range.upperBound)
        while low < high, bytes[low] == 0x20 || bytes[low] == 0x09 { low += 1 }
        while high > low, bytes[high - 1] == 0x20 || bytes[high - 1] == 0x09 { high -= 1 }
        return low..<high
    }

    /// Gives the elements of a comma-separated list that are not empty.
    static func forEachElement(
        _ list: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) -> Void
    ) {
        var start = 0
        for index in 0...list.count {
            guard index == list.count || list[index] == UInt8(ascii: ",") else { continue }
            let element = trimmed(list, start..<index)
            if !element.isEmpty { body(UnsafeRawBufferPointer(rebasing: list[element])) }
            start = index + 1
        }
    }
}

extension UnsafeRawBufferPointer {
    /// Whether these bytes come first.
    func begins(with bytes: [UInt8]) -> Bool {
        guard bytes.count <= count else { return false }
        return bytes.withUnsafeBytes { bytes in
            guard let base = baseAddress, let other = bytes.baseAddress else { return true }
            return memcmp(base, other, bytes.count) == 0
        }
    }
}
