/// A measurement of the StatsD protocol.
public struct StatsDMetric: Sendable, Hashable, Codable {
    /// What is measured, such as `checkout.duration`.
    public var name: String
    /// What kind of measurement it is.
    public var kind: Kind
    /// The number; 0 for a set.
    public var value: Double
    /// Whether a gauge is changed by the value (`+4`, `-4`) instead of set to it.
    public var isChange: Bool
    /// What a set has seen; nil for other kinds.
    public var member: String?
    /// The part of all measurements that is sent, above 0 to 1; a counter of 3 at 0.1 stands for 30.
    public var sampleRate: Double
    /// Tags, in order; a tag without a value has an empty one.
    public var tags: [Tag]

    /// The kinds of measurement.
    public enum Kind: String, Sendable, Hashable, Codable, CaseIterable {
        /// How often something happened since the last one (`c`).
        case counter
        /// How much there is of something (`g`).
        case gauge
        /// How long something took, in milliseconds (`ms`).
        case timer
        /// One of many values, whose distribution in one sender matters (`h`).
        case histogram
        /// One of many values, whose distribution over all senders matters (`d`).
        case distribution
        /// One of many things, of which the different ones are counted (`s`).
        case set
    }

    /// A tag and its value.
    public struct Tag: Sendable, Hashable, Codable {
        /// The name.
        public var name: String
        /// The value; empty for a tag without one.
        public var value: String

        /// Creates a tag.
        public init(name: String, value: String = "") {
            self.name = name
            self.value = value
        }
    }

    /// Creates a measurement.
    public init(
        name: String, kind: Kind, value: Double = 0, isChange: Bool = false,
        member: String? = nil, sampleRate: Double = 1, tags: [Tag] = []
    ) {
        self.name = name
        self.kind = kind
        self.value = value
        self.isChange = isChange
        self.member = member
        self.sampleRate = sampleRate
        self.tags = tags
    }

    /// The value of the first tag of a name; nil when there is none.
    public func tag(_ name: String) -> String? { tags.first { $0.name == name }?.value }
}
