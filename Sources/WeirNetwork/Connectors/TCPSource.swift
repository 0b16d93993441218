import Logging
public import WeirCore

extension Source {
    /// Events from TCP clients: each frame of each connection is one event in JSON.
    ///
    /// See ``tcp(host:port:framing:decoder:)``.
    @inlinable
    public static func tcp(
        host: String = "127.0.0.1", port: Int, framing: StreamFraming = .lines(),
        as type: Element.Type = Element.self
    ) -> Source where Element: Decodable {
        tcp(host: host, port: port, framing: framing, decoder: .json)
    }

    /// Events from TCP clients: each frame of each connection is one event.
    ///
    /// A frame that can't be decoded goes to the dead letters with its bytes, the peer's address and the reason, and
    /// the connection goes on; one that breaks the framing closes the connection. While the stage is full the sockets
    /// are not read. An event is taken when it has been read; nothing tells the sender.
    ///
    /// - Parameters:
    ///   - host: The address to listen on; loopback by default.
    ///   - port: The port; 0 lets the system choose, `running.addresses` then says which.
    ///   - framing: How messages are told apart; lines by default.
    ///   - decoder: How a message becomes an event.
    public static func tcp(
        host: String = "127.0.0.1", port: Int, framing: StreamFraming = .lines(),
        decoder: EventDecoder<Element>
    ) -> Source {
        let name = "\(host):\(port)"
        return Source(
            "tcp", endpoint: "tcp \(name)",
            prepare: { context in
                _ = try await TCPService.of(context, host: host, port: port)
            }
        ) { inlet in
            let service = try await TCPService.of(inlet.context, host: host, port: port)
            let receiver = LoopBound(
                TCPReceiver(inlet, framing: framing, decoder: decoder), on: service.loop)
            try await service.loop.run {
                service.setAcceptor { receiver.value.accept($0) }
            }
            await waitForCancellation()
            let rest = try await service.loop.run {
                service.setAcceptor(nil)
                return receiver.value.stop()
            }
            try await sendRest(rest, to: inlet)
        }
    }
}

/// A listener of a run: it listens from the start, and gives its connections to whoever accepts.
final class TCPService: Sendable {
    let loop: Loop
    private let endpoint: TCPEndpoint
    private let state: LoopBound<State>

    private final class State {
        var listener: TCPListener?
        var acceptor: ((TCPConnection) -> Void)?
        /// Connections from before the source runs.
        var waiting: [TCPConnection] = []
    }

    private init(loop: Loop, endpoint: TCPEndpoint) {
        self.loop = loop
        self.endpoint = endpoint
        state = LoopBound(State(), on: loop)
    }

    static func of(_ context: SourceContext, host: String, port: Int) async throws -> TCPService {
        let name = "tcp://\(host):\(port)"
        let endpoint = context.resources.shared("\(name) endpoint") {
            TCPEndpoint(name: name)
        } close: { _ in
        }
        let service = try context.resources.shared(name) {
            TCPService(loop: try Loop.shared(), endpoint: endpoint)
        } close: { service in
            service.loop.execute { service.close() }
        }
        if endpoint.address == nil {
            var configuration = TCPListener.Configuration(host: host, port: port)
            configuration.logger = context.logger
            try await service.listen(configuration)
        }
        return service
    }

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
private final class TCPReceiver<Element: Sendable> {
    private let inlet: Inlet<Element>
    private let framing: StreamFraming
    private let decoder: EventDecoder<Element>
    private var open: [ObjectIdentifier: (ingest: Ingest<Element>, connection: TCPConnection)] = [:]
    private var departed = DepartedIngests<Element>()

    init(_ inlet: Inlet<Element>, framing: StreamFraming, decoder: EventDecoder<Element>) {
        self.inlet = inlet
        self.framing = framing
        self.decoder = decoder
    }

    func accept(_ connection: TCPConnection) {
        let origin = connection.remoteAddress?.description ?? "unknown"
        let ingest = Ingest(inlet, decoder: decoder, origin: origin, loop: connection.loop) {
            [weak connection] in connection?.resumeReading()
        }
        let key = ObjectIdentifier(connection)
        open[key] = (ingest, connection)
        let reader = framing.makeReader(
            connection, { try Self.take($0, ingest) },
            { [unowned connection] in
                if ingest.pass() == .stop { connection.pauseReading() }
            },
            { [weak self] error in
                ingest.connectionClosed()
                self?.closed(key, origin, error)
            })
        if departed.hasRest { ingest.resumeWhenSpace() } else { reader.resume() }
    }

    private static func take(
        _ frame: UnsafeRawBufferPointer, _ ingest: Ingest<Element>
    ) throws -> Flow {
        let flow = ingest.take(frame)
        if ingest.hasFailed { throw FramingError("the stage has stopped") }
        return flow
    }

    private func closed(_ key: ObjectIdentifier, _ origin: String, _ error: (any Error)?) {
        if let ingest = open.removeValue(forKey: key)?.ingest { departed.add(ingest) }
        guard let error = error as? FramingError else { return }
        inlet.context.logger.notice(
            "connection closed: its bytes can't be cut into messages",
            metadata: ["origin": "\(origin)", "error": "\(error)"])
    }

    /// Closes all connections and returns what has been read and not passed on.
    func stop() -> Batch<Element> {
        var rest = departed.takeRest()
        for (ingest, connection) in open.values {
            rest.append(contentsOf: ingest.takeRest())
            connection.closeGracefully()
        }
        open.removeAll()
        return rest
    }
}
