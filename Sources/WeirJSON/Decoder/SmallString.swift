/// Strings of up to 15 bytes in ASCII, which Swift keeps in the String itself.
///
/// Making them from two words takes a tenth of the time of the initializers of String, which are
/// calls into the standard library. The layout is that of its ABI; ``isKnown`` checks it.
enum SmallString {
    static let countMaximum = 15

    /// Whether the words of strings of all these lengths are the expected ones.
    static let isKnown: Bool = {
        guard MemoryLayout<String>.size == 16, MemoryLayout<UInt>.size == 8 else { return false }
        let text = Array("0123456789abcdef~ Az".utf8) + [UInt8](repeating: 0, count: 16)
        return (0...countMaximum).allSatisfy { count in
            let expected = words(String(decoding: text[4..<4 + count], as: UTF8.self))
            return text.withUnsafeBufferPointer { text in
                text.baseAddress.map { words($0 + 4, count) == expected } ?? false
            }
        }
    }()

    private static func words(_ string: String) -> (UInt64, UInt64) {
        // Safety: both have 16 bytes, of which any are valid integers.
        unsafeBitCast(string, to: (UInt64, UInt64).self)
    }

    /// The words of a string of bytes after whose start sixteen can be read.
    @inline(__always)
    private static func words(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> (UInt64, UInt64) {
        // Safety: the caller knows that the bytes are there; any alignment will do.
        let raw = UnsafeRawPointer(bytes)
        let head = UInt64(littleEndian: raw.loadUnaligned(as: UInt64.self))
        let tail = UInt64(littleEndian: raw.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
        let flags = (0xE0 | UInt64(truncatingIfNeeded: count)) << 56
        // A shift by 64 gives zero here, and so does a negative one.
        let all = UInt64.max
        if count < 8 { return (head & ~(all << (count &* 8)), flags) }
        return (head, tail & ~(all << ((count &- 8) &* 8)) | flags)
    }

    /// A string of bytes in ASCII after whose start sixteen can be read, 15 at most.
    @inline(__always)
    static func ascii(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> String {
        // Safety: ``isKnown`` has found strings to be these words; nothing is referenced.
        unsafeBitCast(words(bytes, count), to: String.self)
    }
}
