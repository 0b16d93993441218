/// A number that equal keys share, and that different keys rarely do.
enum KeyFingerprint {
    /// The fingerprint of a key after whose start eight bytes can be read in any case.
    @inline(__always)
    static func ofPadded(_ key: UnsafePointer<UInt8>, _ count: Int) -> UInt64 {
        if count < 8 { return word(key) & ((1 << UInt64(truncatingIfNeeded: count &* 8)) &- 1) }
        return long(key, count)
    }

    static func of(_ key: UnsafeBufferPointer<UInt8>) -> UInt64 {
        guard key.count < 8, let start = key.baseAddress else {
            return key.baseAddress.map { long($0, key.count) } ?? 0
        }
        var word: UInt64 = 0
        for index in 0..<key.count { word |= UInt64(start[index]) << UInt64(index * 8) }
        return word
    }

    /// Whether two keys of the same fingerprint and length, eight bytes at least, are equal.
    @inline(__always)
    static func equal(
        _ key: UnsafePointer<UInt8>, _ other: UnsafePointer<UInt8>, _ count: Int
    ) -> Bool {
        var index = 0
        while index < count &- 8 {
            if word(key + index) != word(other + index) { return false }
            index &+= 8
        }
        return word(key + (count &- 8)) == word(other + (count &- 8))
    }

    @inline(__always)
    private static func long(_ key: UnsafePointer<UInt8>, _ count: Int) -> UInt64 {
        let tail = word(key + (count &- 8))
        return word(key) ^ ((tail << 29 | tail >> 35) &+ UInt64(truncatingIfNeeded: count &- 8))
    }

    @inline(__always)
    private static func word(_ key: UnsafePointer<UInt8>) -> UInt64 {
        // Safety: the caller knows that eight bytes are there; any alignment will do.
        UInt64(littleEndian: UnsafeRawPointer(key).loadUnaligned(as: UInt64.self))
    }
}
