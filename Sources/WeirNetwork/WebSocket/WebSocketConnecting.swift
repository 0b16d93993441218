/// How a client connects.
public struct WebSocketClientConfiguration: Sendable {
    /// Time for resolving, connecting and the handshake together; 10 s by default.
    public var connectTimeout: Duration = .seconds(10)
    /// Subprotocols to offer, the preferred one first; none by default.
    public var subprotocols: [String] = []
    /// Trust, certificates and sessions for `wss://`; nil, the default, trusts the system's authorities.
    public var tls: TLSClientContext?
    /// Further headers of the handshake, such as `Authorization`; none by default.
    public var headers: [String: String] = [:]
    /// Who the client is, to be shown in the handshake; nobody by default.
    public var authorization: ClientAuthorization?
    /// Bounds on the server's answer.
    public var http = HTTPLimits()
    /// Times and limits of the open connection; a full write queue is reported to the sender.
    public var connection: WebSocketConnection.Configuration

    /// Creates the default configuration.
    public init() {
        connection = WebSocketConnection.Configuration()
        connection.slowConsumers = .report
    }
}

extension WebSocketConnection {
    /// Connects to `ws://host:port/path` or `wss://host:port/path` as a client; to be called on the loop's thread.
    ///
    /// The completion runs once on the loop's thread, before any message is given to `handler`.
    /// Reconnecting is up to the caller.
    public static func connect(
        to url: String, on loop: Loop,
        configuration: WebSocketClientConfiguration = WebSocketClientConfiguration(),
        handler: any WebSocketHandler,
        completion: @escaping (Result<WebSocketConnection, NetworkError>) -> Void
    ) {
        loop.preconditionOnLoop()
        do {
            let url = try NetworkURL(url, .webSocket)
            try WebSocketHandshake.check(configuration)
            let attempt = ClientHandshake(url, loop, configuration, handler, completion)
            try attempt.start()
        } catch {
            completion(.failure(error))
        }
    }
}

/// One client's opening handshake.
private final class ClientHandshake: TCPConnectionHandler {
    private let url: NetworkURL
    private let loop: Loop
    private let configuration: WebSocketClientConfiguration
    private let user: any WebSocketHandler
    private let key = WebSocketHandshake.makeKey()
    private var completion: ((Result<WebSocketConnection, NetworkError>) -> Void)?
    private var reader: HTTPHeadReader
    private var timer: LoopTimer?
    private var tcp: TCPConnection?
    private var shown: ClientAuthorization.Header?

    init(
        _ url: NetworkURL, _ loop: Loop, _ configuration: WebSocketClientConfiguration,
        _ user: any WebSocketHandler,
        _ completion: @escaping (Result<WebSocketConnection, NetworkError>) -> Void
    ) {
        self.url = url
        self.loop = loop
        self.configuration = configuration
        self.user = user
        self.completion = completion
        reader = HTTPHeadReader(limits: configuration.http)
    }

    private var name: String { url.publicName }

    func start() throws(NetworkError) {
        let timeout = configuration.connectTimeout
        timer = try LoopTimer(on: loop) { [self] in
            fail(NetworkError(.timedOut, "connecting to \(name) took longer than \(timeout)"))
        }
        timer?.start(after: timeout)
        guard let authorization = configuration.authorization else {
            try connect()
            return
        }
        authorization.header(on: loop) { [self] result in
            do throws(NetworkError) {
                shown = try result.get()
                if completion != nil { try connect() }
            } catch {
                fail(error)
            }
        }
    }

    private func connect() throws(NetworkError) {
        let timeout = configuration.connectTimeout
        var tls: TLSClientContext?
        if url.isSecure {
            tls = if let tls = configuration.tls { tls } else { try .shared() }
        }
        TCPConnection.connect(
            to: url.host, port: url.port, on: loop, timeout: timeout, tls: tls
        ) { [self] result in
            switch result {
            case .failure(let error): fail(error)
            case .success(let tcp): begin(tcp)
            }
        }
    }

    private func begin(_ tcp: TCPConnection) {
        guard completion != nil else {
            tcp.close()
            return
        }
        self.tcp = tcp
        tcp.handler = self
        var headers = configuration.headers
        if let shown { headers[shown.name] = shown.value }
        tcp.write(
            WebSocketHandshake.request(
                host: url.authority, target: url.target, key: key,
                subprotocols: configuration.subprotocols, headers: headers,
                extensions: configuration.connection.compression.map(DeflateNegotiation.offer)))
        tcp.resumeReading()
    }

    func connection(
        _ connection: TCPConnection, received bytes: UnsafeMutableRawBufferPointer
    ) -> Int {
        var agreement: WebSocketHandshake.Agreement?
        do {
            let used = try reader.consume(UnsafeRawBufferPointer(bytes)) { head throws(HTTPError) in
                agreement = try WebSocketHandshake.agreement(
                    in: head, key: key, subprotocols: configuration.subprotocols,
                    compression: configuration.connection.compression)
            }
            if let agreement { succeed(connection, agreement) }
            return used
        } catch {
            if error.status == 401, let shown {
                configuration.authorization?.refused(shown)
            }
            let text = "the handshake with \(name) failed"
            fail(NetworkError(.protocolViolation, text, cause: "\(error)"))
            return bytes.count
        }
    }

    func connectionReachedEnd(_ connection: TCPConnection) {
        fail(NetworkError(.connectionLost, "\(name) closed the connection in the handshake"))
    }

    func connectionClosed(_ connection: TCPConnection, error: NetworkError?) {
        fail(error ?? NetworkError(.connectionLost, "\(name) closed in the handshake"))
    }

    private func succeed(_ tcp: TCPConnection, _ agreement: WebSocketHandshake.Agreement) {
        guard let completion, let timer else { return }
        self.completion = nil
        self.timer = nil
        self.tcp = nil
        let connection = WebSocketConnection(
            tcp, role: .client, target: url.target, subprotocol: agreement.subprotocol,
            deflate: agreement.deflate, configuration: configuration.connection, timer: timer,
            counters: nil, handler: user)
        completion(.success(connection))
        user.opened(connection)
    }

    private func fail(_ error: NetworkError) {
        guard let completion else { return }
        self.completion = nil
        timer?.close()
        timer = nil
        tcp?.close()
        tcp = nil
        completion(.failure(error))
    }
}
