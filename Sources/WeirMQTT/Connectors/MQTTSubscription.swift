/// Which messages a source asks a broker for.
public struct MQTTSubscription: Sendable, Hashable, ExpressibleByStringLiteral {
    /// A topic, with `+` for any one level and `#` at the end for any levels.
    ///
    /// `$share/group/filter` shares the messages among the clients of a group (MQTT 5.0).
    public var filter: String
    /// How surely messages are to come, at most; at least once by default.
    public var qos: MQTTQoS

    /// Creates a subscription.
    public init(_ filter: String, qos: MQTTQoS = .atLeastOnce) {
        self.filter = filter
        self.qos = qos
    }

    /// Creates a subscription with QoS 1.
    public init(stringLiteral filter: String) { self.init(filter) }
}
