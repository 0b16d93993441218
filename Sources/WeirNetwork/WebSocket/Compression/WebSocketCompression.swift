/// How messages are compressed: permessage-deflate (RFC 7692), for connections whose peer agrees.
///
/// With both windows kept, a connection that has sent and received compressed messages holds up to
/// 300 KiB: `1 << (windowBits + 2)` and `1 << (memoryLevel + 9)` bytes to compress, about
/// `1 << peerWindowBits` and 10 KiB to expand. Each half is made when it is first needed, so a
/// connection without compressed messages holds nothing.
///
/// Compression costs processor time per message, and where secrets and a peer's own text share a
/// message, its length tells about the secret (CRIME): it is off unless asked for.
public struct WebSocketCompression: Sendable, Hashable {
    /// Effort from 1, fast, to 9, small; 6 by default.
    public var level = 6
    /// Messages shorter than this many bytes are sent as they are; 128 by default.
    public var minimumLength = 128
    /// Whether a message may refer to earlier ones of this side; on by default.
    ///
    /// Off, each message stands alone: it compresses less, and connections of a loop share what
    /// they compress with.
    public var keepsWindow = true
    /// Whether the peer's messages may refer to its earlier ones; on by default.
    public var peerKeepsWindow = true
    /// The size of this side's window as a power of two, 9 to 15; 15 by default.
    public var windowBits = 15
    /// The size of the peer's window as a power of two, 8 to 15; 15 by default.
    ///
    /// A server cannot hold a client to it that does not offer to be held.
    public var peerWindowBits = 15
    /// Memory for compressing from 1, least, to 9; 8 by default.
    public var memoryLevel = 8

    /// Creates the default compression.
    public init() {}

    /// Whether connections of a loop may share one compressor for it.
    var isShareable: Bool { !keepsWindow }

    /// The same with every number brought into its range.
    var inRange: WebSocketCompression {
        var result = self
        result.level = min(max(level, 1), 9)
        result.minimumLength = max(minimumLength, 1)
        result.windowBits = min(max(windowBits, 9), 15)
        result.peerWindowBits = min(max(peerWindowBits, 8), 15)
        result.memoryLevel = min(max(memoryLevel, 1), 9)
        return result
    }
}

/// What the two sides of a connection have agreed on, seen from one of them.
struct DeflateAgreement: Sendable, Hashable {
    /// How this side sends.
    var sending: WebSocketCompression
    /// Whether this side compresses at all; it never has to.
    var sendsCompressed = true
    /// The window that the peer's messages need.
    var receiveWindowBits = 15
    /// Whether the peer's messages may refer to earlier ones.
    var peerKeepsWindow = true
}
