/// Immutable bytes that many connections can write without a copy each.
public final class SharedBytes: Sendable {
    // Safety: written in `init` only, read-only afterwards, freed with the last reference.
    nonisolated(unsafe) let base: UnsafeMutableRawPointer
    /// How many bytes it holds.
    public let count: Int

    /// Allocates `count` bytes and lets `fill` write them.
    public init(count: Int, _ fill: (UnsafeMutableRawBufferPointer) -> Void) {
        self.count = count
        base = .allocate(byteCount: max(count, 1), alignment: 16)
        fill(UnsafeMutableRawBufferPointer(start: base, count: count))
    }

    /// Copies bytes.
    public convenience init(_ bytes: UnsafeRawBufferPointer) {
        self.init(count: bytes.count) { $0.copyMemory(from: bytes) }
    }

    /// Copies bytes.
    public convenience init(_ bytes: some Collection<UInt8>) {
        self.init(count: bytes.count) { $0.copyBytes(from: bytes) }
    }

    /// Gives the bytes for the time of the call.
    public func withUnsafeBytes<Result>(
        _ body: (UnsafeRawBufferPointer) throws -> Result
    ) rethrows -> Result {
        try body(UnsafeRawBufferPointer(start: base, count: count))
    }

    deinit { base.deallocate() }
}
