/// Bounds on the body of an HTTP message.
public struct HTTPBodyLimits: Sendable, Hashable {
    /// Bytes of the body without its framing; 1 MiB by default.
    public var maximumLength = 1_024 * 1_024
    /// Bytes of all chunk extensions of one body together; 4 KiB by default.
    public var maximumExtensionLength = 4 * 1_024
    /// Bytes of the trailer; 4 KiB by default.
    public var maximumTrailerLength = 4 * 1_024

    /// Creates the default limits.
    public init() {}
}

/// Takes the body of an HTTP/1.1 message out of bytes that come in any pieces (RFC 9112, 6 and 7).
///
/// Strict: a chunk's size is hexadecimal digits and nothing else, lines end with CR LF, and what
/// frames a message may not come in its trailer.
public struct HTTPBodyReader: Sendable {
    private enum State: Sendable {
        case counted, untilClose
        case size, extended, sizeEnd, data, dataEnd, dataLineEnd, trailer, complete
    }

    private let limits: HTTPBodyLimits
    private var state: State
    /// Bytes of the body or chunk that are to come.
    private var rest: Int
    private var digits = 0
    private var extensionLength = 0
    private var trailerReader: HTTPHeadReader
    /// Bytes of body seen so far.
    public private(set) var receivedLength = 0
    /// The trailer's fields, once the body is complete.
    public private(set) var trailer = HTTPHeaders()

    /// Begins a body of `length` bytes; `nil` is a body in chunks.
    ///
    /// - Throws: ``HTTPError`` 413 for a length above the limit.
    public init(
        length: Int?, limits: HTTPBodyLimits = HTTPBodyLimits()
    ) throws(HTTPError) {
        if let length { try Self.check(length, limits) }
        self.limits = limits
        rest = length ?? 0
        state = length == nil ? .size : length == 0 ? .complete : .counted
        trailerReader = Self.trailerReader(limits)
    }

    private init(untilClose limits: HTTPBodyLimits) {
        self.limits = limits
        rest = 0
        state = .untilClose
        trailerReader = Self.trailerReader(limits)
    }

    /// A response's body that ends with the connection.
    static func untilClose(_ limits: HTTPBodyLimits) -> HTTPBodyReader {
        HTTPBodyReader(untilClose: limits)
    }

    /// - Throws: ``HTTPError`` 413 for a length above the limit.
    static func check(_ length: Int, _ limits: HTTPBodyLimits) throws(HTTPError) {
        if length > limits.maximumLength { throw tooLarge(limits) }
    }

    private static func trailerReader(_ limits: HTTPBodyLimits) -> HTTPHeadReader {
        var bounds = HTTPLimits()
        bounds.maximumHeadLength = limits.maximumTrailerLength
        return HTTPHeadReader(limits: bounds, isTrailer: true)
    }

    private static func tooLarge(_ limits: HTTPBodyLimits) -> HTTPError {
        HTTPError(413, "the body is above \(limits.maximumLength) bytes")
    }

    /// Whether all of the body has come.
    public var isComplete: Bool { state == .complete }

    /// Whether the body ends with the connection.
    var endsWithConnection: Bool { state == .untilClose }

    /// Takes bytes up to the end of the body; returns how many.
    ///
    /// `onPart` gets the body's own bytes and says how many of them it has used: with fewer than
    /// all the call returns, to be repeated with what is left.
    ///
    /// - Throws: ``HTTPError`` as soon as the bytes cannot be a body within the limits.
    public mutating func consume(
        _ bytes: UnsafeRawBufferPointer, _ onPart: (UnsafeRawBufferPointer) -> Int
    ) throws(HTTPError) -> Int {
        var position = 0
        while position < bytes.count {
            switch state {
            case .complete: return position
            case .counted, .untilClose, .data:
                let wanted = state == .untilClose ? bytes.count : rest
                let count = min(wanted, bytes.count - position)
                let part = UnsafeRawBufferPointer(rebasing: bytes[position..<(position + count)])
                if state == .untilClose, receivedLength + count > limits.maximumLength {
                    throw Self.tooLarge(limits)
                }
                let used = onPart(part)
                position += used
                receivedLength += used
                if state != .untilClose { rest -= used }
                if used < count { return position }
                if rest == 0 {
                    if state == .counted { state = .complete }
                    if state == .data { state = .dataEnd }
                }
            case .trailer: position += try takeTrailer(bytes, position)
            default:
                try takeFraming(bytes[position])
                position += 1
            }
        }
        return position
    }

    private mutating func takeFraming(_ byte: UInt8) throws(HTTPError) {
        switch state {
        case .size: try takeSize(byte)
        case .extended:
            if byte == 0x0D {
                state = .sizeEnd
            } else {
                guard byte == 0x09 || (0x20...0x7E).contains(byte) else {
                    throw HTTPError(400, "a chunk extension has a character that is not allowed")
                }
                extensionLength += 1
                if extensionLength > limits.maximumExtensionLength {
                    throw HTTPError(400, "the chunk extensions are too long")
                }
            }
        case .sizeEnd:
            try expect(byte, 0x0A)
            digits = 0
            state = rest == 0 ? .trailer : .data
        case .dataEnd:
            try expect(byte, 0x0D)
            state = .dataLineEnd
        default:
            try expect(byte, 0x0A)
            state = .size
        }
    }

    private mutating func takeSize(_ byte: UInt8) throws(HTTPError) {
        if let digit = HTTPSyntax.hexadecimal(byte) {
            digits += 1
            guard digits <= 15 else { throw HTTPError(400, "a chunk size has too many digits") }
            rest = rest << 4 | digit
            if rest > limits.maximumLength - receivedLength { throw Self.tooLarge(limits) }
            return
        }
        guard digits > 0 else { throw HTTPError(400, "a chunk size is not a number") }
        switch byte {
        case 0x0D: state = .sizeEnd
        case UInt8(ascii: ";"): state = .extended
        default: throw HTTPError(400, "a chunk size is not a number")
        }
    }

    private func expect(_ byte: UInt8, _ wanted: UInt8) throws(HTTPError) {
        if byte != wanted { throw HTTPError(400, "a chunk does not end with CR LF") }
    }

    private mutating func takeTrailer(
        _ bytes: UnsafeRawBufferPointer, _ position: Int
    ) throws(HTTPError) -> Int {
        var fields: HTTPHeaders?
        let part = UnsafeRawBufferPointer(rebasing: bytes[position...])
        let used = try trailerReader.consume(part) { lines throws(HTTPError) in
            fields = try HTTPHeaders(parsing: lines)
        }
        if let fields {
            for name in ["Content-Length", "Transfer-Encoding", "Host", "Content-Encoding"]
            where fields[name] != nil {
                throw HTTPError(400, "\(name) is not allowed in a trailer")
            }
            trailer = fields
            state = .complete
        }
        return used
    }
}
