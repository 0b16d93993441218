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
                let access = service.access
                service.setAcceptor { receiver.accept($0, access) }
                service.watch { source.connections.value.all }
            } close: {
                service.setAcceptor(nil)
            }
        }.recorded(decodeFrom: decoder.appender(forRecorded:))
    }
}

/// A listener of a run: it listens from the start, and gives its connections to whoever accepts.
final class TCPService: ListenerCounting {
    let loop: Loop
    var counters: ServerCounters { cells.snapshot }
    var name: String { endpoint.name }
    private let cells: ServerCounterCells
    private let gate: LoopBound<AccessGate>?
    private let firstFrameTimeout: Duration
    private let endpoint: TCPEndpoint
    private let tls: TLSServerContext?
    private let state: LoopBound<State>

    private final class State {
        var listener: TCPListener?
        var acceptor: ((TCPConnection) -> Void)?
        /// Connections from before the source runs.
        var waiting: [TCPConnection] = []
        let watch: SilenceWatch

        init(_ watch: SilenceWatch) { self.watch = watch }
    }

    private init(
        loop: Loop, endpoint: TCPEndpoint, tls: TLSServerContext?,
        _ settings: NetworkServer.Configuration
    ) {
        self.loop = loop
        cells = ServerCounterCells()
        let access = settings.access ?? .open
        let isNeeded = !access.isOpen || access.identityRate != nil || settings.rate != nil
        gate =
            isNeeded
            ? LoopBound(
                AccessGate(access, connectionRate: settings.rate, cells, settings.logger, loop),
                on: loop) : nil
        firstFrameTimeout = settings.headTimeout
        self.tls = tls
        self.endpoint = endpoint
        let limits = SilenceLimits(idle: settings.idleTimeout, message: settings.messageTimeout)
        let watch = SilenceWatch(limits, cells, settings.logger, endpoint.name, on: loop)
        state = LoopBound(State(watch), on: loop)
    }

    static func of(
        _ context: SourceContext, host: String, port: Int, tls: TLSServerConfiguration?
    ) async throws -> TCPService {
        let name = "\(tls == nil ? "tcp" : "tls")://\(host):\(port)"
        let endpoint = context.resources.shared("\(name) endpoint") {
            TCPEndpoint(name: name)
        } close: { _ in
        }
        var settings = ServerSettings.configuration(context.resources, host, port)
        settings.tls = tls
        settings.logger = context.logger
        guard settings.mayListen else { throw NetworkError.openToAll(host, port) }
        let service = try context.resources.shared(name) {
            TCPService(
                loop: try Loop.shared(), endpoint: endpoint,
                tls: try tls.map { tls throws(NetworkError) in
                    try TLSServerContext(tls, logger: context.logger)
                }, settings)
        } close: { service in
            service.loop.execute { service.close() }
        }
        if endpoint.address == nil {
            var configuration = settings.listener
            configuration.tls = service.tls
            try await service.listen(configuration)
        }
        return service
    }

    func reloadCertificates() throws(NetworkError) { try tls?.reload() }

    private func listen(_ configuration: TCPListener.Configuration) async throws {
        let (state, endpoint, loop, cells) = (state, endpoint, loop, cells)
        endpoint.address = try await withCheckedThrowingContinuation { continuation in
            loop.execute {
                TCPListener.listen(
                    configuration, on: loop,
                    onAccept: { connection in
                        connection.counters = cells
                        if let acceptor = state.value.acceptor {
                            acceptor(connection)
                        } else {
                            connection.handler = WaitingConnection()
                            state.value.waiting.append(connection)
                        }
                    },
                    completion: { result in
                        if case .success(let listener) = result {
                            state.value.listener = listener
                            listener.onChange = { [unowned listener] in cells.count(listener) }
                        }
                        continuation.resume(with: result.map(\.address).mapError { $0 })
                    })
            }
        }
    }

    /// On the loop: who may send, and how; nil when everybody may.
    var access: TCPAccess? {
        gate.map { TCPAccess(gate: $0.value, firstFrameTimeout: firstFrameTimeout, place: name) }
    }

    /// On the loop: who takes connections from now on; nil refuses them.
    func setAcceptor(_ acceptor: ((TCPConnection) -> Void)?) {
        state.value.acceptor = acceptor ?? { $0.closeGracefully() }
        let waiting = state.value.waiting
        state.value.waiting.removeAll()
        for connection in waiting { state.value.acceptor?(connection) }
    }

    /// On the loop: closes connections that take too long.
    func watch(_ connections: @escaping () -> [IngestConnection]) {
        state.value.watch.start(connections)
    }

    private func close() {
        state.value.watch.stop()
        state.value.listener?.close()
        state.value.listener = nil
        for connection in state.value.waiting { connection.close() }
        gate?.value.close()
        state.value.waiting.removeAll()
    }
}

/// Keeps a connection that is not read yet.
private final class WaitingConnection: TCPConnectionHandler {
    func connection(
        _ connection: TCPConnection, received bytes: UnsafeMutableRawBufferPointer
    ) -> Int { 0 }
}
