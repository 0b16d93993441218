/// Checks UTF-8 as it comes, over any cuts, and fails at the first byte that cannot be right.
struct UTF8Check {
    private var missing: UInt8 = 0
    private var lower: UInt8 = 0x80
    private var upper: UInt8 = 0xBF

    /// Whether the bytes so far end at the end of a character.
    var isComplete: Bool { missing == 0 }

    /// Checks further bytes; false when they cannot be part of valid UTF-8.
    mutating func append(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let base = bytes.baseAddress else { return true }
        var place = 0
        let count = bytes.count
        while place < count {
            if missing == 0 {
                place = Self.skipASCII(base, from: place, count)
                if place == count { return true }
                guard begin(base.load(fromByteOffset: place, as: UInt8.self)) else { return false }
            } else {
                let byte = base.load(fromByteOffset: place, as: UInt8.self)
                guard byte >= lower, byte <= upper else { return false }
                lower = 0x80
                upper = 0xBF
                missing &-= 1
            }
            place &+= 1
        }
        return true
    }

    /// Takes the first byte of a character of two bytes or more (Unicode, table 3-7).
    private mutating func begin(_ byte: UInt8) -> Bool {
        switch byte {
        case 0xC2...0xDF: missing = 1
        case 0xE0:
            missing = 2
            lower = 0xA0
        case 0xED:
            missing = 2
            upper = 0x9F
        case 0xE1...0xEF: missing = 2
        case 0xF0:
            missing = 3
            lower = 0x90
        case 0xF1...0xF3: missing = 3
        case 0xF4:
            missing = 3
            upper = 0x8F
        default: return false
        }
        return true
    }

    @inline(__always)
    private static func skipASCII(_ base: UnsafeRawPointer, from start: Int, _ count: Int) -> Int {
        var place = start
        while place &+ 8 <= count {
            let word = base.loadUnaligned(fromByteOffset: place, as: UInt64.self)
            let high = word.littleEndian & 0x8080_8080_8080_8080
            if high != 0 { return place &+ high.trailingZeroBitCount / 8 }
            place &+= 8
        }
        while place < count, base.load(fromByteOffset: place, as: UInt8.self) < 0x80 { place &+= 1 }
        return place
    }
}
