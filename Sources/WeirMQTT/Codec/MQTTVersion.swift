/// The versions of MQTT that are spoken.
public enum MQTTVersion: UInt8, Sendable, Hashable {
    /// 3.1.1 (ISO/IEC 20922): no reasons, no session expiry, no limits told to the broker.
    case v3_1_1 = 4
    /// 5.0.
    case v5 = 5
}

/// How surely a message is to come (quality of service).
public enum MQTTQoS: UInt8, Sendable, Hashable, Codable, Comparable {
    /// At most once (0): sent and forgotten.
    case atMostOnce = 0
    /// At least once (1): sent again until it is acknowledged.
    case atLeastOnce = 1
    /// Exactly once (2), as far as both sides remember the session.
    case exactlyOnce = 2

    /// Whether the first promises less.
    public static func < (one: MQTTQoS, other: MQTTQoS) -> Bool { one.rawValue < other.rawValue }
}
