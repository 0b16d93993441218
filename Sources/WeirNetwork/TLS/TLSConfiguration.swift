/// A certificate with its chain and its private key.
///
/// Nothing is read before it is used; what cannot be used is told then.
public struct TLSCertificate: Sendable, Hashable {
    let chain: TLSMaterial
    let key: TLSMaterial
    let password: String?

    /// PEM files: the certificate first, then the intermediate ones, and the private key.
    ///
    /// - Parameters:
    ///   - chain: The path of the certificates.
    ///   - key: The path of the key; it should be readable by this user only.
    ///   - password: What the key is encrypted with; nil for one that is not.
    public static func files(
        chain: String, key: String, password: String? = nil
    ) -> TLSCertificate {
        TLSCertificate(chain: .file(chain), key: .file(key), password: password)
    }

    /// PEM texts of the same parts.
    public static func pem(
        chain: [UInt8], key: [UInt8], password: String? = nil
    ) -> TLSCertificate {
        TLSCertificate(chain: .bytes(chain), key: .bytes(key), password: password)
    }
}

/// Certificate authorities that one side trusts.
public struct TLSAuthorities: Sendable, Hashable {
    enum Choice: Sendable, Hashable {
        case system
        case material(TLSMaterial)
    }
    let choice: Choice

    /// Those of the operating system.
    public static let system = TLSAuthorities(choice: .system)

    /// Those in a PEM file, and no others.
    public static func file(_ path: String) -> TLSAuthorities {
        TLSAuthorities(choice: .material(.file(path)))
    }

    /// Those in a PEM text, and no others.
    public static func pem(_ bytes: [UInt8]) -> TLSAuthorities {
        TLSAuthorities(choice: .material(.bytes(bytes)))
    }
}

/// The versions of TLS that exist here; older ones are never spoken.
public struct TLSVersion: Sendable, Hashable, CustomStringConvertible {
    /// As it is written, such as `TLSv1.3`.
    public let description: String

    /// TLS 1.2, with forward secrecy and authenticated encryption only.
    public static let v1_2 = TLSVersion(description: "TLSv1.2")
    /// TLS 1.3.
    public static let v1_3 = TLSVersion(description: "TLSv1.3")
}

/// How a server speaks TLS.
///
/// ```swift
/// var tls = TLSServerConfiguration(.files(chain: "server.pem", key: "server.key"))
/// tls.clients = .required(.file("devices-ca.pem"))
/// ```
///
/// TLS 1.2 and 1.3; ECDHE with AES-GCM or ChaCha20 only; no renegotiation, no compression, no early
/// data.
public struct TLSServerConfiguration: Sendable, Hashable {
    /// Certificates; the client's server name picks one by its names, else the first is used.
    public var certificates: [TLSCertificate]
    /// The oldest version that is spoken; TLS 1.2 by default.
    public var minimumVersion = TLSVersion.v1_2
    /// Application protocols (ALPN), the preferred one first; empty, the default, asks for none.
    ///
    /// A client that offers only others is refused. Servers for HTTP and WebSocket say `http/1.1`
    /// where this is empty.
    public var applicationProtocols: [String] = []
    /// Whether clients have to show a certificate; by default they are not asked.
    public var clients = Clients.notAsked
    /// Refuses clients that ask for a name no certificate has; off by default.
    public var refusesUnknownNames = false
    /// Time for the handshake; 10 s by default.
    public var handshakeTimeout: Duration = .seconds(10)
    /// How long a session can be resumed; 2 h by default, zero is never.
    ///
    /// A resumed session keeps the client's identity without asking for the certificate again.
    public var sessionLifetime: Duration = .seconds(2 * 60 * 60)
    /// Looks at most this often, when a connection comes, whether a file has changed; nil, the
    /// default, is never.
    public var reloadInterval: Duration?

    /// Creates a configuration with the defaults.
    public init(_ certificates: TLSCertificate...) {
        self.certificates = certificates
    }

    /// What is asked of clients.
    public struct Clients: Sendable, Hashable {
        enum Choice: Sendable, Hashable {
            case notAsked
            case optional(TLSAuthorities)
            case required(TLSAuthorities)
        }
        let choice: Choice

        /// No certificate is asked for.
        public static let notAsked = Clients(choice: .notAsked)

        /// A certificate is checked when the client has one; one that is not trusted is refused.
        public static func optional(_ authorities: TLSAuthorities) -> Clients {
            Clients(choice: .optional(authorities))
        }

        /// The handshake fails without a certificate from one of these authorities (mutual TLS).
        public static func required(_ authorities: TLSAuthorities) -> Clients {
            Clients(choice: .required(authorities))
        }

        var isRequired: Bool {
            if case .required = choice { true } else { false }
        }

        var authorities: TLSAuthorities? {
            switch choice {
            case .notAsked: nil
            case .optional(let authorities), .required(let authorities): authorities
            }
        }
    }
}

/// How a client speaks TLS.
///
/// By default the server has to show a certificate for its name that the system's authorities
/// vouch for.
public struct TLSClientConfiguration: Sendable, Hashable {
    /// Who vouches for the server; the system's authorities by default.
    public var authorities = TLSAuthorities.system
    /// How the server's certificate is checked; fully by default.
    public var verification = Verification.full
    /// The name to ask for and to check; nil, the default, takes the host that is connected to.
    public var serverName: String?
    /// What the client shows when the server asks who it is; nothing by default.
    public var certificate: TLSCertificate?
    /// The oldest version that is spoken; TLS 1.2 by default.
    public var minimumVersion = TLSVersion.v1_2
    /// Application protocols (ALPN) to offer, the preferred one first; none by default.
    ///
    /// WebSocket and HTTP clients offer `http/1.1` where this is empty.
    public var applicationProtocols: [String] = []
    /// Sessions kept for resumption, one for each server; 256 by default, zero keeps none.
    public var sessionsMax = 256

    /// Creates a configuration with the defaults.
    public init() {}

    /// How a server's certificate is checked.
    public struct Verification: Sendable, Hashable {
        enum Choice: Sendable, Hashable { case full, withoutName, none }
        let choice: Choice

        /// Its chain, its time and its name.
        public static let full = Verification(choice: .full)
        /// Its chain and its time: any server that the authorities vouch for will do.
        public static let withoutName = Verification(choice: .withoutName)
        /// Not at all: whoever is in between can read and change everything.
        ///
        /// For tests only.
        public static let insecurelyOff = Verification(choice: .none)
    }
}

/// PEM text, in a file or in memory.
enum TLSMaterial: Sendable, Hashable, CustomStringConvertible {
    case file(String)
    case bytes([UInt8])

    var description: String {
        switch self {
        case .file(let path): path
        case .bytes: "the PEM text given"
        }
    }

    var path: String? {
        if case .file(let path) = self { path } else { nil }
    }
}
