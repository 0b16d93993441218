public import WeirCore

extension Source {
    /// Events from WebSocket clients: each message of each connection is one event.
    ///
    /// A message that can't be decoded goes to the dead letters with its bytes, the peer's address and the reason; the
    /// connection stays open. While the stage is full the sockets are not read, so the senders wait. An event is taken
    /// when it has been read; nothing tells the sender, so what lies in buffers at a crash of the process is lost.
    ///
    /// - Parameters:
    ///   - path: The path of the handshake, such as `/payments`.
    ///   - host: The address to listen on; loopback by default.
    ///   - port: The port; 0 lets the system choose, `running.addresses` then says which.
    ///   - type: The type of the events.
    ///   - decoder: How a message becomes an event.
    @inlinable
    public static func webSocket(
        _ path: String, host: String = "127.0.0.1", port: Int, as type: Element.Type = Element.self
    ) -> Source where Element: Decodable {
        webSocket(path, host: host, port: port, decoder: .json)
    }

    /// Events from WebSocket clients, decoded in a way of your own.
    public static func webSocket(
        _ path: String, host: String = "127.0.0.1", port: Int, decoder: EventDecoder<Element>
    ) -> Source {
        Source(
            "webSocket", endpoint: "webSocket \(host):\(port)\(path)",
            prepare: { context in
                let shared = try SharedServer.of(
                    context.resources, host: host, port: port, logger: context.logger)
                try await shared.start()
            }
        ) { inlet in
            let shared = try SharedServer.of(
                inlet.context.resources, host: host, port: port, logger: inlet.context.logger)
            let receiver = WebSocketReceiver(inlet, decoder: decoder)
            let bound = LoopBound(receiver, on: shared.server.loop)
            shared.server.addWebSocket(path) { _ in .accept(bound.value) }
            await waitForCancellation()
            shared.server.removeRoute(path)
            let rest = try await shared.server.loop.run { bound.value.stop() }
            try await inlet.send(rest)
        }
    }
}

/// Serves all the connections of a WebSocket source; used on the server's loop only.
private final class WebSocketReceiver<Element: Sendable>: WebSocketHandler {
    private let inlet: Inlet<Element>
    private let decoder: EventDecoder<Element>
    private var ingests: [ObjectIdentifier: (ingest: Ingest<Element>, connection: WebSocketConnection)] =
        [:]
    private var hasStopped = false

    init(_ inlet: Inlet<Element>, decoder: EventDecoder<Element>) {
        self.inlet = inlet
        self.decoder = decoder
    }

    func opened(_ connection: WebSocketConnection) {
        if hasStopped {
            connection.close(.goingAway, reason: "the source has stopped")
            return
        }
        let ingest = Ingest(
            inlet, decoder: decoder, origin: connection.tcp.remoteAddress?.description ?? "unknown",
            loop: connection.loop
        ) { [unowned connection] in connection.resume() }
        ingests[ObjectIdentifier(connection)] = (ingest, connection)
    }

    func received(
        _ bytes: UnsafeRawBufferPointer, _ kind: WebSocketMessageKind,
        on connection: WebSocketConnection
    ) -> Flow {
        guard let ingest = ingests[ObjectIdentifier(connection)]?.ingest else { return .proceed }
        let flow = ingest.take(bytes)
        if ingest.hasFailed { connection.close(.internalError, reason: "the stage has stopped") }
        return flow
    }

    func receivedAll(on connection: WebSocketConnection) {
        guard let ingest = ingests[ObjectIdentifier(connection)]?.ingest else { return }
        if ingest.pass() == .stop { connection.pause() }
    }

    func closed(_ connection: WebSocketConnection, _ closure: WebSocketClosure) {
        ingests.removeValue(forKey: ObjectIdentifier(connection))?.ingest.connectionClosed()
    }

    /// Closes all connections and returns what has been read and not passed on.
    func stop() -> Batch<Element> {
        hasStopped = true
        var rest = Batch<Element>()
        for (ingest, connection) in ingests.values {
            rest.append(contentsOf: ingest.takeRest())
            connection.close(.goingAway, reason: "the service stops")
        }
        ingests.removeAll()
        return rest
    }
}
