public import WeirCore

extension Source {
    /// Events from WebSocket clients: each message of each connection is one event.
    ///
    /// A message that can't be decoded goes to the dead letters with its bytes, the peer's address and the reason; the
    /// connection stays open. While the stage is full the sockets are not read, so the senders wait.
    ///
    /// A client that offers the subprotocol `weir.ack.v1` numbers its messages and is told which are safe, so that each
    /// event comes exactly once however often the client connects again: see `docs/acknowledging-protocol.md` and
    /// ``AcknowledgedSender``. In a run with a store all that is read is first written to the ingest journal, and safe
    /// means durable; what was read and is not yet part of a checkpoint comes again after a restart, in the same order.
    /// Without a store safe means that the stage's mailbox has it. Nothing tells a plain client.
    ///
    /// - Parameters:
    ///   - path: The path of the handshake, such as `/payments`.
    ///   - host: The address to listen on; loopback by default.
    ///   - port: The port; 0 lets the system choose, `running.addresses` then says which.
    ///   - tls: Speaks TLS (`wss://`); nil, the default, does not. All on one port give the same.
    ///   - type: The type of the events.
    ///   - options: Who may connect, subprotocols, limits and compression.
    @inlinable
    public static func webSocket(
        _ path: String, host: String = "127.0.0.1", port: Int, tls: TLSServerConfiguration? = nil,
        as type: Element.Type = Element.self, options: WebSocketOptions = WebSocketOptions()
    ) -> Source where Element: Decodable {
        webSocket(path, host: host, port: port, tls: tls, decoder: .json, options: options)
    }

    /// Events from WebSocket clients, decoded in a way of your own.
    ///
    /// - Parameters:
    ///   - decoder: How a message becomes an event.
    ///   - limits: What is kept, in memory and in the ingest journal.
    ///   - options: Who may connect, subprotocols, limits and compression.
    public static func webSocket(
        _ path: String, host: String = "127.0.0.1", port: Int, tls: TLSServerConfiguration? = nil,
        decoder: EventDecoder<Element>, limits: IngestLimits = IngestLimits(),
        options: WebSocketOptions = WebSocketOptions()
    ) -> Source {
        Source(
            "webSocket", endpoint: "webSocket \(host):\(port)\(path)",
            prepare: { context in
                try await ConnectionSource<Element>.prepare(context, limits)
                let shared = try SharedServer.of(
                    context.resources, host: host, port: port, tls: tls, logger: context.logger)
                let gate = WebSocketGate.of(shared, path, context.resources)
                shared.server.addWebSocket(path, roles: .ingest) {
                    WebSocketGate.accept($0, gate, options)
                }
                try await shared.start()
            }
        ) { inlet in
            let resources = inlet.context.resources
            let shared = try SharedServer.of(
                resources, host: host, port: port, tls: tls, logger: inlet.context.logger)
            let source = try await ConnectionSource(
                inlet, decoder: decoder, limits: limits, loop: shared.server.loop)
            let receiver = try await shared.server.loop.run {
                LoopBound(WebSocketReceiver(source.connections), on: shared.server.loop)
            }
            let gate = WebSocketGate.of(shared, path, resources)
            shared.server.addWebSocket(path, roles: .ingest) {
                WebSocketGate.accept($0, gate, options)
            }
            try await source.run {
                gate.value.open(to: receiver.value)
            } close: {
                gate.value.close()
            }
        }.recorded(decodeFrom: decoder.appender(forRecorded:))
    }
}

/// Lets connections that come before the source runs wait for it; used on the server's loop only.
private final class WebSocketGate: WebSocketHandler {
    private var receiver: (any WebSocketHandler)?
    private var waiting: [WebSocketConnection] = []
    /// Set while the source has ended, and is not begun again.
    private var hasClosed = false

    /// The gate of a path in a run.
    static func of(
        _ shared: SharedServer, _ path: String, _ resources: RunResources
    ) -> LoopBound<WebSocketGate> {
        resources.shared("gate \(shared.name)\(path)") {
            LoopBound(WebSocketGate(), on: shared.server.loop)
        } close: { _ in
        }
    }

    /// Accepts a handshake, with the acknowledging protocol for a client that offers it.
    static func accept(
        _ request: WebSocketRequest, _ gate: LoopBound<WebSocketGate>, _ options: WebSocketOptions
    ) -> WebSocketDecision {
        if gate.value.hasClosed { return .refuse(503, "the source does not run at the moment") }
        var options = options
        options.subprotocols.insert(AcknowledgingProtocol.subprotocol, at: 0)
        return options.decide(request, for: gate.value)
    }

    /// Takes no more connections; those that are open stay with their receiver.
    func close() { hasClosed = true }

    func open(to receiver: any WebSocketHandler) {
        hasClosed = false
        self.receiver = receiver
        for connection in waiting { receiver.opened(connection) }
        waiting.removeAll()
    }

    func opened(_ connection: WebSocketConnection) {
        if let receiver {
            receiver.opened(connection)
        } else {
            connection.pause()
            waiting.append(connection)
        }
    }

    func received(
        _ bytes: UnsafeRawBufferPointer, _ kind: WebSocketMessageKind,
        on connection: WebSocketConnection
    ) -> Flow { receiver?.received(bytes, kind, on: connection) ?? .stop }

    func receivedAll(on connection: WebSocketConnection) {
        receiver?.receivedAll(on: connection)
    }

    func closed(_ connection: WebSocketConnection, _ closure: WebSocketClosure) {
        waiting.removeAll { $0 === connection }
        receiver?.closed(connection, closure)
    }
}

/// Serves all the connections of a WebSocket source; used on the server's loop only.
final class WebSocketReceiver<Element: Sendable>: WebSocketHandler {
    private let connections: SourceConnections<Element>

    init(_ connections: LoopBound<SourceConnections<Element>>) {
        self.connections = connections.value
    }

    func opened(_ connection: WebSocketConnection) {
        let acknowledges = connection.subprotocol == AcknowledgingProtocol.subprotocol
        _ = connections.add(
            connection, WebSocketPeer(connection),
            from: connection.tcp.connectionInfo,
            opening: acknowledges ? .acknowledging : .plain, access: connection.tcp.access)
    }

    func received(
        _ bytes: UnsafeRawBufferPointer, _ kind: WebSocketMessageKind,
        on connection: WebSocketConnection
    ) -> Flow {
        guard let ingest = connections[connection] else { return .proceed }
        let flow = ingest.take(bytes)
        if ingest.intake.hasFailed {
            connection.close(.internalError, reason: "the stage has stopped")
        }
        return flow
    }

    func receivedAll(on connection: WebSocketConnection) {
        guard let ingest = connections[connection] else { return }
        if ingest.pass() == .stop { connection.pause() }
    }

    func closed(_ connection: WebSocketConnection, _ closure: WebSocketClosure) {
        connections.remove(connection)
    }
}

private final class WebSocketPeer: IngestPeer {
    private let connection: WebSocketConnection

    init(_ connection: WebSocketConnection) {
        self.connection = connection
    }

    var dialect: AcknowledgingDialect { .json }
    func pause() { connection.pause() }
    func resume() { connection.resume() }
    func giveLast() { connection.tcp.offerLast() }
    func send(_ text: String) { connection.send(text) }

    func refuse(_ reason: String) {
        connection.send(dialect.error(reason))
        connection.close(.policyViolation, reason: reason)
    }

    func goAway() { connection.close(.goingAway, reason: "the service stops") }
}
