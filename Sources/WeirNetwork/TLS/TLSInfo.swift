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

    /// Describes a connection.
    public init(remoteAddress: String = "", peer: PeerIdentity? = nil) {
        self.remoteAddress = remoteAddress
        self.peer = peer
    }
}

extension ConnectionInfo: CustomStringConvertible {
    /// The address, with the peer's subject when there is one.
    public var description: String {
        peer.map { "\(remoteAddress) \($0.subject)" } ?? remoteAddress
    }
}

extension ConnectionInfo {
    /// The text form in an ingest journal: the address, and the peer as JSON behind a tab.
    var recorded: String {
        guard let peer, let json = try? JSONEventEncoder().encode(peer) else {
            return remoteAddress
        }
        return "\(remoteAddress)\t\(String(decoding: json, as: UTF8.self))"
    }

    /// Reads the text form.
    init(recorded text: String) {
        guard let tab = text.utf8.firstIndex(of: 0x09) else {
            self.init(remoteAddress: text)
            return
        }
        var json = String(text[text.index(after: tab)...])
        let peer = json.withUTF8 {
            try? JSONEventDecoder().decode(PeerIdentity.self, from: UnsafeRawBufferPointer($0))
        }
        self.init(remoteAddress: String(text[..<tab]), peer: peer)
    }
}

extension TCPConnection {
    /// What sources are told about the connection, while it is open.
    public var connectionInfo: ConnectionInfo {
        ConnectionInfo(
            remoteAddress: remoteAddress?.description ?? "unknown", peer: tlsInfo?.peer)
    }
}
