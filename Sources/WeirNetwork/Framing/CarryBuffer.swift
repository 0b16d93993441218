/// The bytes of a frame that is not complete yet; holds no memory while it is empty.
@usableFromInline
struct CarryBuffer: Sendable {
    @usableFromInline var bytes: [UInt8] = []

    @inlinable
    init() {}

    @inlinable var count: Int { bytes.count }
    @inlinable var isEmpty: Bool { bytes.isEmpty }

    @inlinable
    mutating func append(_ more: UnsafeRawBufferPointer) {
        bytes.append(contentsOf: more)
    }

    /// Gives the bytes to `body` and lets go of them and of their memory.
    @inlinable
    mutating func take<Result>(
        _ body: (UnsafeRawBufferPointer) throws -> Result
    ) rethrows -> Result {
        let taken = bytes
        bytes = []
        return try taken.withUnsafeBytes(body)
    }
}
