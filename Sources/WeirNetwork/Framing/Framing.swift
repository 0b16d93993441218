/// What a consumer says after it has taken a frame or a message.
public enum Flow: Sendable, Hashable {
    /// Go on with the next one.
    case proceed
    /// It was taken, but there is no room for more: stop until told to resume.
    case stop
}

/// A way to cut a stream of bytes into frames, in place and incrementally.
///
/// An implementation keeps the bytes of a frame that is not complete yet (and nothing else), and
/// bounds them. It is a value without I/O: the caller feeds it what the socket brings.
public protocol Framing {
    /// Cuts frames out of `bytes` and gives each to `onFrame`; returns how many bytes are used up.
    ///
    /// That is all of them unless `onFrame` answers ``Flow/stop``: then the call returns after that
    /// frame, and the caller passes the rest, and only the rest, to the next call. A frame's bytes
    /// are valid during the call of `onFrame` only.
    ///
    /// - Throws: ``FramingError`` when the bytes break the format or exceed a limit (the framing is
    ///   then not usable any more), or what `onFrame` throws.
    mutating func consume(
        _ bytes: UnsafeRawBufferPointer, _ onFrame: (UnsafeRawBufferPointer) throws -> Flow
    ) throws -> Int

    /// Ends the stream: gives what is left as a last frame where the format allows that.
    ///
    /// - Throws: ``FramingError/truncated`` when a frame is incomplete.
    mutating func finish(_ onFrame: (UnsafeRawBufferPointer) throws -> Flow) throws

    /// Bytes of an incomplete frame that are kept.
    var carriedByteCount: Int { get }
}

/// Why a stream of bytes could not be cut into frames.
public struct FramingError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What is wrong.
    public let description: String

    /// Creates an error; custom framings use it too.
    public init(_ description: String) { self.description = description }

    /// A frame is longer than the limit.
    public static func tooLong(limit: Int) -> FramingError {
        FramingError("a frame is longer than the limit of \(limit) bytes")
    }

    /// The stream ended within a frame.
    public static let truncated = FramingError("the stream ended within a frame")
}
