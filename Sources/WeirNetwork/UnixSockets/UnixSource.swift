import Logging
public import WeirCore

/// How a source listens on a socket in the file system.
public struct UnixSocketOptions: Sendable, Hashable {
    /// Who may connect, as the permissions of a file; 0o600 by default: this user only.
    public var permissions = 0o600
    /// Open connections at one time; 10,000 by default.
    ///
    /// Those beyond are closed at once.
    public var maximumConnections = 10_000
    /// Time without a byte after which a connection is closed; 1 hour by default, nil for never.
    ///
    /// Time during which the source itself doesn't read does not count, here and below.
    public var idleTimeout: Duration? = .seconds(3_600)
    /// Time for a message that has begun to be complete; 60 s by default, nil for any.
    public var messageTimeout: Duration? = .seconds(60)

    /// Creates the default options.
    public init() {}
}

extension Source {
    /// Events from clients of a Unix socket, in JSON, one a line by default.
    ///
    /// See the source with a decoder of one's own.
    @inlinable
    public static func unix(
        path: String, framing: StreamFraming = .lines(), as type: Element.Type = Element.self,
        options: UnixSocketOptions = UnixSocketOptions()
    ) -> Source where Element: Decodable {
        unix(path: path, framing: framing, options: options, decoder: .json)
    }

    /// Events from clients of a Unix socket: each frame of each connection is one event.
    ///
    /// All that is said of ``tcp(host:port:tls:framing:decoder:limits:)`` holds, the acknowledging
    /// protocol too. A socket that was left behind by a process that is no more is replaced; one
    /// that a process listens on makes `start()` throw. It is removed when the run ends.
    ///
    /// - Parameters:
    ///   - path: Where the socket is, in at most 107 bytes (103 on macOS).
    ///   - framing: How messages are told apart; lines by default.
    ///   - options: Permissions and the number of connections.
    ///   - decoder: How a message becomes an event; its connection is `unix:` and the path.
    ///   - limits: What is kept, in memory and in the ingest journal.
    public static func unix(
        path: String, framing: StreamFraming = .lines(),
        options: UnixSocketOptions = UnixSocketOptions(), decoder: EventDecoder<Element>,
        limits: IngestLimits = IngestLimits()
    ) -> Source {
        Source(
            "unix", endpoint: "unix \(path)",
            prepare: { context in
                try await ConnectionSource<Element>.prepare(context, limits)
                _ = try await UnixService.of(context, path: path, options: options)
            }
        ) { inlet in
            let service = try await UnixService.of(inlet.context, path: path, options: options)
            let source = try await ConnectionSource(
                inlet, decoder: decoder, limits: limits, loop: service.loop)
            let receiver = TCPReceiver(
                source.connections, framing: framing, logger: inlet.context.logger)
            let info = ConnectionInfo(remoteAddress: "unix:\(path)")
            try await source.run {
                service.setAcceptor { receiver.accept($0, nil, from: info) }
                service.watch { source.connections.value.all }
            } close: {
                service.setAcceptor(nil)
            }
        }.recorded(decodeFrom: decoder.appender(forRecorded:))
    }
}

/// A listener of a run: it listens from the start, and gives its connections to whoever accepts.
private final class UnixService: ListenerCounting {
    let loop: Loop
    let name: String
    var counters: ServerCounters { cells.snapshot }
    private let cells = ServerCounterCells()
    private let state: LoopBound<State>

    private final class State {
        var listener: UnixListener?
        var acceptor: ((TCPConnection) -> Void)?
        /// Connections from before the source runs.
        var waiting: [TCPConnection] = []
        let watch: SilenceWatch

        init(_ watch: SilenceWatch) { self.watch = watch }
    }

    private init(loop: Loop, path: String, _ options: UnixSocketOptions, _ logger: Logger) {
        self.loop = loop
        name = "unix:\(path)"
        let limits = SilenceLimits(idle: options.idleTimeout, message: options.messageTimeout)
        let watch = SilenceWatch(limits, cells, logger, name, on: loop)
        state = LoopBound(State(watch), on: loop)
    }

    static func of(
        _ context: SourceContext, path: String, options: UnixSocketOptions
    ) async throws -> UnixService {
        let service = try context.resources.shared("unix \(path)") {
            UnixService(
                loop: try Loop.shared(), path: path, options, context.logger)
        } close: { service in
            // The file has to be gone when the run has ended.
            try? await service.loop.run { service.close() }
        }
        try await service.listen(path, options, context.logger)
        return service
    }

    private func listen(
        _ path: String, _ options: UnixSocketOptions, _ logger: Logger
    ) async throws {
        let (state, loop, cells) = (state, loop, cells)
        try await loop.run {
            if state.value.listener != nil { return }
            state.value.listener = try UnixListener(
                UnixPath(path), options, on: loop, logger: logger, counters: cells
            ) { connection in
                connection.counters = cells
                if let acceptor = state.value.acceptor {
                    acceptor(connection)
                } else {
                    connection.handler = UnreadConnection()
                    state.value.waiting.append(connection)
                }
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

    /// On the loop: closes connections that take too long.
    func watch(_ connections: @escaping () -> [IngestConnection]) {
        state.value.watch.start(connections)
    }

    private func close() {
        state.value.watch.stop()
        state.value.listener?.close()
        state.value.listener = nil
        for connection in state.value.waiting { connection.close() }
        state.value.waiting.removeAll()
    }
}

/// Keeps a connection that is not read yet.
private final class UnreadConnection: TCPConnectionHandler {
    func connection(
        _ connection: TCPConnection, received bytes: UnsafeMutableRawBufferPointer
    ) -> Int { 0 }
}
