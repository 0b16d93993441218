import Logging
public import WeirCore

extension Source {
    /// Events from TCP clients: each frame of each connection is one event in JSON.
    ///
    /// See the source with a decoder of one's own.
    @inlinable
    public static func tcp(
        host: String = "127.0.0.1", port: Int, tls: TLSServerConfiguration? = nil,
        framing: StreamFraming = .lines(), as type: Element.Type = Element.self
    ) -> Source where Element: Decodable {
        tcp(host: host, port: port, tls: tls, framing: framing, decoder: .json)
    }

    /// Events from TCP clients: each frame of each connection is one event.
    ///
    /// A frame that can't be decoded goes to the dead letters with its bytes, the peer's address and the reason, and
    /// the connection goes on; one that breaks the framing closes the connection. While the stage is full the sockets
    /// are not read.
    ///
    /// A client whose first frame is `WEIR-ACK/1 NAME` numbers its messages and is told which are safe, so that each
    /// event comes exactly once however often the client connects again: see `docs/acknowledging-protocol.md` and
    /// ``AcknowledgedSender``. In a run with a store all that is read is first written to the ingest journal, and safe
    /// means durable; what was read and is not yet part of a checkpoint comes again after a restart, in the same order.
    /// Without a store safe means that the stage's mailbox has it. Nothing tells a plain client.
    ///
    /// - Parameters:
    ///   - host: The address to listen on; loopback by default.
    ///   - port: The port; 0 lets the system choose, `running.addresses` then says which.
    ///   - tls: Speaks TLS; nil, the default, does not.
    ///   - framing: How messages are told apart; lines by default.
    ///   - decoder: How a message becomes an event.
    ///   - limits: What is kept, in memory and in the ingest journal.
    public static func tcp(
        host: String = "127.0.0.1", port: Int, tls: TLSServerConfiguration? = nil,
        framing: StreamFraming = .lines(), decoder: EventDecoder<Element>,
        limits: IngestLimits = IngestLimits()
    ) -> Source {
        let name = "\(host):\(port)"
        return Source(
            "tcp", endpoint: "tcp \(name)",
            prepare: { context in
                try await ConnectionSource<Element>.prepare(context, limits)
                _ = try await TCPService.of(context, host: host, port: port, tls: tls)
            }
        ) { inlet in
            let service = try await TCPService.of(
                inlet.context, host: host, port: port, tls: tls)
            let source = try await ConnectionSource(
                inlet, decoder: decoder, limits: limits, loop: service.loop)
            let receiver = TCPReceiver(
                source.connections, framing: framing, logger: inlet.context.logger)
            try await source.run {
                service.setAcceptor { receiver.accept($0) }
            } close: {
                service.setAcceptor(nil)
            }
        }.recorded(decodeFrom: decoder.appender(forRecorded:))
    }
}

/// A listener of a run: it listens from the start, and gives its connections to whoever accepts.
final class TCPService: Sendable {
    let loop: Loop
    private let endpoint: TCPEndpoint
    private let tls: TLSServerContext?
    private let state: LoopBound<State>

    private final class State {
        var listener: TCPListener?
        var acceptor: ((TCPConnection) -> Void)?
        /// Connections from before the source runs.
        var waiting: [TCPConnection] = []
    }

    private init(loop: Loop, endpoint: TCPEndpoint, tls: TLSServerContext?) {
        self.loop = loop
        self.tls = tls
        self.endpoint = endpoint
        state = LoopBound(State(), on: loop)
    }

    static func of(
        _ context: SourceContext, host: String, port: Int, tls: TLSServerConfiguration?
    ) async throws -> TCPService {
        let name = "\(tls == nil ? "tcp" : "tls")://\(host):\(port)"
        let endpoint = context.resources.shared("\(name) endpoint") {
            TCPEndpoint(name: name)
        } close: { _ in
        }
        let service = try context.resources.shared(name) {
            TCPService(
                loop: try Loop.shared(), endpoint: endpoint,
                tls: try tls.map { tls throws(NetworkError) in
                    try TLSServerContext(tls, logger: context.logger)
                })
        } close: { service in
            service.loop.execute { service.close() }
        }
        if endpoint.address == nil {
            var configuration = TCPListener.Configuration(host: host, port: port)
            configuration.logger = context.logger
            configuration.tls = service.tls
            try await service.listen(configuration)
        }
        return service
    }

    func reloadCertificates() throws(NetworkError) { try tls?.reload() }

