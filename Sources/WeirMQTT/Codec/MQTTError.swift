import WeirNetwork

/// Why a broker could not be used, or refused something.
public struct MQTTError: Error, Sendable, Hashable, CustomStringConvertible {
    /// One sentence for people.
    public let message: String
    /// The reason code that the broker gave, as in MQTT 5.0; nil when it gave none.
    public let code: UInt8?
    /// Whether trying the same again is of no use.
    public let isPermanent: Bool
    /// Whether it is the broker's own word.
    let isRefusal: Bool

    init(
        _ message: String, code: UInt8? = nil, isPermanent: Bool = false, isRefusal: Bool = false
    ) {
        self.message = message
        self.code = code
        self.isPermanent = isPermanent
        self.isRefusal = isRefusal
    }

    /// The sentence.
    public var description: String { message }

    /// What a broker says about something that was tried.
    ///
    /// - Parameter text: Its own words, if any.
    static func refused(_ what: String, _ code: UInt8, text: String? = nil) -> MQTTError {
        let name = MQTTReason.names[code] ?? "reason \(code)"
        let words = text.map { ": \($0.visible)" } ?? ""
        return MQTTError(
            "the broker has refused \(what): \(name)\(words)", code: code,
            isPermanent: MQTTReason.permanent.contains(code), isRefusal: true)
    }

    /// The broker has broken the protocol.
    static func malformed(_ what: String) -> MQTTError {
        MQTTError("the broker breaks the protocol: \(what)", code: 0x81)
    }
}

/// The reason codes of MQTT 5.0 (section 2.4).
enum MQTTReason {
    static let names: [UInt8: String] = [
        0x80: "unspecified error", 0x81: "malformed packet", 0x82: "protocol error",
        0x83: "implementation specific error", 0x84: "unsupported protocol version",
        0x85: "client identifier not valid", 0x86: "bad user name or password",
        0x87: "not authorized", 0x88: "server unavailable", 0x89: "server busy", 0x8A: "banned",
        0x8B: "server shutting down", 0x8C: "bad authentication method",
        0x8D: "keep alive timeout", 0x8E: "session taken over by another client of this name",
        0x8F: "topic filter invalid", 0x90: "topic name invalid",
        0x91: "packet identifier in use", 0x92: "packet identifier not found",
        0x93: "receive maximum exceeded", 0x94: "topic alias invalid", 0x95: "packet too large",
        0x96: "message rate too high", 0x97: "quota exceeded", 0x98: "administrative action",
        0x99: "payload format invalid", 0x9A: "retain not supported", 0x9B: "QoS not supported",
        0x9C: "use another server", 0x9D: "server moved",
        0x9E: "shared subscriptions not supported", 0x9F: "connection rate exceeded",
        0xA0: "maximum connect time", 0xA1: "subscription identifiers not supported",
        0xA2: "wildcard subscriptions not supported",
    ]

    /// Reasons that the same attempt would get again.
    static let permanent: Set<UInt8> = [
        0x84, 0x85, 0x86, 0x87, 0x8A, 0x8C, 0x8F, 0x90, 0x95, 0x99, 0x9A, 0x9B, 0x9D, 0x9E, 0xA1,
        0xA2,
    ]

    /// What the return codes of 3.1.1's CONNACK are called in 5.0.
    static func modern(connectReturn code: UInt8) -> UInt8 {
        let codes: [UInt8] = [0x00, 0x84, 0x85, 0x88, 0x86, 0x87]
        return Int(code) < codes.count ? codes[Int(code)] : 0x80
    }
}
