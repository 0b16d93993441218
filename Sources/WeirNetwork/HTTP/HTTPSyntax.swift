/// Character classes of RFC 9110, section 5.6, and what is done with bytes of those classes.
enum HTTPSyntax {
    /// Which bytes a token may have.
    private static let tokenMask: (UInt64, UInt64) = {
        var low: UInt64 = 0
        var high: UInt64 = 0
        let marks = "!#$%&'*+-.^_`|~0123456789"
        let letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
        for byte in (marks + letters).utf8 {
            if byte < 64 { low |= 1 << UInt64(byte) } else { high |= 1 << UInt64(byte - 64) }
        }
        return (low, high)
    }()

    static func isToken(_ byte: UInt8) -> Bool {
        if byte >= 128 { return false }
        let mask = tokenMask
        return (byte < 64 ? mask.0 >> UInt64(byte) : mask.1 >> UInt64(byte - 64)) & 1 == 1
    }

    static func isToken(_ bytes: UnsafeRawBufferPointer) -> Bool {
        if bytes.isEmpty { return false }
        let (low, high) = tokenMask
        for byte in bytes {
            if byte >= 128 { return false }
            let bit = byte < 64 ? low >> UInt64(byte) : high >> UInt64(byte - 64)
            if bit & 1 == 0 { return false }
        }
        return true
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

    /// Whether bytes are a text in ASCII, without regard to case; the text is in lower case.
    static func equals(_ bytes: UnsafeRawBufferPointer, _ text: StaticString) -> Bool {
        guard bytes.count == text.utf8CodeUnitCount else { return false }
        for index in 0..<bytes.count where lower(bytes[index]) != text.utf8Start[index] {
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
