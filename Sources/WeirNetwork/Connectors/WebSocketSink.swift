public import WeirCore

extension Sink {
    /// Sends every event to all WebSocket clients that are connected to a path.
    ///
    /// At most once per client: a client sees what is sent while it is connected. A client that reads too slowly is
    /// disconnected with 1013 when 1 MiB waits for it; that is counted, and never holds the others up.
    ///
    /// - Parameters:
    ///   - path: The path of the handshake, such as `/alerts`.
    ///   - host: The address to listen on; loopback by default.
    ///   - port: The port, shared with other sources, sinks and pages on it.
    ///   - tls: Speaks TLS (`wss://`); nil, the default, does not. All on one port give the same.
    ///   - options: Who may connect, subprotocols, limits and compression.
    public static func webSocket(
        _ path: String, host: String = "127.0.0.1", port: Int, tls: TLSServerConfiguration? = nil,
        options: WebSocketOptions = WebSocketOptions()
    ) -> Sink where Element: Encodable {
        webSocket(path, host: host, port: port, tls: tls, encoder: .json, options: options)
    }

    /// The same with messages encoded in a way of your own.
    public static func webSocket(
        _ path: String, host: String = "127.0.0.1", port: Int, tls: TLSServerConfiguration? = nil,
        encoder: EventEncoder<Element>, options: WebSocketOptions = WebSocketOptions()
    ) -> Sink {
        Sink("webSocket", endpoint: "webSocket \(host):\(port)\(path)") { context in
            let shared = try SharedServer.of(
                context.resources, host: host, port: port, tls: tls, logger: context.logger)
            let loop = shared.server.loop
            // They outlive the writer, which is made anew when the stage restarts.
            let clients = context.resources.shared("clients \(shared.name)\(path)") {
                LoopBound(BroadcastClients(), on: loop)
            } close: { clients in
                try? await loop.run { clients.value.close() }
            }
            shared.server.addWebSocket(path, roles: .read) {
                options.decide($0, for: clients.value)
            }
            try await shared.start()
            return BroadcastWriter(clients, encoder: encoder, context: context)
        }
    }
}

private final class BroadcastWriter<Element: Sendable>: SinkWriter {
    private let clients: LoopBound<BroadcastClients>
    private let context: SinkContext
    private var encoder: MessageEncoder<Element>

    init(
        _ clients: LoopBound<BroadcastClients>, encoder: EventEncoder<Element>,
        context: SinkContext
    ) {
        self.clients = clients
        self.context = context
        self.encoder = MessageEncoder(encoder, context)
    }

    func write(_ batch: Batch<Element>) async throws {
        let messages = encoder.frames(of: batch)
        // Waiting for the loop keeps what lies between us bounded by one batch.
        let clients = clients
        let dropped = try await clients.loop.run { clients.value.send(messages) }
        encoder.giveUpUnfit()
        if dropped > 0 { context.countDropped(dropped) }
    }
}

/// The clients of a broadcast; used on the server's loop only.
private final class BroadcastClients: WebSocketHandler {
    private var connections: [ObjectIdentifier: WebSocketConnection] = [:]

    func opened(_ connection: WebSocketConnection) {
        connections[ObjectIdentifier(connection)] = connection
    }

    func received(
        _ bytes: UnsafeRawBufferPointer, _ kind: WebSocketMessageKind,
        on connection: WebSocketConnection
    ) -> Flow { .proceed }

    func closed(_ connection: WebSocketConnection, _ closure: WebSocketClosure) {
        connections.removeValue(forKey: ObjectIdentifier(connection))
    }

    /// Returns how many messages could not be given to a client.
    func send(_ frames: [WebSocketFrame]) -> Int {
        var dropped = 0
        for connection in Array(connections.values) {
            connection.corked {
                for frame in frames {
                    switch connection.send(frame) {
                    case .sent, .queued: break
                    case .refused, .closed: dropped += 1
                    }
                }
            }
        }
        return dropped
    }

    func close() {
        for connection in Array(connections.values) {
            connection.close(.goingAway, reason: "the service stops")
        }
    }
}
