/// Frames that begin with their length as a number of 1, 2, 4 or 8 bytes.
public struct LengthFraming: Framing, Sendable {
    /// Size and order of the length in front of each frame.
    public struct Prefix: Sendable, Hashable {
        @usableFromInline let byteCount: Int
        @usableFromInline let isLittleEndian: Bool

        @inlinable
        init(byteCount: Int, isLittleEndian: Bool) {
            self.byteCount = byteCount
            self.isLittleEndian = isLittleEndian
        }

        /// One byte.
        public static let oneByte = Prefix(byteCount: 1, isLittleEndian: false)
        /// Two bytes, most significant first.
        public static let twoBytes = Prefix(byteCount: 2, isLittleEndian: false)
        /// Four bytes, most significant first.
        public static let fourBytes = Prefix(byteCount: 4, isLittleEndian: false)
        /// Eight bytes, most significant first.
        public static let eightBytes = Prefix(byteCount: 8, isLittleEndian: false)

        /// The same size with the least significant byte first.
        public var littleEndian: Prefix { Prefix(byteCount: byteCount, isLittleEndian: true) }
    }

    /// Size and order of the length.
    public let prefix: Prefix
    /// The longest frame in bytes, without its length.
    public let maximumLength: Int
    @usableFromInline var carry = CarryBuffer()
    /// Bytes of the frame in `carry`, prefix and all, once its prefix is complete.
    @usableFromInline var wanted = 0

    /// The default of ``maximumLength``: 1 MiB.
    public static let defaultMaximumLength = 1_024 * 1_024

    /// Creates a framing for frames of at most `maximumLength` bytes; the length excludes itself.
    public init(
        _ prefix: Prefix = .fourBytes, maximumLength: Int = LengthFraming.defaultMaximumLength
    ) {
        self.prefix = prefix
        self.maximumLength = max(0, maximumLength)
    }

    /// Bytes of an incomplete frame that are kept.
    public var carriedByteCount: Int { carry.count }

    /// Cuts frames; the frames are given without their length.
    @inlinable
    public mutating func consume(
        _ bytes: UnsafeRawBufferPointer, _ onFrame: (UnsafeRawBufferPointer) throws -> Flow
    ) throws -> Int {
        guard let base = bytes.baseAddress else { return 0 }
        var position = 0
        if !carry.isEmpty {
            position = try complete(bytes)
            guard wanted > 0, carry.count == wanted else { return position }
            wanted = 0
            let skipped = prefix.byteCount
            let flow = try carry.take {
                try onFrame(UnsafeRawBufferPointer(rebasing: $0[skipped...]))
            }
            if flow == .stop { return position }
        }
        let size = prefix.byteCount
        while bytes.count - position >= size {
            let length = try self.length(at: base + position)
            if length > bytes.count - position - size { break }
            let frame = UnsafeRawBufferPointer(start: base + position + size, count: length)
            position += size + length
            if try onFrame(frame) == .stop { return position }
        }
        carry.append(UnsafeRawBufferPointer(rebasing: bytes[position...]))
        return bytes.count
    }

    /// Moves bytes to the carried frame until it is complete; returns how many.
    @inlinable
    mutating func complete(_ bytes: UnsafeRawBufferPointer) throws -> Int {
        var position = 0
        let missing = prefix.byteCount - carry.count
        if missing > 0 {
            position = min(missing, bytes.count)
            carry.append(UnsafeRawBufferPointer(rebasing: bytes[..<position]))
            if carry.count < prefix.byteCount { return position }
        }
        if wanted == 0 {
            wanted = prefix.byteCount + (try carry.bytes.withUnsafeBytes(length(in:)))
        }
        let taken = min(wanted - carry.count, bytes.count - position)
        carry.append(UnsafeRawBufferPointer(rebasing: bytes[position..<(position + taken)]))
        return position + taken
    }

    @inlinable
    func length(in bytes: UnsafeRawBufferPointer) throws -> Int {
        guard let base = bytes.baseAddress else { return 0 }
        return try length(at: base)
    }

    @inlinable
    func length(at place: UnsafeRawPointer) throws -> Int {
        let length: UInt64
        switch prefix.byteCount {
        case 1: length = UInt64(place.load(as: UInt8.self))
        case 2:
            let raw = place.loadUnaligned(as: UInt16.self)
            length = UInt64(prefix.isLittleEndian ? raw.littleEndian : raw.bigEndian)
        case 4:
            let raw = place.loadUnaligned(as: UInt32.self)
            length = UInt64(prefix.isLittleEndian ? raw.littleEndian : raw.bigEndian)
        default:
            let raw = place.loadUnaligned(as: UInt64.self)
            length = prefix.isLittleEndian ? raw.littleEndian : raw.bigEndian
        }
        if length > UInt64(maximumLength) { throw FramingError.tooLong(limit: maximumLength) }
        return Int(length)
    }

    /// The stream ended; what is carried is a frame cut short.
    public mutating func finish(_ onFrame: (UnsafeRawBufferPointer) throws -> Flow) throws {
        if !carry.isEmpty { throw FramingError.truncated }
    }
}
