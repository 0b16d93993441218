/// Which side of a WebSocket connection this is; a client masks what it sends (RFC 6455, 5.3).
public enum WebSocketRole: Sendable, Hashable {
    /// The side that accepted the connection.
    case server
    /// The side that opened the connection.
    case client
}

/// A close code of RFC 6455, section 7.4.
public struct WebSocketCloseCode: RawRepresentable, Sendable, Hashable, CustomStringConvertible {
    /// The code as a number.
    public let rawValue: UInt16

    /// Creates a code from its number.
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// 1000: the purpose is fulfilled.
    public static let normal = Self(rawValue: 1_000)
    /// 1001: the server shuts down or the client leaves.
    public static let goingAway = Self(rawValue: 1_001)
    /// 1002: the peer broke the protocol.
    public static let protocolError = Self(rawValue: 1_002)
    /// 1003: the kind of data is not accepted.
    public static let unsupportedData = Self(rawValue: 1_003)
    /// 1005: no code was in the close frame; never sent.
    public static let noStatus = Self(rawValue: 1_005)
    /// 1006: the connection ended without a close frame; never sent.
    public static let abnormal = Self(rawValue: 1_006)
    /// 1007: the data does not fit its type, for instance invalid UTF-8 in a text.
    public static let invalidPayload = Self(rawValue: 1_007)
    /// 1008: a policy was violated.
    public static let policyViolation = Self(rawValue: 1_008)
    /// 1009: a frame or message is above the limit.
    public static let messageTooBig = Self(rawValue: 1_009)
    /// 1011: the server failed.
    public static let internalError = Self(rawValue: 1_011)
    /// 1013: the server is overloaded; try again later.
    public static let tryAgainLater = Self(rawValue: 1_013)

    /// The text form.
    public var description: String { "\(rawValue)" }

    /// Whether an endpoint may put this code into a close frame.
    var isAllowedOnWire: Bool {
        switch rawValue {
        case 1_000...1_003, 1_007...1_014, 3_000...4_999: true
        default: false
        }
    }
}

/// Bounds on what a WebSocket peer may send.
public struct WebSocketLimits: Sendable, Hashable {
    /// The longest frame in bytes; 1 MiB by default.
    public var maximumFrameLength = 1_024 * 1_024
    /// The longest message in bytes, over all its frames and expanded; 1 MiB by default.
    public var maximumMessageLength = 1_024 * 1_024

    /// Creates the default limits.
    public init() {}
}

/// The two types of message.
public enum WebSocketMessageKind: Sendable, Hashable {
    /// UTF-8 text, already checked.
    case text
    /// Any bytes.
    case binary
}

/// What a parser finds in the bytes of a WebSocket connection.
public enum WebSocketEvent {
    /// A whole message, unmasked; the bytes are valid during the call only.
    case message(WebSocketMessageKind, UnsafeRawBufferPointer)
    /// A ping, to be answered with the same bytes.
    case ping(UnsafeRawBufferPointer)
    /// A pong.
    case pong(UnsafeRawBufferPointer)
    /// The peer's close frame; nothing is read after it.
    case close(WebSocketCloseCode, reason: String)
}

/// A breach of the protocol by the peer, with the close code it gets for it.
public struct WebSocketProtocolError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The code to close with.
    public let code: WebSocketCloseCode
    /// What was wrong, short enough for a close frame.
    public let reason: String

    /// The text form.
    public var description: String { "\(reason) (\(code))" }
}

/// The opcodes of RFC 6455, section 5.2.
enum WebSocketOpcode {
    static let continuation: UInt8 = 0x0
    static let text: UInt8 = 0x1
    static let binary: UInt8 = 0x2
    static let close: UInt8 = 0x8
    static let ping: UInt8 = 0x9
    static let pong: UInt8 = 0xA
    /// The bit beside the opcode of a compressed message (RFC 7692, section 6).
    static let compressed: UInt8 = 0x40
}
