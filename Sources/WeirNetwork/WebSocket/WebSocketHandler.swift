/// What uses WebSocket connections: it gets messages and events, on the loop's thread.
///
/// One handler may serve many connections of one loop.
public protocol WebSocketHandler: AnyObject {
    /// The handshake is done; messages may be sent.
    func opened(_ connection: WebSocketConnection)

    /// Takes one message; ``Flow/stop`` says that there is no room for more until `resume()`.
    ///
    /// The bytes are valid during the call only; a text is valid UTF-8.
    func received(
        _ bytes: UnsafeRawBufferPointer, _ kind: WebSocketMessageKind,
        on connection: WebSocketConnection
    ) -> Flow

    /// All messages of one read of the socket were given: the time to pass a batch on.
    func receivedAll(on connection: WebSocketConnection)

    /// All queued bytes are with the kernel, after some had to wait or a send was refused.
    func drained(_ connection: WebSocketConnection)

    /// The connection has ended for both sides; the last call.
    func closed(_ connection: WebSocketConnection, _ closure: WebSocketClosure)
}

extension WebSocketHandler {
    /// Does nothing.
    public func opened(_ connection: WebSocketConnection) {}
    /// Does nothing.
    public func receivedAll(on connection: WebSocketConnection) {}
    /// Does nothing.
    public func drained(_ connection: WebSocketConnection) {}
    /// Does nothing.
    public func closed(_ connection: WebSocketConnection, _ closure: WebSocketClosure) {}
}

/// How a WebSocket connection ended.
public struct WebSocketClosure: Sendable {
    /// The peer's close code, or ours when we closed for an error or alone; 1006 for neither.
    public let code: WebSocketCloseCode
    /// The reason given with the code.
    public let reason: String
    /// Whether both sides sent a close frame.
    public let wasClean: Bool
    /// The failure of the connection below, when there was one.
    public let error: NetworkError?
}

/// What happens when a connection's write queue is at its limit.
public struct WriteOverflowPolicy: Sendable, Hashable {
    private enum Choice { case disconnect, drop, report }
    private let choice: Choice

    /// The connection is closed with 1013; counted.
    public static let disconnect = WriteOverflowPolicy(choice: .disconnect)
    /// The message is dropped for this connection; counted.
    public static let dropMessage = WriteOverflowPolicy(choice: .drop)
    /// Nothing is done; the sender sees ``WriteOutcome/refused`` and may wait for `drained`.
    public static let report = WriteOverflowPolicy(choice: .report)
}
