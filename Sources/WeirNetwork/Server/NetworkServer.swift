public import Logging
import Synchronization

/// A server for HTTP handlers, pages, folders and WebSockets on one port, owned by one loop.
///
/// ```swift
/// let server = try NetworkServer(.init(port: 8080))
/// server.addPage("/", .html("<h1>Payments</h1>"))
/// server.addWebSocket("/payments") { request in .accept(handler.value) }
/// let address = try await server.start()
/// ```
///
/// Routes can be added and removed at any time. Whatever a peer sends is bounded, and a peer that
/// breaks a protocol gets its error while the server goes on.
public final class NetworkServer: Sendable {
    /// Where a server listens and what it allows.
    public struct Configuration: Sendable {
        /// Where to listen, how many connections.
        public var listener: TCPListener.Configuration
        /// Speaks TLS, for `https://` and `wss://`; nil, the default, does not.
        public var tls: TLSServerConfiguration?
        /// Who may do what; nil, the default, asks nobody, which only a server on loopback may do, or
        /// one whose TLS requires client certificates.
        public var access: AccessControl?
        /// Events that one connection may bring to sources; nil, the default, is no limit.
        ///
        /// ``AccessControl/identityRate`` is for all connections of an identity.
        public var rate: RateLimit?
        /// Bounds on the head of a request.
        public var http = HTTPLimits()
        /// Time for the head of a request to come, from the first byte or the connection's begin;
        /// 10 s by default.
        public var headTimeout: Duration = .seconds(10)
        /// Time a connection may be idle between two requests; 30 s by default.
        public var keepAliveTimeout: Duration = .seconds(30)
        /// Time for the body of a request to come; 30 s by default.
        ///
        /// It grows with what has come, see ``minimumBodyRate``; time during which the server
        /// itself doesn't read does not count.
        public var bodyTimeout: Duration = .seconds(30)
        /// Bytes a second that a body has to come with, and an answer has to be read with; 512 by
        /// default, 0 for no limit on a body's time.
        public var minimumBodyRate = 512
        /// Time for a handler to answer, and for the peer to read on; 60 s by default.
        public var answerTimeout: Duration = .seconds(60)
        /// Time without a byte after which a connection of a TCP source is closed; 1 hour by default,
        /// nil for never.
        ///
        /// Time during which the source itself doesn't read does not count. HTTP has
        /// ``keepAliveTimeout``, and a WebSocket's peer is pinged.
        public var idleTimeout: Duration? = .seconds(3_600)
        /// Time for a WebSocket message or a frame of a TCP source that has begun to be complete; 60 s
        /// by default, nil for any.
        ///
        /// Time during which the server itself doesn't read does not count.
        public var messageTimeout: Duration? = .seconds(60)
        /// Time for connections to end in order when a run does; tests change it.
        var stopTimeout: Duration = .seconds(5)
        /// Times and limits of WebSocket connections.
        public var webSocket = WebSocketConnection.Configuration()

        /// Creates a configuration with the defaults.
        public init(host: String = "127.0.0.1", port: Int = 0) {
            listener = TCPListener.Configuration(host: host, port: port)
        }

        /// Whether strangers are kept out, or were let in on purpose.
        var mayListen: Bool {
            if access != nil || isLoopback(listener.host) { return true }
            return tls?.clients.isRequired ?? false
        }

        /// Where the server reports what an operator should know.
        public var logger: Logger {
            get { listener.logger }
            set { listener.logger = newValue }
        }
    }

    /// Decides about a handshake, on the server's loop.
    public typealias Acceptor = @Sendable (WebSocketRequest) -> WebSocketDecision

    /// The loop that owns the server.
    public let loop: Loop
    /// The configuration it was made with.
    public let configuration: Configuration
    private let routes = Mutex(HTTPRoutes())
    /// Grows with each change of the routes.
    private let routesVersion = Atomic(0)
    private let cells = ServerCounterCells()
    private let core: LoopBound<ServerCore>
    private let tls: TLSServerContext?

    /// Creates a server that does not listen yet.
    ///
    /// - Throws: ``NetworkError`` when no loop is given and the shared one cannot start, and when the
    ///   certificates for TLS cannot be used.
    public init(
        _ configuration: Configuration = Configuration(), loop: Loop? = nil
    ) throws(NetworkError) {
        let loop = if let loop { loop } else { try Loop.shared() }
        self.loop = loop
        self.configuration = configuration
        var configuration = configuration
        if var tls = configuration.tls {
            if tls.applicationProtocols.isEmpty { tls.applicationProtocols = ["http/1.1"] }
            configuration.listener.tls = try TLSServerContext(tls, logger: configuration.logger)
        }
        tls = configuration.listener.tls
        let core = ServerCore(configuration, cells)
        self.core = LoopBound(core, on: loop)
    }

    // MARK: Routes

