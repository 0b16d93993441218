#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Syslog messages in a TCP stream (RFC 6587): behind their length, or ended by a line feed.
///
/// Each frame tells by its first byte which it is: a digit begins a length, `<` a message that goes
/// on to the line feed. Over TLS only lengths are allowed (RFC 5425).
public struct SyslogFraming: Framing, Sendable {
    /// The longest message in bytes.
    public let maximumLength: Int
    /// Whether messages that end with a line feed are taken.
    public let allowsLines: Bool
    private var carry = CarryBuffer()
    /// Bytes of the frame in `carry`, once its length is known; 0 before.
    private var wanted = 0

    /// The default of ``maximumLength``: 64 KiB.
    public static let defaultMaximumLength = 64 * 1_024

    /// Creates a framing for messages of at most `maximumLength` bytes.
    public init(
        maximumLength: Int = SyslogFraming.defaultMaximumLength, allowsLines: Bool = true
    ) {
        // A length of more digits would not be read.
        self.maximumLength = min(max(1, maximumLength), 99_999_999)
        self.allowsLines = allowsLines
    }

    /// Bytes of an incomplete frame that are kept.
    public var carriedByteCount: Int { carry.count }

    private static let lengthDigitsMax = 8

    /// What the front of some bytes is.
    private enum Front {
        /// Not enough bytes to know.
        case incomplete
        /// A message of so many bytes behind a length of so many.
        case counted(head: Int, length: Int)
        case line
    }

    private func front(_ bytes: UnsafeRawBufferPointer) throws -> Front {
        guard let first = bytes.first else { return .incomplete }
        if first == UInt8(ascii: "<") {
            guard allowsLines else {
                throw FramingError("a message has no length before it, which RFC 5425 wants")
            }
            return .line
        }
        guard (UInt8(ascii: "1")...UInt8(ascii: "9")).contains(first) else {
            throw FramingError("a frame begins neither with a length nor with '<'")
        }
        var length = 0
        for (index, byte) in bytes.enumerated() {
            if byte == UInt8(ascii: " ") {
                if length > maximumLength { throw FramingError.tooLong(limit: maximumLength) }
                return .counted(head: index + 1, length: length)
            }
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte),
                index < Self.lengthDigitsMax
            else { throw FramingError("the length before a message is no number") }
            length = length * 10 + Int(byte - UInt8(ascii: "0"))
        }
        return .incomplete
    }

    /// Cuts messages; they are given without their length or end.
    public mutating func consume(
        _ bytes: UnsafeRawBufferPointer, _ onFrame: (UnsafeRawBufferPointer) throws -> Flow
    ) throws -> Int {
        var position = 0
        while position < bytes.count {
            if !carry.isEmpty {
                let (used, frame) = try complete(
                    UnsafeRawBufferPointer(rebasing: bytes[position...]))
                position += used
                guard let frame else { return position }
                let flow = try frame.withUnsafeBytes { frame in try onFrame(frame) }
                if flow == .stop { return position }
                continue
            }
            let rest = UnsafeRawBufferPointer(rebasing: bytes[position...])
            switch try front(rest) {
            case .counted(let head, let length) where rest.count >= head + length:
                position += head + length
                let frame = UnsafeRawBufferPointer(rebasing: rest[head..<(head + length)])
                if try onFrame(frame) == .stop { return position }
            case .line:
                guard let length = Self.lineLength(rest) else {
                    try keep(rest)
                    return bytes.count
                }
                position += length + 1
                let line = UnsafeRawBufferPointer(rebasing: rest[..<length])
                if try onFrame(try trimmed(line)) == .stop { return position }
            case .counted, .incomplete:
                carry.append(rest)
                return bytes.count
            }
        }
        return position
    }

    /// Adds to the carried frame; returns how many bytes were used, and the frame when it is whole.
    private mutating func complete(
        _ bytes: UnsafeRawBufferPointer
    ) throws -> (used: Int, frame: ArraySlice<UInt8>?) {
        var used = 0
        while wanted == 0 {
            switch try carry.bytes.withUnsafeBytes({ try front($0) }) {
            case .counted(let head, let length):
                wanted = head + length
            case .line:
                guard let length = Self.lineLength(bytes) else {
                    try keep(bytes)
                    return (bytes.count, nil)
                }
                try keep(UnsafeRawBufferPointer(rebasing: bytes[..<length]))
                let line = carry.take { Array($0) }
                let count = try line.withUnsafeBytes { try trimmed($0).count }
                return (length + 1, line[..<count])
            case .incomplete:
                guard used < bytes.count else { return (used, nil) }
                carry.append(UnsafeRawBufferPointer(rebasing: bytes[used..<(used + 1)]))
                used += 1
            }
        }
        let taken = min(wanted - carry.count, bytes.count - used)
        carry.append(UnsafeRawBufferPointer(rebasing: bytes[used..<(used + taken)]))
        used += taken
        guard carry.count == wanted else { return (used, nil) }
        wanted = 0
        let frame = carry.take { Array($0) }
        let head = (frame.firstIndex(of: UInt8(ascii: " ")) ?? 0) + 1
        return (used, frame[head...])
    }

    /// Ends the stream: what is left of a message without a length is the last one.
    public mutating func finish(_ onFrame: (UnsafeRawBufferPointer) throws -> Flow) throws {
        if carry.isEmpty { return }
        guard carry.bytes.first == UInt8(ascii: "<") else { throw FramingError.truncated }
        let line = carry.take { Array($0) }
        _ = try line.withUnsafeBytes { try onFrame(try trimmed($0)) }
    }

    private static func lineLength(_ bytes: UnsafeRawBufferPointer) -> Int? {
        guard let base = bytes.baseAddress, let end = memchr(base, 0x0A, bytes.count) else {
            return nil
        }
        return UnsafeRawPointer(end) - base
    }

    private mutating func keep(_ bytes: UnsafeRawBufferPointer) throws {
        // One more than a message may have: the carriage return that is taken off.
        if carry.count + bytes.count > maximumLength + 1 {
            throw FramingError.tooLong(limit: maximumLength)
        }
        carry.append(bytes)
    }

    private func trimmed(_ bytes: UnsafeRawBufferPointer) throws -> UnsafeRawBufferPointer {
        var line = bytes
        if line.last == 0x0D { line = UnsafeRawBufferPointer(rebasing: line.dropLast()) }
        if line.count > maximumLength { throw FramingError.tooLong(limit: maximumLength) }
        return line
    }
}
