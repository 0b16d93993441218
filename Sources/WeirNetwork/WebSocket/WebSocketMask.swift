/// Masking of RFC 6455, section 5.3: each byte XOR one of the key's four bytes, in turn.
enum WebSocketMask {
    /// Turns the key so that it fits a payload from its byte `offset` on.
    @inline(__always)
    static func rotated(_ key: UInt32, by offset: Int) -> UInt32 {
        let shift = UInt32(truncatingIfNeeded: (offset & 3) * 8)
        let order = UInt32(littleEndian: key)
        return UInt32(littleEndian: (order >> shift) | (order << ((32 &- shift) & 31)))
    }

    /// Masks or unmasks in place; `key` is in the order of memory, fit for the first byte.
    ///
    /// Returns whether all bytes of the result are ASCII, which is free to find out here.
    @inline(__always)
    static func apply(_ bytes: UnsafeMutableRawBufferPointer, key: UInt32) -> Bool {
        guard var place = bytes.baseAddress else { return true }
        var rest = bytes.count
        let key64 = UInt64(key) << 32 | UInt64(key)
        var seen: UInt64 = 0
        if rest >= 32 {
            let key256 = SIMD4<UInt64>(repeating: key64)
            var all = SIMD4<UInt64>()
            repeat {
                let masked = place.loadUnaligned(as: SIMD4<UInt64>.self) ^ key256
                place.storeBytes(of: masked, as: SIMD4<UInt64>.self)
                all |= masked
                place += 32
                rest &-= 32
            } while rest >= 32
            seen = (all[0] | all[1]) | (all[2] | all[3])
        }
        while rest >= 8 {
            let masked = place.loadUnaligned(as: UInt64.self) ^ key64
            place.storeBytes(of: masked, as: UInt64.self)
            seen |= masked
            place += 8
            rest &-= 8
        }
        if rest >= 4 {
            let masked = place.loadUnaligned(as: UInt32.self) ^ key
            place.storeBytes(of: masked, as: UInt32.self)
            seen |= UInt64(masked)
            place += 4
            rest &-= 4
        }
        var order = UInt32(littleEndian: key)
        while rest > 0 {
            let masked = place.load(as: UInt8.self) ^ UInt8(truncatingIfNeeded: order)
            place.storeBytes(of: masked, as: UInt8.self)
            seen |= UInt64(masked)
            order >>= 8
            place += 1
            rest &-= 1
        }
        return seen & 0x8080_8080_8080_8080 == 0
    }
}