    /// Serves WebSocket connections on a path, beside handlers and a page; replaces another one.
    ///
    /// - Parameter roles: All that a client needs under access control.
    public func addWebSocket(
        _ path: String, roles: AccessRoles = [.ingest, .read], _ acceptor: @escaping Acceptor
    ) {
        changeRoutes { routes in
            routes.change(path) { endpoint in
                endpoint.acceptor = acceptor
                endpoint.acceptorRoles = roles
            }
        }
    }

    /// Serves a static page on a path; replaces another one.
    public func addPage(_ path: String, _ page: StaticPage) {
        changeRoutes { $0.change(path) { $0.page = page } }
    }

    /// Serves the files of a folder below a path, which ends with `/`; replaces another one.
    public func addFolder(_ prefix: String, _ folder: StaticFolder) {
        let prefix = prefix.hasSuffix("/") ? prefix : prefix + "/"
        changeRoutes { $0.add(folder, at: prefix) }
    }

    /// Answers requests of a method at a path, on the loop; replaces another one.
    func addResponder(
        _ method: String, _ path: String, roles: AccessRoles, _ responder: @escaping HTTPResponder
    ) {
        changeRoutes { routes in
            routes.change(path) { endpoint in
                endpoint.responders.removeAll { $0.method == method }
                endpoint.responders.append(
                    HTTPMethodEndpoint(method: method, roles: roles, responder: responder))
            }
        }
    }

    /// Takes a path away with all that is served there; its open connections stay open.
    public func removeRoute(_ path: String) {
        changeRoutes { $0.remove(path) }
    }

    private func changeRoutes(_ change: (inout HTTPRoutes) -> Void) {
        routes.withLock { routes in
            change(&routes)
            routesVersion.add(1, ordering: .releasing)
        }
    }

    /// Which routes there are: another number after each change.
    var currentRoutes: Int { routesVersion.load(ordering: .acquiring) }

    func endpoint(_ path: String) -> HTTPEndpoint? { routes.withLock { $0.endpoint(path) } }

    func folder(_ path: String) -> (folder: StaticFolder, rest: String)? {
        routes.withLock { $0.folder(path) }
    }

    // MARK: Life

    /// Reads the files of the TLS certificates again; from any thread.
    ///
    /// - Throws: ``NetworkError/Code/invalidArgument``: the old ones stay in use then.
    public func reloadCertificates() throws(NetworkError) { try tls?.reload() }

    /// Listens and returns the address with the actual port.
    ///
    /// - Throws: ``NetworkError`` when it listens already, the address cannot be listened on, or it is not loopback
    ///   and nothing says who may come: ``Configuration/access``.
    @discardableResult
    public func start() async throws -> SocketAddress {
        let core = core
        guard configuration.mayListen else {
            throw NetworkError.openToAll(configuration.listener.host, configuration.listener.port)
        }
        return try await withCheckedThrowingContinuation { continuation in
            loop.execute { [self] in
                core.value.start(self) { result in
                    continuation.resume(with: result.mapError { $0 })
                }
            }
        }
    }

    /// Stops listening, closes WebSocket connections with 1001, and waits until all are closed.
    ///
    /// Connections that are still open after `deadline` are cut.
    public func stop(within deadline: Duration = .seconds(5)) async {
        let core = core
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            loop.execute { core.value.stop(deadline) { continuation.resume() } }
        }
    }

    /// What was counted so far; from any thread.
    public var counters: ServerCounters { cells.snapshot }
}

/// A request for a WebSocket connection.
public struct WebSocketRequest {
    /// The request; its target, query and headers are the peer's, checked for form only.
    public let head: HTTPRequestHead
    /// The peer's address.
    public let remoteAddress: SocketAddress?
    /// Who the peer is by access control; nil without it, and on a path that is for all.
    public var identity: Identity?
    /// What the TLS handshake has agreed on, with who the peer is; nil without TLS.
    public var tls: TLSInfo?

    /// The subprotocols the client offers, in its order of preference.
    ///
    /// Without one that carries a token.
    public var subprotocols: [String] {
        head.headers.elements("Sec-WebSocket-Protocol").filter {
            !$0.hasPrefix(Credentials.tokenSubprotocolPrefix)
        }
    }
}

/// The answer to a request for a WebSocket connection.
public struct WebSocketDecision {
    enum Choice {
        case accept(any WebSocketHandler, String?, WebSocketConnection.Configuration?)
        case refuse(HTTPError, isForOrigin: Bool)
    }
    let choice: Choice

    /// Opens the connection; `subprotocol` must be one of those offered, or `nil`.
    ///
    /// - Parameter configuration: Times and limits of this connection; the server's by default.
    public static func accept(
        _ handler: any WebSocketHandler, subprotocol: String? = nil,
        configuration: WebSocketConnection.Configuration? = nil
    ) -> WebSocketDecision {
        WebSocketDecision(choice: .accept(handler, subprotocol, configuration))
    }

    /// Refuses with an HTTP status, for instance 403 or 503.
    public static func refuse(_ status: Int, _ reason: String) -> WebSocketDecision {
        WebSocketDecision(choice: .refuse(HTTPError(status, reason), isForOrigin: false))
    }
}
