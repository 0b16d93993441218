/// Hashes a string so that canonically equivalent strings, which are equal in Swift, hash equally.
///
/// ASCII text is its own normal form and hashes in one pass over its bytes; other text hashes its
/// NFC form.
@inlinable
func hashText(_ text: String) -> UInt64 {
    var text = text
    // Safety: the buffer is read inside the closure alone.
    let (hash, isASCII) = text.withUTF8 { hashBytes(UnsafeRawBufferPointer($0)) }
    return isASCII ? hash : hashNormalized(text)
}

@usableFromInline
@inline(never)
func hashNormalized(_ text: String) -> UInt64 {
    // Every scalar between U+3100 and U+A66E is its own normal form and combines with nothing.
    let isNormalized = text.unicodeScalars.allSatisfy {
        $0.isASCII || (0x3100...0xa66e).contains($0.value)
    }
    if isNormalized {
        var text = text
        // Safety: the buffer is read inside the closure alone.
        return text.withUTF8 { hashBytes(UnsafeRawBufferPointer($0)).hash }
    }
    // The code units that `String.==` compares, hence always in step with it.
    return text._nfcCodeUnits.withUnsafeBytes { hashBytes($0).hash }
}

/// Hashes bytes in blocks of eight, little endian on every machine, and tells whether all of them
/// are ASCII.
@inlinable
func hashBytes(_ bytes: UnsafeRawBufferPointer) -> (hash: UInt64, isASCII: Bool) {
    let count = bytes.count
    var seed = 0x9ae1_6a3b_2f90_404f ^ (UInt64(truncatingIfNeeded: count) &* 0xa076_1d64_78bd_642f)
    // Safety: every load below stays inside `bytes`, as the comparison with `count` before it says.
    guard let base = bytes.baseAddress, count > 0 else { return (hashWord(seed), true) }
    if count < 8 {
        var word: UInt64 = 0
        if count >= 4 {
            word =
                UInt64(loadHalf(base, 0)) | UInt64(loadHalf(base, count &- 4)) << 32
        } else {
            word =
                UInt64(bytes[0]) | UInt64(bytes[count >> 1]) << 8 | UInt64(bytes[count &- 1]) << 16
        }
        return (hashWord(foldedMultiply(seed ^ word, multiplier)), word & nonASCIIMask == 0)
    }
    var offset = 0
    var seen: UInt64 = 0
    while offset &+ 16 <= count {
        let first = loadWord(base, offset)
        let second = loadWord(base, offset &+ 8)
        seen |= first | second
        seed = foldedMultiply(seed ^ first, second ^ multiplier)
        offset &+= 16
    }
    if offset &+ 8 <= count {
        let word = loadWord(base, offset)
        seen |= word
        seed = foldedMultiply(seed ^ word, multiplier)
        offset &+= 8
    }
    if offset < count {
        // The last eight bytes, some of them for the second time.
        let word = loadWord(base, count &- 8)
        seen |= word
        seed = foldedMultiply(seed ^ word, multiplier)
    }
    return (hashWord(seed), seen & nonASCIIMask == 0)
}

@inlinable
var multiplier: UInt64 { 0xe703_7ed1_a0b4_28db }

@inlinable
var nonASCIIMask: UInt64 { 0x8080_8080_8080_8080 }

@inlinable
@inline(__always)
func loadWord(_ base: UnsafeRawPointer, _ offset: Int) -> UInt64 {
    // Safety: the caller has checked that eight bytes are there.
    UInt64(littleEndian: (base + offset).loadUnaligned(as: UInt64.self))
}

@inlinable
@inline(__always)
func loadHalf(_ base: UnsafeRawPointer, _ offset: Int) -> UInt32 {
    // Safety: the caller has checked that four bytes are there.
    UInt32(littleEndian: (base + offset).loadUnaligned(as: UInt32.self))
}
