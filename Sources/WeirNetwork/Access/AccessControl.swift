/// Who may do what on a server: how peers show who they are, and which roles a route needs.
///
/// ```swift
/// let access = AccessControl(try APIKeys(file: "keys"), CertificateIdentities(roles: .ingest))
/// Topology("readings") {
///     ServerSettings(host: "0.0.0.0", port: 8_443, access: access)
///     …
/// }
/// ```
///
/// Sources need ``AccessRoles/ingest``; sinks, pages, folders, metrics and the graph
/// ``AccessRoles/read``; handlers of your own ``AccessRoles/read`` for GET and
/// ``AccessRoles/operate`` for the rest. `/healthz` and `/readyz` of ``Operations`` are for all.
public struct AccessControl: Sendable {
    /// Who finds out who a peer is, in this order; empty for a server that asks nobody.
    public var authenticators: [any Authenticator]
    /// What paths need in place of what they would; a path that ends with `/` is for all below it.
    ///
    /// No role at all, `[]`, lets everybody in. The longest that fits counts.
    public var routes: [String: AccessRoles] = [:]
    /// The parameter of the query that may carry a token; nil, the default, is none.
    ///
    /// For clients that can set no header. Proxies and browsers keep addresses, with their query:
    /// prefer the subprotocol `weir.bearer.TOKEN`.
    public var queryParameter: String?
    /// Whether a TCP client may name a token in its first frame, `WEIR-AUTH/1 TOKEN`; so by default.
    ///
    /// Without it TCP clients need a certificate.
    public var takesFirstFrame = true
    /// What one identity may bring over all its connections to one port; nil, the default, is no
    /// limit.
    public var identityRate: RateLimit?
    /// Identities whose rate is kept in mind; 10,000 by default.
    public var identitiesMax = 10_000
    /// Verifications under way, beyond which requests get 503; 1,000 by default.
    public var pendingMax = 1_000
    /// The realm of the header `WWW-Authenticate`; `weir` by default.
    public var realm = "weir"

    let isOpen: Bool

    /// Lets in whom one of these knows.
    public init(_ authenticators: any Authenticator...) {
        self.authenticators = authenticators
        isOpen = false
    }

    private init(isOpen: Bool) {
        authenticators = []
        self.isOpen = isOpen
    }

    /// Lets everybody do everything: what a server on loopback does by default.
    ///
    /// A server on another address has to be told so.
    public static let open = AccessControl(isOpen: true)

    /// What a path needs.
    func requirement(_ path: String, _ own: AccessRoles) -> AccessRoles {
        if routes.isEmpty { return own }
        if let exact = routes[path] { return exact }
        let fitting = routes.filter { $0.key.hasSuffix("/") && path.hasPrefix($0.key) }
        return fitting.max { $0.key.utf8.count < $1.key.utf8.count }?.value ?? own
    }

    /// The value of `WWW-Authenticate`.
    func challenge(_ reason: AccessRefusal?) -> String {
        let scheme = authenticators.lazy.compactMap(\.challenge).first ?? "Bearer"
        let name = realm.unicodeScalars.filter {
            (0x20...0x7E).contains($0.value) && $0 != "\"" && $0 != "\\"
        }
        var text = "\(scheme) realm=\"\(String(String.UnicodeScalarView(name)))\""
        switch reason {
        case nil, AccessRefusal.missing: break
        case AccessRefusal.forbidden: text += #", error="insufficient_scope""#
        default: text += #", error="invalid_token""#
        }
        return text
    }
}

extension NetworkError {
    /// A server would listen where others reach it, and let everybody in.
    static func openToAll(_ host: String, _ port: Int) -> NetworkError {
        NetworkError(
            .invalidArgument,
            "nobody is asked who they are on \(host):\(port), which is not loopback; give it an"
                + " AccessControl (in a topology by ServerSettings(host:port:access:)), ask for"
                + " client certificates (tls.clients = .required), listen on 127.0.0.1, or say"
                + " AccessControl.open")
    }
}

/// Whether a host is this machine's own loopback, as written: other names are not looked up.
func isLoopback(_ host: String) -> Bool {
    if host.lowercased() == "localhost" { return true }
    guard let address = SocketAddress(ip: host, port: 0) else { return false }
    return AddressBlock(address).isLoopback
}

/// Addresses that count as one: an IPv4 address, or the /64 that an IPv6 address is in.
struct AddressBlock: Hashable {
    private let high: UInt64
    private let low: UInt64

    init(_ address: SocketAddress) {
        let bytes = address.bytes
        if bytes.count == 16, !bytes.prefix(10).contains(where: { $0 != 0 }), bytes[10] == 0xFF,
            bytes[11] == 0xFF
        {
            // IPv4 by way of an IPv6 socket.
            (high, low) = (0, Self.number(bytes[12...]))
        } else if bytes.count == 16 {
            let whole = (Self.number(bytes[..<8]), Self.number(bytes[8...]))
            // ::1 is told apart from what else begins with zeros.
            (high, low) = whole == (0, 1) ? (0, 0x7F00_0001) : (whole.0, .max)
        } else {
            (high, low) = (0, Self.number(bytes[...]))
        }
    }

    private static func number(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        bytes.reduce(0) { $0 << 8 | UInt64($1) }
    }

    var isLoopback: Bool { high == 0 && low != .max && low >> 24 == 0x7F }
}
