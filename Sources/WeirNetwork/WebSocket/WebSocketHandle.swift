/// A WebSocket connection as seen from other threads; each call hops to the connection's loop.
///
/// A hop costs some 10 µs of latency: send several messages in one call.
public struct WebSocketHandle: Sendable, Hashable {
    private let connection: LoopBound<WebSocketConnection>
    private let identity: ObjectIdentifier

    init(_ connection: WebSocketConnection) {
        self.connection = LoopBound(connection, on: connection.loop)
        identity = ObjectIdentifier(connection)
    }

    /// Goes on after a handler said ``Flow/stop``.
    public func resume() { perform { $0.resume() } }

    /// Sends messages in order, gathered into as few writes as possible.
    public func send(_ frames: [WebSocketFrame]) {
        perform { connection in
            connection.corked { for frame in frames { connection.send(frame) } }
        }
    }

    /// Starts the close handshake.
    public func close(_ code: WebSocketCloseCode = .normal, reason: String = "") {
        perform { $0.close(code, reason: reason) }
    }

    /// Runs a closure with the connection on its loop.
    public func perform(_ body: @escaping @Sendable (WebSocketConnection) -> Void) {
        let connection = connection
        connection.loop.onLoop { body(connection.value) }
    }

    /// Whether both are the same connection.
    public static func == (left: Self, right: Self) -> Bool { left.identity == right.identity }

    /// Feeds the identity of the connection to a hasher.
    public func hash(into hasher: inout Hasher) { hasher.combine(identity) }
}
