/// A message as it came from a broker.
public struct MQTTMessage: Sendable, Hashable, Codable {
    /// A name and a value that the sender has added (MQTT 5.0).
    public struct Property: Sendable, Hashable, Codable {
        /// The name; may come more than once.
        public var name: String
        /// The value.
        public var value: String

        /// Creates a property.
        public init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }

    /// The topic that it was published to.
    public var topic: String
    /// What it says.
    public var payload: [UInt8]
    /// How surely it came.
    public var qos: MQTTQoS
    /// Whether the broker had kept it from before the subscription.
    public var isRetained: Bool
    /// Where an answer is expected (MQTT 5.0).
    public var responseTopic: String?
    /// What tells the sender which message an answer is to (MQTT 5.0).
    public var correlation: [UInt8]?
    /// What the payload is, such as `application/json` (MQTT 5.0).
    public var contentType: String?
    /// What the sender has added (MQTT 5.0).
    public var properties: [Property]

    /// Creates a message.
    public init(
        topic: String, payload: [UInt8] = [], qos: MQTTQoS = .atLeastOnce,
        isRetained: Bool = false, responseTopic: String? = nil, correlation: [UInt8]? = nil,
        contentType: String? = nil, properties: [Property] = []
    ) {
        self.topic = topic
        self.payload = payload
        self.qos = qos
        self.isRetained = isRetained
        self.responseTopic = responseTopic
        self.correlation = correlation
        self.contentType = contentType
        self.properties = properties
    }
}
