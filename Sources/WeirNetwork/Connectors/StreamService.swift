import WeirCore

/// A listener of a run, on a port or in the file system: it listens from the start, and gives its
/// connections to whoever accepts.
final class StreamService: ListenerCounting {
    let loop: Loop
    let name: String
    var counters: ServerCounters { cells.snapshot }
    private let cells = ServerCounterCells()
    private let tls: TLSServerContext?
    private let gate: LoopBound<AccessGate>?
    private let firstFrameTimeout: Duration
    private let state: LoopBound<State>

    private final class State {
        /// Nil while nothing listens.
        var stopListening: (() -> Void)?
        var acceptor: ((TCPConnection) -> Void)?
        /// Connections from before the source runs.
        var waiting: [TCPConnection] = []
        let watch: SilenceWatch

        init(_ watch: SilenceWatch) { self.watch = watch }

        func take(_ connection: TCPConnection) {
            if let acceptor {
                acceptor(connection)
            } else {
                connection.handler = WaitingConnection()
                waiting.append(connection)
            }
        }
    }

    private init(_ name: String, _ settings: NetworkServer.Configuration) throws(NetworkError) {
        loop = try Loop.shared()
        self.name = name
        let access = settings.access ?? .open
        let isNeeded = !access.isOpen || access.identityRate != nil || settings.rate != nil
        gate =
            isNeeded
            ? LoopBound(
                AccessGate(access, connectionRate: settings.rate, cells, settings.logger, loop),
                on: loop) : nil
        firstFrameTimeout = settings.headTimeout
        tls = try settings.tls.map { tls throws(NetworkError) in
            try TLSServerContext(tls, logger: settings.logger)
        }
        let limits = SilenceLimits(idle: settings.idleTimeout, message: settings.messageTimeout)
        let watch = SilenceWatch(limits, cells, settings.logger, name, on: loop)
        state = LoopBound(State(watch), on: loop)
    }

    private static func of(
        _ context: SourceContext, _ name: String, _ settings: NetworkServer.Configuration
    ) throws -> StreamService {
        try context.resources.shared(name) {
            try StreamService(name, settings)
        } close: { service in
            // The file has to be gone when the run has ended.
            try? await service.loop.run { service.close() }
        }
    }

    // MARK: Listening

    /// The one of the run for this host and port; it listens when this returns.
    static func of(
        _ context: SourceContext, host: String, port: Int, tls: TLSServerConfiguration?
    ) async throws -> StreamService {
        let name = "\(tls == nil ? "tcp" : "tls")://\(host):\(port)"
        let endpoint = context.resources.shared("\(name) endpoint") {
            TCPEndpoint(name: name)
        } close: { _ in
        }
        var settings = ServerSettings.configuration(context.resources, host, port)
        settings.tls = tls
        settings.logger = context.logger
        guard settings.mayListen else { throw NetworkError.openToAll(host, port) }
        let service = try of(context, name, settings)
        if endpoint.address == nil {
            settings.listener.tls = service.tls
            endpoint.address = try await service.listen(settings.listener)
        }
        return service
    }

    private func listen(_ configuration: TCPListener.Configuration) async throws -> SocketAddress {
        let (state, loop, cells) = (state, loop, cells)
        return try await withCheckedThrowingContinuation { continuation in
            loop.execute {
                TCPListener.listen(configuration, on: loop) { connection in
                    connection.counters = cells
                    state.value.take(connection)
                } completion: { result in
                    if case .success(let listener) = result {
                        state.value.stopListening = { listener.close() }
                        listener.onChange = { [unowned listener] in cells.count(listener) }
                    }
                    continuation.resume(with: result.map(\.address).mapError { $0 })
                }
            }
        }
    }

    /// The one of the run for this path; it listens when this returns.
    static func of(
        _ context: SourceContext, path: String, _ options: UnixSocketOptions
    ) async throws -> StreamService {
        var settings = NetworkServer.Configuration()
        settings.idleTimeout = options.idleTimeout
        settings.messageTimeout = options.messageTimeout
        settings.logger = context.logger
        let service = try of(context, "unix:\(path)", settings)
        let (state, loop, cells, logger) = (
            service.state, service.loop, service.cells, context.logger
        )
        try await loop.run {
            if state.value.stopListening != nil { return }
            let listener = try UnixListener(
                UnixPath(path), options, on: loop, logger: logger, counters: cells
            ) { connection in
                connection.counters = cells
                state.value.take(connection)
            }
            state.value.stopListening = { listener.close() }
        }
        return service
    }

    func reloadCertificates() throws(NetworkError) { try tls?.reload() }

    private func close() {
        let state = state.value
        state.watch.stop()
        state.stopListening.take()?()
        for connection in state.waiting { connection.close() }
        state.waiting.removeAll()
        gate?.value.close()
    }

    // MARK: Reading

    /// Reads into a stage until its source is cancelled.
    ///
    /// - Parameter info: Whom all connections come from; nil to ask each.
    func read<Element: Sendable>(
        into inlet: Inlet<Element>, _ framing: StreamFraming, _ decoder: EventDecoder<Element>,
        _ limits: IngestLimits, from info: ConnectionInfo? = nil
    ) async throws {
        let source = try await ConnectionSource(inlet, decoder: decoder, limits: limits, loop: loop)
        let receiver = TCPReceiver(
            source.connections, framing: framing, logger: inlet.context.logger)
        try await source.run {
            let access = self.access
            self.setAcceptor { receiver.accept($0, access, from: info) }
            self.state.value.watch.start { source.connections.value.all }
        } close: {
            self.setAcceptor { $0.closeGracefully() }
        }
    }

    /// Who may send, and how; nil when everybody may.
    private var access: TCPAccess? {
        gate.map { TCPAccess(gate: $0.value, firstFrameTimeout: firstFrameTimeout, place: name) }
    }

    private func setAcceptor(_ acceptor: @escaping (TCPConnection) -> Void) {
        let state = state.value
        state.acceptor = acceptor
        let waiting = state.waiting
        state.waiting.removeAll()
        for connection in waiting { acceptor(connection) }
    }
}

/// Keeps a connection that is not read yet.
private final class WaitingConnection: TCPConnectionHandler {
    func connection(
        _ connection: TCPConnection, received bytes: UnsafeMutableRawBufferPointer
    ) -> Int { 0 }
}
