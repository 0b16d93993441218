/// How messages are told apart in a stream of bytes, and written into one.
public struct StreamFraming: Sendable {
    let makeReader:
        @Sendable (
            TCPConnection, FrameConsumer,
            @escaping () -> Void, @escaping ((any Error)?) -> Void
        ) -> any FrameReading
    /// Appends a message with its framing.
    let wrap: @Sendable (UnsafeRawBufferPointer, inout [UInt8]) throws -> Void

    /// A framing of your own.
    ///
    /// - Parameters:
    ///   - reader: Cuts frames out of a stream; a fresh copy is used for each connection.
    ///   - wrap: Appends a message with whatever tells it apart.
    public init(
        reader: some Framing & Sendable,
        wrap: @escaping @Sendable (UnsafeRawBufferPointer, inout [UInt8]) throws -> Void
    ) {
        makeReader = { connection, consumer, onBatchEnd, onClosed in
            FramedReader(
                connection, framing: reader, cut: { try $0.list($1, in: &$2, $3) },
                consumer: consumer, onBatchEnd: onBatchEnd, onClosed: onClosed)
        }
        self.wrap = wrap
    }

    /// One message a line, ended by LF or CR LF.
    ///
    /// Empty lines are messages of no bytes.
    ///
    /// - Parameter maximumLength: Longer lines close the connection. Default 64 KiB.
    public static func lines(
        maximumLength: Int = LineFraming.defaultMaximumLength
    ) -> StreamFraming {
        StreamFraming(reader: LineFraming(maximumLength: maximumLength)) { message, bytes in
            guard !message.containsLineFeed else {
                throw FramingError("the message contains a line break")
            }
            bytes.append(contentsOf: message)
            bytes.append(UInt8(ascii: "\n"))
        }
    }

    /// Each message after its length.
    ///
    /// - Parameters:
    ///   - prefix: How the length is written. Default: four bytes, big endian.
    ///   - maximumLength: Longer messages close the connection. Default 1 MiB.
    public static func lengthPrefixed(
        _ prefix: LengthFraming.Prefix = .fourBytes,
        maximumLength: Int = LengthFraming.defaultMaximumLength
    ) -> StreamFraming {
        StreamFraming(reader: LengthFraming(prefix, maximumLength: maximumLength)) {
            message, bytes in
            guard message.count <= maximumLength else {
                throw FramingError.tooLong(limit: maximumLength)
            }
            try prefix.append(message.count, to: &bytes)
            bytes.append(contentsOf: message)
        }
    }
}

/// A reader of frames, whatever its framing.
protocol FrameReading: AnyObject {
    func resume()
    var connection: TCPConnection { get }
    /// Bytes of a frame that is not complete.
    var carriedByteCount: Int { get }
    /// Who gets the frames from the next one on.
    var consumer: FrameConsumer { get set }
}

extension FramedReader: FrameReading {}

extension LengthFraming.Prefix {
    /// Appends a length in this form; throws when it doesn't fit.
    func append(_ length: Int, to bytes: inout [UInt8]) throws {
        if byteCount < 8, length >> (8 * byteCount) != 0 {
            throw FramingError("\(length) doesn't fit a length of \(byteCount) bytes")
        }
        for index in 0..<byteCount {
            let shift = 8 * (isLittleEndian ? index : byteCount - 1 - index)
            bytes.append(UInt8(truncatingIfNeeded: length >> shift))
        }
    }
}
