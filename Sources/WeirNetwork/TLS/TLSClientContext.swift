import COpenSSL
import Synchronization

/// What clients need for TLS: whom they trust, what they show, and sessions they can resume.
///
/// Make one and use it for many connections: it reads files when it is made, and keeps sessions.
public final class TLSClientContext: Sendable {
    /// The configuration it was made with.
    public let configuration: TLSClientConfiguration
    private let handle: TLSContextHandle
    private let protocols: [UInt8]
    private let sessions: Sessions

    /// Reads the authorities and the certificate.
    ///
    /// - Throws: ``NetworkError/Code/invalidArgument`` with the file and what is wrong with it.
    public init(
        _ configuration: TLSClientConfiguration = TLSClientConfiguration()
    ) throws(NetworkError) {
        self.configuration = configuration
        protocols = try ProtocolList.encode(configuration.applicationProtocols)
        handle = try TLSContextHandle(.client, minimumVersion: configuration.minimumVersion)
        sessions = Sessions(limit: max(0, configuration.sessionsMax))
        if configuration.verification == .insecurelyOff {
            SSL_CTX_set_verify(handle.raw, SSL_VERIFY_NONE, nil)
        } else {
            SSL_CTX_set_verify(handle.raw, SSL_VERIFY_PEER, nil)
            try handle.trust(configuration.authorities)
        }
        if let certificate = configuration.certificate { try handle.use(certificate) }
        guard configuration.sessionsMax > 0 else { return }
        cossl_set_session_cache(
            handle.raw, Int(SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL))
        SSL_CTX_sess_set_new_cb(handle.raw) { ssl, session in
            guard let ssl, let session, let engine = TLSEngine.of(ssl),
                let onSession = engine.onSession
            else { return 0 }
            onSession(session)
            return 1
        }
    }

    /// One with the default configuration, made at its first use.
    ///
    /// - Throws: ``NetworkError`` when the system's authorities cannot be read.
    public static func shared() throws(NetworkError) -> TLSClientContext {
        try defaultContext.get()
    }

    private static let defaultContext: Result<TLSClientContext, NetworkError> = Result {
        () throws(NetworkError) in
        var configuration = TLSClientConfiguration()
        configuration.applicationProtocols = ["http/1.1"]
        return try TLSClientContext(configuration)
    }

    /// Makes the client's side of a connection to a host.
    func makeEngine(host: String, port: Int) throws(NetworkError) -> TLSEngine {
        let name = configuration.serverName ?? host
        guard !name.isEmpty, name.utf8.count <= 253, !name.utf8.contains(0) else {
            throw NetworkError(.invalidArgument, "'\(name)' is no name of a TLS server")
        }
        let engine = try TLSEngine(
            handle.raw, .client, owner: handle, peerName: "\(host):\(port)")
        let isAddress = SocketAddress(ip: name, port: 0) != nil
        var isSet = true
        let key = "\(name) \(host) \(port)"
        engine.configure { ssl in
            if !isAddress { isSet = cossl_set_server_name(ssl, name) == 1 }
            if configuration.verification == .full {
                isSet = isSet && Self.check(name, isAddress: isAddress, ssl)
            }
            if !protocols.isEmpty {
                // Zero is success here.
                isSet = isSet && SSL_set_alpn_protos(ssl, protocols, UInt32(protocols.count)) == 0
            }
            if let session = sessions.cache.withLock({ $0.take(key) }) {
                SSL_set_session(ssl, session.raw)
            }
        }
        guard isSet else {
            throw NetworkError(
                .invalidArgument, "'\(name)' cannot be asked for by TLS",
                cause: TLSFailure.take().text)
        }
        if configuration.sessionsMax > 0 {
            engine.onSession = { [sessions] session in
                let session = ClientSession(session)
                sessions.cache.withLock { $0.put(session, key) }
            }
        }
        return engine
    }

    private static func check(_ name: String, isAddress: Bool, _ ssl: OpaquePointer) -> Bool {
        guard let parameters = SSL_get0_param(ssl) else { return false }
        X509_VERIFY_PARAM_set_hostflags(
            parameters, UInt32(X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS))
        return isAddress
            ? X509_VERIFY_PARAM_set1_ip_asc(parameters, name) == 1
            : X509_VERIFY_PARAM_set1_host(parameters, name, 0) == 1
    }

    /// Sessions that wait to be resumed.
    var sessionCount: Int { sessions.cache.withLock { $0.count } }
}

/// A session that can be resumed once.
///
/// Safety: OpenSSL counts references atomically, and a session is not changed after the handshake.
private final class ClientSession: @unchecked Sendable {
    let raw: OpaquePointer

    /// Takes over one reference.
    init(_ raw: OpaquePointer) { self.raw = raw }

    deinit { SSL_SESSION_free(raw) }
}

/// The sessions of a context, for connections that may outlive it.
private final class Sessions: Sendable {
    let cache: Mutex<SessionCache>

    init(limit: Int) { cache = Mutex(SessionCache(limit: limit)) }
}

/// The newest session of each server, the oldest of all given up when there are too many.
private struct SessionCache: Sendable {
    private let limit: Int
    private var sessions: [String: ClientSession] = [:]
    private var order: [String] = []

    init(limit: Int) { self.limit = limit }

    var count: Int { sessions.count }

    /// Takes a session out: a ticket of TLS 1.3 is used once.
    mutating func take(_ key: String) -> ClientSession? {
        order.removeAll { $0 == key }
        return sessions.removeValue(forKey: key)
    }

    mutating func put(_ session: ClientSession, _ key: String) {
        _ = take(key)
        sessions[key] = session
        order.append(key)
        if order.count > limit { sessions[order.removeFirst()] = nil }
    }
}
