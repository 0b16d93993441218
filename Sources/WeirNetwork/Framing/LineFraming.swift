#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Frames that end with a line feed; a carriage return before it is taken off.
public struct LineFraming: Framing, Sendable {
    /// The longest line in bytes, without its end.
    public let maximumLength: Int
    @usableFromInline var carry = CarryBuffer()

    /// The default of ``maximumLength``: 64 KiB.
    public static let defaultMaximumLength = 64 * 1_024

    /// Creates a framing for lines of at most `maximumLength` bytes.
    public init(maximumLength: Int = LineFraming.defaultMaximumLength) {
        self.maximumLength = max(1, maximumLength)
    }

    /// Bytes of an incomplete frame that are kept.
    public var carriedByteCount: Int { carry.count }

    /// Cuts lines; an empty line is an empty frame.
    @inlinable
    public mutating func consume(
        _ bytes: UnsafeRawBufferPointer, _ onFrame: (UnsafeRawBufferPointer) throws -> Flow
    ) throws -> Int {
        guard let base = bytes.baseAddress else { return 0 }
        let limit = maximumLength
        var position = 0
        while position < bytes.count {
            let rest = bytes.count - position
            guard let end = Self.lineFeed(base + position, rest) else {
                try keep(UnsafeRawBufferPointer(start: base + position, count: rest))
                return bytes.count
            }
            let length = end - (base + position)
            let piece = UnsafeRawBufferPointer(start: base + position, count: length)
            position += length + 1
            let flow: Flow
            if carry.isEmpty {
                flow = try onFrame(try Self.line(piece, limit))
            } else {
                try keep(piece)
                flow = try carry.take { try onFrame(try Self.line($0, limit)) }
            }
            if flow == .stop { return position }
        }
        return position
    }

    /// The first line feed of `count` bytes.
    @usableFromInline
    static func lineFeed(_ start: UnsafeRawPointer, _ count: Int) -> UnsafeRawPointer? {
        memchr(start, 0x0A, count).map { UnsafeRawPointer($0) }
    }

    /// Gives the bytes after the last line feed as a last line.
    @inlinable
    public mutating func finish(_ onFrame: (UnsafeRawBufferPointer) throws -> Flow) throws {
        guard !carry.isEmpty else { return }
        let limit = maximumLength
        _ = try carry.take { try onFrame(try Self.line($0, limit)) }
    }

    @inlinable
    mutating func keep(_ bytes: UnsafeRawBufferPointer) throws {
        // One more than a line may have: the carriage return that is taken off.
        if carry.count + bytes.count > maximumLength + 1 {
            throw FramingError.tooLong(limit: maximumLength)
        }
        carry.append(bytes)
    }

    @inlinable
    static func line(
        _ bytes: UnsafeRawBufferPointer, _ limit: Int
    ) throws -> UnsafeRawBufferPointer {
        var line = bytes
        if line.last == 0x0D { line = UnsafeRawBufferPointer(rebasing: line.dropLast()) }
        if line.count > limit { throw FramingError.tooLong(limit: limit) }
        return line
    }
}

extension UnsafeRawBufferPointer {
    /// Whether a line that has these bytes would end within them.
    var containsLineFeed: Bool {
        guard let base = baseAddress else { return false }
        return memchr(base, 0x0A, count) != nil
    }
}
