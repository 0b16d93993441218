import WeirJSON

/// What a TLS handshake has agreed on.
public struct TLSInfo: Sendable, Hashable {
    /// The version spoken.
    public let version: TLSVersion
    /// The cipher suite, in OpenSSL's spelling.
    public let cipherSuite: String
    /// The application protocol agreed on (ALPN); nil without one.
    public let applicationProtocol: String?
    /// The name that the client asked for; nil when it named none.
    public let serverName: String?
    /// Whether an earlier session was resumed.
    public let isResumed: Bool
    /// Who the peer is by its certificate, which was verified; nil when it showed none.
    public let peer: PeerIdentity?
}

/// Who a peer is, by the certificate that it has shown.
///
/// With ``TLSClientConfiguration/Verification/insecurelyOff`` nobody vouches for it.
public struct PeerIdentity: Sendable, Hashable, Codable {
    /// The subject, such as `CN=till-7,O=Shop` (RFC 2253).
    public let subject: String
    /// The subject's last common name; nil without one.
    public let commonName: String?
    /// DNS names among the alternative names, at most 16.
    public let names: [String]
    /// Other alternative names, at most 16: e-mail addresses, URIs, IP addresses.
    public let otherNames: [String]
    /// The issuer's subject.
    public let issuer: String
    /// The serial number in hexadecimal.
    public let serialNumber: String
    /// SHA-256 of the certificate in hexadecimal: what tells two certificates apart.
    public let fingerprint: String
}

/// What is known about a connection that an event came by.
public struct ConnectionInfo: Sendable, Hashable {
    /// The peer's address as text; empty when it is not known.
    public let remoteAddress: String
    /// Who the peer is by its certificate; nil without TLS or without a certificate.
    public let peer: PeerIdentity?
    /// Who the peer is by access control; nil without it.
    public let identity: Identity?

    /// Describes a connection.
    public init(
        remoteAddress: String = "", peer: PeerIdentity? = nil, identity: Identity? = nil
    ) {
        self.remoteAddress = remoteAddress
        self.peer = peer
        self.identity = identity
    }
}

extension ConnectionInfo: CustomStringConvertible {
    /// The address, with the peer's subject, or the identity's name, when there is one.
    public var description: String {
        (peer?.subject ?? identity?.name).map { "\(remoteAddress) \($0)" } ?? remoteAddress
    }
}

extension ConnectionInfo {
    /// The text form in an ingest journal: the address, then behind tabs the peer and the identity
    /// as JSON.
    var recorded: String {
        guard peer != nil || identity != nil else { return remoteAddress }
        var text = "\(remoteAddress)\t\(Self.json(peer))"
        if identity != nil { text += "\t\(Self.json(identity))" }
        return text
    }

    private static func json(_ value: (some Encodable)?) -> String {
        guard let value, let json = try? JSONEventEncoder().encode(value) else { return "" }
        return String(decoding: json, as: UTF8.self)
    }

    /// Reads the text form.
    init(recorded text: String) {
        let parts = text.utf8.split(
            separator: 0x09, maxSplits: 2, omittingEmptySubsequences: false)
        func read<Value: Decodable>(_ index: Int) -> Value? {
            guard index < parts.count, !parts[index].isEmpty else { return nil }
            return Array(parts[index]).withUnsafeBytes {
                try? JSONEventDecoder().decode(Value.self, from: $0)
            }
        }
        self.init(
            remoteAddress: parts.first.map { String($0) } ?? "", peer: read(1), identity: read(2))
    }
}

extension TCPConnection {
    /// What sources are told about the connection, while it is open.
    public var connectionInfo: ConnectionInfo {
        ConnectionInfo(
            remoteAddress: remoteAddress?.description ?? "unknown", peer: tlsInfo?.peer,
            identity: access?.identity)
    }
}
