/// A number that equal keys share; keys of at most eight bytes are equal exactly if it is.
enum KeyFingerprint {
    @inline(__always)
    static func of(
        _ key: UnsafePointer<UInt8>, _ count: Int, end: UnsafePointer<UInt8>
    ) -> UInt64 {
        if count <= 8 {
            if end - key >= 8 {
                let word = word(key)
                return count == 8 ? word : word & ((1 << UInt64(count &* 8)) &- 1)
            }
            return short(key, count)
        }
        let tail = word(key + (count - 8))
        return word(key) ^ (tail << 29 | tail >> 35) &+ UInt64(truncatingIfNeeded: count)
    }

    @inline(__always)
    private static func word(_ key: UnsafePointer<UInt8>) -> UInt64 {
        // Safety: the caller knows that eight bytes are there; any alignment will do.
        UInt64(
            littleEndian: UnsafeRawPointer(key).loadUnaligned(as: UInt64.self))
    }

    private static func short(_ key: UnsafePointer<UInt8>, _ count: Int) -> UInt64 {
        var word: UInt64 = 0
        for index in 0..<count { word |= UInt64(key[index]) << UInt64(index * 8) }
        return word
    }
}
