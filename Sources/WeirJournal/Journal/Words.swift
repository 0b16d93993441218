#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#elseif canImport(Darwin)
    internal import Darwin
#endif

/// Little-endian words, wherever they stand.
extension UnsafeRawBufferPointer {
    @inline(__always)
    func loadWord(at offset: Int) -> UInt64 {
        UInt64(littleEndian: loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }

    @inline(__always)
    func loadWord32(at offset: Int) -> UInt32 {
        UInt32(littleEndian: loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }

    /// Whether all bytes are zero.
    var isZero: Bool {
        var offset = 0
        while offset + 64 <= count {
            var sum: UInt64 = 0
            for word in 0..<8 { sum |= loadWord(at: offset + word * 8) }
            if sum != 0 { return false }
            offset += 64
        }
        while offset < count {
            if self[offset] != 0 { return false }
            offset += 1
        }
        return true
    }
}

extension UnsafeMutableRawBufferPointer {
    @inline(__always)
    func storeWord(_ word: UInt64, at offset: Int) {
        storeBytes(of: word.littleEndian, toByteOffset: offset, as: UInt64.self)
    }

    @inline(__always)
    func storeWord32(_ word: UInt32, at offset: Int) {
        storeBytes(of: word.littleEndian, toByteOffset: offset, as: UInt32.self)
    }
}

/// The standard library's versions, with an error of one type.
extension [UInt8] {
    /// Appends so many zeros.
    mutating func append(zeros count: Int) {
        let zeros = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            if let start = buffer.baseAddress { memset(start, 0, count) }
            initialized = count
        }
        append(contentsOf: zeros)
    }

    package func withBytes<Value>(
        _ body: (UnsafeRawBufferPointer) throws(StorageError) -> Value
    ) throws(StorageError) -> Value {
        try withUnsafeBytes { buffer -> Result<Value, StorageError> in
            do throws(StorageError) {
                return .success(try body(buffer))
            } catch {
                return .failure(error)
            }
        }.get()
    }

    package mutating func withMutableBytes<Value>(
        _ body: (UnsafeMutableRawBufferPointer) throws(StorageError) -> Value
    ) throws(StorageError) -> Value {
        try withUnsafeMutableBytes { buffer -> Result<Value, StorageError> in
            do throws(StorageError) {
                return .success(try body(buffer))
            } catch {
                return .failure(error)
            }
        }.get()
    }
}
