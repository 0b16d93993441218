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
                let gate = WebSocketGate.of(shared, path, context.resources)
                shared.server.addWebSocket(path) { _ in .accept(gate.value) }
                try await shared.start()
            }
        ) { inlet in
            let resources = inlet.context.resources
            let shared = try SharedServer.of(
                resources, host: host, port: port, logger: inlet.context.logger)
            let receiver = LoopBound(
                WebSocketReceiver(inlet, decoder: decoder), on: shared.server.loop)
            let gate = WebSocketGate.of(shared, path, resources)
            shared.server.addWebSocket(path) { _ in .accept(gate.value) }
            try await shared.server.loop.run { gate.value.open(to: receiver.value) }
            await waitForCancellation()
            shared.server.removeRoute(path)
            let rest = try await shared.server.loop.run { receiver.value.stop() }
            try await sendRest(rest, to: inlet)
        }
    }
}

/// Lets connections that come before the source runs wait for it; used on the server's loop only.
private final class WebSocketGate: WebSocketHandler {
    private var receiver: (any WebSocketHandler)?
    private var waiting: [WebSocketConnection] = []

    /// The gate of a path in a run.
    static func of(
        _ shared: SharedServer, _ path: String, _ resources: RunResources
    ) -> LoopBound<WebSocketGate> {
        resources.shared("gate \(shared.name)\(path)") {
            LoopBound(WebSocketGate(), on: shared.server.loop)
        } close: { _ in
        }
    }

    func open(to receiver: any WebSocketHandler) {
        self.receiver = receiver
        for connection in waiting {
            receiver.opened(connection)
            connection.resume()
        }
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
private final class WebSocketReceiver<Element: Sendable>: WebSocketHandler {
    private let inlet: Inlet<Element>
    private let decoder: EventDecoder<Element>
    private typealias Entry = (ingest: Ingest<Element>, connection: WebSocketConnection)
    private var ingests: [ObjectIdentifier: Entry] = [:]
    private var departed = DepartedIngests<Element>()
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
        if departed.hasRest {
            connection.pause()
            ingest.resumeWhenSpace()
        }
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
        guard let ingest = ingests.removeValue(forKey: ObjectIdentifier(connection))?.ingest else {
            return
        }
        ingest.connectionClosed()
        departed.add(ingest)
    }

    /// Closes all connections and returns what has been read and not passed on.
    func stop() -> Batch<Element> {
        hasStopped = true
        var rest = departed.takeRest()
        for (ingest, connection) in ingests.values {
            rest.append(contentsOf: ingest.takeRest())
            connection.close(.goingAway, reason: "the service stops")
        }
        ingests.removeAll()
        return rest
    }
}
