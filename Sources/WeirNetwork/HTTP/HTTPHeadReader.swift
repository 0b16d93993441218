/// Bounds on the head of an HTTP message.
public struct HTTPLimits: Sendable, Hashable {
    /// Bytes of the first line and all headers together; 16 KiB by default.
    public var maximumHeadLength = 16 * 1_024
    /// Number of header lines; 100 by default.
    public var maximumHeaderCount = 100

    /// Creates the default limits.
    public init() {}
}

/// Why a request is refused, with the status it gets.
public struct HTTPError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The status of the response, for instance 400.
    public let status: Int
    /// What was wrong, in a few words.
    public let reason: String

    /// Creates an error.
    public init(_ status: Int, _ reason: String) {
        self.status = status
        self.reason = reason
    }

    /// The text form.
    public var description: String { "\(status) \(reason)" }
}

/// Finds the end of a message's head in bytes that come in any pieces (RFC 9112).
///
/// Strict: lines end with CR LF and nothing else, and no other control character may appear.
public struct HTTPHeadReader: Sendable {
    /// The bounds.
    public let limits: HTTPLimits
    private var carry: [UInt8] = []
    private var lineLength = 0
    private var lineCount = 0
    private var endsWithCarriageReturn = false
    private var hasSkippedEmptyLine = false
    private var length = 0
    /// Whether lines without a first one are looked for, which may be none at all.
    private let isTrailer: Bool

    /// Creates a reader.
    public init(limits: HTTPLimits = HTTPLimits()) {
        self.limits = limits
        isTrailer = false
    }

    /// Creates a reader of the lines behind a body in chunks.
    init(limits: HTTPLimits, isTrailer: Bool) {
        self.limits = limits
        self.isTrailer = isTrailer
    }

    /// Bytes of an incomplete head that are kept.
    public var carriedByteCount: Int { carry.count }

    /// Whether nothing of a head has come yet.
    public var isEmpty: Bool { length == 0 }

    /// Takes bytes up to the end of one head, which `onHead` gets; returns how many it took.
    ///
    /// - Throws: ``HTTPError`` as soon as the bytes cannot be a head within the limits.
    public mutating func consume(
        _ bytes: UnsafeRawBufferPointer,
        _ onHead: (UnsafeRawBufferPointer) throws(HTTPError) -> Void
    ) throws(HTTPError) -> Int {
        var start = 0
        var position = 0
        while position < bytes.count {
            let plain = plainCount(bytes, from: position)
            position += plain
            length += plain
            lineLength += plain
            guard position < bytes.count else { break }
            if !endsLine(bytes, at: position) {
                let byte = bytes[position]
                position += 1
                length += 1
                if length > limits.maximumHeadLength { throw tooLong }
                guard try endsHead(byte) else { continue }
            } else {
                position += 2
                length += 2
                guard try endsHead() else { continue }
            }
            if lineCount == 0, !isTrailer {
                // RFC 9112, 2.2: an empty line before the request line is skipped, once.
                if hasSkippedEmptyLine { throw HTTPError(400, "empty request line") }
                hasSkippedEmptyLine = true
                carry = []
                start = position
                length = 0
                continue
            }
            let part = UnsafeRawBufferPointer(rebasing: bytes[start..<position])
            try finish(part, onHead)
            return position
        }
        carry.append(contentsOf: bytes[start...])
        return bytes.count
    }

    private var tooLong: HTTPError {
        let isTarget = lineCount == 0 && !isTrailer
        return HTTPError(
            isTarget ? 414 : 431, "the head is above \(limits.maximumHeadLength) bytes")
    }

    /// Whether both bytes of a line's end are there, within the limit: the usual case.
    private func endsLine(_ bytes: UnsafeRawBufferPointer, at position: Int) -> Bool {
        position + 2 <= bytes.count && !endsWithCarriageReturn
            && length + 2 <= limits.maximumHeadLength
            && bytes[position] == 0x0D && bytes[position + 1] == 0x0A
    }

    /// How many of the bytes need no closer look: up to the first control character, eight at a
    /// time, and within the limit.
    private func plainCount(_ bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
        if endsWithCarriageReturn { return 0 }
        let room = min(bytes.count - start, limits.maximumHeadLength - length)
        let ones: UInt64 = 0x0101_0101_0101_0101
        let highBits = ones &* 0x80
        var count = 0
        while count + 8 <= room {
            let word = UInt64(
                littleEndian: bytes.loadUnaligned(fromByteOffset: start + count, as: UInt64.self))
            // A byte's high bit is set when the byte is below 0x20 or is 0x7F; what a borrow sets
            // wrongly lies above the first that is right.
            let low = (word &- ones &* 0x20) & ~word
            let delete = word ^ (ones &* 0x7F)
            let special = (low | ((delete &- ones) & ~delete)) & highBits
            if special != 0 { return count + special.trailingZeroBitCount / 8 }
            count += 8
        }
        return count
    }

    private mutating func finish(
        _ part: UnsafeRawBufferPointer,
        _ onHead: (UnsafeRawBufferPointer) throws(HTTPError) -> Void
    ) throws(HTTPError) {
        (lineLength, lineCount, length, hasSkippedEmptyLine) = (0, 0, 0, false)
        if carry.isEmpty {
            try onHead(part)
            return
        }
        var whole = carry
        carry = []
        whole.append(contentsOf: part)
        var result = Result<Void, HTTPError>.success(())
        whole.withUnsafeBytes { bytes in
            result = Result { () throws(HTTPError) in try onHead(bytes) }
        }
        try result.get()
    }

    /// Ends a line; true when it is empty.
    private mutating func endsHead() throws(HTTPError) -> Bool {
        if lineLength == 0 { return true }
        lineLength = 0
        lineCount += 1
        if lineCount > limits.maximumHeaderCount + 1 {
            throw HTTPError(431, "more than \(limits.maximumHeaderCount) headers")
        }
        return false
    }

    /// Looks at the next byte; true when it ends an empty line.
    private mutating func endsHead(_ byte: UInt8) throws(HTTPError) -> Bool {
        if endsWithCarriageReturn {
            guard byte == 0x0A else { throw HTTPError(400, "carriage return without line feed") }
            endsWithCarriageReturn = false
            return try endsHead()
        }
        switch byte {
        case 0x0D: endsWithCarriageReturn = true
        case 0x0A: throw HTTPError(400, "line feed without carriage return")
        case 0x00...0x08, 0x0B, 0x0C, 0x0E...0x1F, 0x7F:
            throw HTTPError(400, "control character in the head")
        default: lineLength += 1
        }
        return false
    }
}
