public import Logging
import Synchronization

/// A server for WebSocket paths and static pages on one port, owned by one loop.
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
        /// Bounds on the head of a request.
        public var http = HTTPLimits()
        /// Time for the head of a request to come, from the first byte or the connection's begin;
        /// 10 s by default.
        public var headTimeout: Duration = .seconds(10)
        /// Time a connection may be idle between two requests; 30 s by default.
        public var keepAliveTimeout: Duration = .seconds(30)
        /// Times and limits of WebSocket connections.
        public var webSocket = WebSocketConnection.Configuration()

        /// Creates a configuration with the defaults.
        public init(host: String = "127.0.0.1", port: Int = 0) {
            listener = TCPListener.Configuration(host: host, port: port)
        }

        /// Where the server reports what an operator should know.
        public var logger: Logger {
            get { listener.logger }
            set { listener.logger = newValue }
        }
    }

    /// Decides about a handshake, on the server's loop.
    public typealias Acceptor = @Sendable (WebSocketRequest) -> WebSocketDecision

    enum Route: Sendable {
        case webSocket(Acceptor)
        case page(StaticPage)
    }

    /// The loop that owns the server.
    public let loop: Loop
    /// The configuration it was made with.
    public let configuration: Configuration
    private let routes = Mutex<[String: Route]>([:])
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

    /// Serves WebSocket connections on a path; replaces what was there.
    public func addWebSocket(_ path: String, _ acceptor: @escaping Acceptor) {
        routes.withLock { $0[path] = .webSocket(acceptor) }
    }

    /// Serves a static page on a path; replaces what was there.
    public func addPage(_ path: String, _ page: StaticPage) {
        routes.withLock { $0[path] = .page(page) }
    }

    /// Takes a path away; its open connections stay open.
    public func removeRoute(_ path: String) {
        routes.withLock { _ = $0.removeValue(forKey: path) }
    }

    func route(_ path: String) -> Route? { routes.withLock { $0[path] } }

    // MARK: Life

    /// Reads the files of the TLS certificates again; from any thread.
    ///
    /// - Throws: ``NetworkError/Code/invalidArgument``: the old ones stay in use then.
    public func reloadCertificates() throws(NetworkError) { try tls?.reload() }

    /// Listens and returns the address with the actual port.
    ///
    /// - Throws: ``NetworkError`` when it listens already or the address cannot be listened on.
    @discardableResult
    public func start() async throws -> SocketAddress {
        let core = core
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
    /// What the TLS handshake has agreed on, with who the peer is; nil without TLS.
    public var tls: TLSInfo?

    /// The subprotocols the client offers, in its order of preference.
    public var subprotocols: [String] { head.headers.elements("Sec-WebSocket-Protocol") }
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
