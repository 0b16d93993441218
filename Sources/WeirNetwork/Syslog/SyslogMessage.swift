public import WeirCore

/// A message of the syslog protocol (RFC 5424).
public struct SyslogMessage: Sendable, Hashable, Codable {
    /// What kind of program it comes from, 0 to 23: 0 the kernel, 3 daemons, 16 to 23 local use.
    public var facility: Int
    /// How bad it is.
    public var severity: SyslogSeverity
    /// When it was made by the sender's clock; nil when it doesn't say.
    public var timestamp: EventTime?
    /// The machine that sent it, at most 255 bytes; nil when it doesn't say.
    public var hostName: String?
    /// The program, at most 48 bytes; nil when it doesn't say.
    public var appName: String?
    /// The process, at most 128 bytes; nil when it doesn't say.
    public var processID: String?
    /// The kind of message, at most 32 bytes; nil when it doesn't say.
    public var messageID: String?
    /// Named values, in order.
    public var structuredData: [SyslogElement]
    /// The text; nil when there is none.
    ///
    /// What is no UTF-8 in it is replaced by U+FFFD.
    public var text: String?

    /// Creates a message.
    public init(
        facility: Int = 1, severity: SyslogSeverity = .notice, timestamp: EventTime? = nil,
        hostName: String? = nil, appName: String? = nil, processID: String? = nil,
        messageID: String? = nil, structuredData: [SyslogElement] = [], text: String? = nil
    ) {
        self.facility = facility
        self.severity = severity
        self.timestamp = timestamp
        self.hostName = hostName
        self.appName = appName
        self.processID = processID
        self.messageID = messageID
        self.structuredData = structuredData
        self.text = text
    }

    /// The first value of a name in an element of the structured data; nil when there is none.
    public func value(_ name: String, in element: String) -> String? {
        structuredData.first { $0.id == element }?.values.first { $0.name == name }?.value
    }
}

/// How bad a syslog message is; the most severe comes first.
public enum SyslogSeverity: Int, Sendable, Hashable, Codable, CaseIterable, Comparable {
    /// The system is unusable.
    case emergency
    /// Somebody has to act at once.
    case alert
    /// A critical condition.
    case critical
    /// An error.
    case error
    /// A warning.
    case warning
    /// Normal but significant.
    case notice
    /// Informational.
    case informational
    /// For those who look for a mistake.
    case debug

    /// Whether the first is less severe.
    public static func < (one: SyslogSeverity, other: SyslogSeverity) -> Bool {
        one.rawValue > other.rawValue
    }
}

/// An element of structured data: named values under one name.
public struct SyslogElement: Sendable, Hashable, Codable {
    /// A name and its value.
    public struct Value: Sendable, Hashable, Codable {
        /// The name, at most 32 bytes.
        public var name: String
        /// The value, without escapes.
        public var value: String

        /// Creates a value.
        public init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }

    /// The element's name, such as `timeQuality` or `shop@32473`; at most 32 bytes.
    public var id: String
    /// Its values, in order; a name may come more than once.
    public var values: [Value]

    /// Creates an element.
    public init(id: String, values: [Value] = []) {
        self.id = id
        self.values = values
    }
}