    private func listen(_ configuration: TCPListener.Configuration) async throws {
        let (state, endpoint, loop) = (state, endpoint, loop)
        endpoint.address = try await withCheckedThrowingContinuation { continuation in
            loop.execute {
                TCPListener.listen(
                    configuration, on: loop,
                    onAccept: { connection in
                        if let acceptor = state.value.acceptor {
                            acceptor(connection)
                        } else {
                            connection.handler = WaitingConnection()
                            state.value.waiting.append(connection)
                        }
                    },
                    completion: { result in
                        if case .success(let listener) = result { state.value.listener = listener }
                        continuation.resume(with: result.map(\.address).mapError { $0 })
                    })
            }
        }
    }

    /// On the loop: who takes connections from now on; nil refuses them.
    func setAcceptor(_ acceptor: ((TCPConnection) -> Void)?) {
        state.value.acceptor = acceptor ?? { $0.closeGracefully() }
        let waiting = state.value.waiting
        state.value.waiting.removeAll()
        for connection in waiting { state.value.acceptor?(connection) }
    }

    private func close() {
        state.value.listener?.close()
        state.value.listener = nil
        for connection in state.value.waiting { connection.close() }
        state.value.waiting.removeAll()
    }
}

/// Keeps a connection that is not read yet.
private final class WaitingConnection: TCPConnectionHandler {
    func connection(
        _ connection: TCPConnection, received bytes: UnsafeMutableRawBufferPointer
    ) -> Int { 0 }
}

/// Serves all the connections of a TCP source; used on its loop only.
final class TCPReceiver<Element: Sendable>: Sendable {
    private let connections: LoopBound<SourceConnections<Element>>
    private let framing: StreamFraming
    private let logger: Logger

    init(
        _ connections: LoopBound<SourceConnections<Element>>, framing: StreamFraming,
        logger: Logger
    ) {
        self.connections = connections
        self.framing = framing
        self.logger = logger
    }

    /// - Parameter known: What is known of the connection; nil for its address.
    func accept(_ tcp: TCPConnection, from known: ConnectionInfo? = nil) {
        let info = known ?? tcp.connectionInfo
        let origin = info.description
        let all = connections.value
        let logger = logger
        let peer = TCPPeer(tcp, framing)
        guard let connection = all.add(tcp, peer, from: info, opening: .firstFrameTells)
        else { return }
        _ = framing.makeReader(
            tcp,
            { frame in
                let flow = connection.take(frame)
                if connection.intake.hasFailed { throw FramingError("the stage has stopped") }
                return flow
            },
            { [unowned tcp] in
                if connection.pass() == .stop { tcp.pauseReading() }
            },
            { [unowned tcp] error in
                all.remove(tcp)
                if let error = error as? NetworkError, error.code == .truncated {
                    logger.notice("\(error)", metadata: ["origin": "\(origin)"])
                }
                guard let error = error as? FramingError else { return }
                logger.notice(
                    "connection closed: its bytes can't be cut into messages",
                    metadata: ["origin": "\(origin)", "error": "\(error)"])
            })
        peer.begin()
    }
}

private final class TCPPeer: IngestPeer {
    private let tcp: TCPConnection
    private let framing: StreamFraming
    private var hasReader = false
    private var mayRead = false

    init(_ tcp: TCPConnection, _ framing: StreamFraming) {
        self.tcp = tcp
        self.framing = framing
    }

    var dialect: AcknowledgingDialect { .words }

    func pause() {
        mayRead = false
        tcp.pauseReading()
    }

    func resume() {
        mayRead = true
        if hasReader { tcp.resumeReading() }
    }

    /// The connection has what reads it.
    func begin() {
        hasReader = true
        if mayRead { tcp.resumeReading() }
    }

    func send(_ text: String) {
        var bytes: [UInt8] = []
        guard (try? text.utf8.withBytes { try framing.wrap($0, &bytes) }) != nil else { return }
        // A peer that reads nothing misses this one; the next number says more.
        _ = bytes.withUnsafeBytes { tcp.write($0) }
    }

    func refuse(_ reason: String) {
        send(dialect.error(reason))
        tcp.closeGracefully()
    }

    func goAway() { tcp.closeGracefully() }
}

extension String.UTF8View {
    fileprivate func withBytes<Value>(
        _ body: (UnsafeRawBufferPointer) throws -> Value
    ) rethrows -> Value {
        try Array(self).withUnsafeBytes(body)
    }
}
