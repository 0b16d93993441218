/// Knows peers by the certificate that they have shown in the TLS handshake.
///
/// The server has to ask for one: ``TLSServerConfiguration/clients``. Whether the certificate is
/// to be trusted the handshake has found out; this says what its owner may do.
public struct CertificateIdentities: Authenticator {
    private let identify: @Sendable (PeerIdentity) -> Identity?

    /// Gives all owners of a trusted certificate the same roles.
    ///
    /// They are called by their common name, else by their subject.
    public init(roles: AccessRoles) {
        identify = { peer in
            Identity(peer.commonName ?? peer.subject, roles: roles, method: "certificate")
        }
    }

    /// Decides by a closure, which runs on the server's loop; nil refuses.
    public init(_ identify: @escaping @Sendable (PeerIdentity) -> Identity?) {
        self.identify = identify
    }

    /// None: a certificate is asked for in the handshake.
    public var challenge: String? { nil }

    /// Knows the peer by its certificate; one without is left to the next authenticator.
    public func authenticate(_ credentials: Credentials) -> AuthenticationVerdict {
        guard let peer = credentials.peer else { return .notMine }
        return identify(peer).map { .accepted($0) } ?? .refused(.forbidden)
    }
}
