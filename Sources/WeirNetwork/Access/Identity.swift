/// What somebody may do; a route names what it needs.
public struct AccessRoles: OptionSet, Sendable, Hashable, Codable {
    /// The roles as bits.
    public let rawValue: Int

    /// Creates roles from their bits.
    public init(rawValue: Int) { self.rawValue = rawValue }

    /// Sending events: POST, WebSocket and TCP sources.
    public static let ingest = AccessRoles(rawValue: 1)
    /// Reading: server-sent events, WebSocket sinks, pages, folders, metrics and the graph.
    public static let read = AccessRoles(rawValue: 2)
    /// Steering what runs: handlers of methods that change something.
    public static let operate = AccessRoles(rawValue: 4)
    /// All of them.
    public static let all: AccessRoles = [.ingest, .read, .operate]

    /// The roles as words.
    public var names: [String] { Self.words.filter { contains($0.role) }.map(\.name) }

    /// The role of a word, such as `ingest`; nil for another word.
    public init?(name: String) {
        guard let found = Self.words.first(where: { $0.name == name }) else { return nil }
        self = found.role
    }

    private static var words: [(name: String, role: AccessRoles)] {
        [("ingest", .ingest), ("read", .read), ("operate", .operate)]
    }
}

/// Who somebody is, as an ``Authenticator`` has found, and what they may do.
public struct Identity: Sendable, Hashable, Codable, CustomStringConvertible {
    /// The name, which logs carry; at most 128 bytes of visible characters are kept.
    public let name: String
    /// What they may do.
    public let roles: AccessRoles
    /// How they have shown it, such as `api-key`, `certificate` or `jwt`.
    public let method: String
    /// When it ends, in seconds since 1970; nil for never.
    ///
    /// A WebSocket, a stream of server-sent events or a TCP connection is closed then.
    public let expiresAt: Int?
    /// Further facts for a decoder, such as a tenant; at most 16, of 255 bytes each.
    public let attributes: [String: String]
    /// Whether what was shown may be taken away, and still counts; lasts as long as the process.
    var standing = CredentialStanding()

    private enum CodingKeys: String, CodingKey { case name, roles, method, expiresAt, attributes }

    /// Names of attributes that are kept, and the bytes of each and of its value.
    private static let attributesMax = 16
    private static let attributeBytesMax = 255

    /// Describes somebody.
    public init(
        _ name: String, roles: AccessRoles, method: String, expiresAt: Int? = nil,
        attributes: [String: String] = [:]
    ) {
        self.name = name.visible
        self.roles = roles
        self.method = method.visible
        self.expiresAt = expiresAt
        let fitting = attributes.filter {
            $0.key.utf8.count <= Self.attributeBytesMax
                && $0.value.utf8.count <= Self.attributeBytesMax
        }
        self.attributes = Dictionary(
            uniqueKeysWithValues: fitting.sorted { $0.key < $1.key }.prefix(Self.attributesMax)
                .map { ($0.key, $0.value) })
    }

    /// The name.
    public var description: String { name }
}
