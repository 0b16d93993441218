/// A WebSocket client for code that is not on a loop: async functions around one connection.
///
/// Messages come to `onMessage` on the loop's thread; sending suspends while the connection's write
/// queue is full. Close it when done: an open connection stays open without its client.
public final class WebSocketClient: Sendable {
    /// Gets a message; the bytes are valid during the call only.
    public typealias OnMessage = @Sendable (UnsafeRawBufferPointer, WebSocketMessageKind) -> Flow

    private let session: LoopBound<ClientSession>

    private init(_ session: LoopBound<ClientSession>) { self.session = session }

    /// Connects to `ws://host:port/path` or `wss://host:port/path`.
    ///
    /// - Throws: ``NetworkError``, also when the server refuses the handshake; `CancellationError`
    ///   when the task is cancelled before.
    public static func connect(
        to url: String, on loop: Loop? = nil,
        configuration: WebSocketClientConfiguration = WebSocketClientConfiguration(),
        onMessage: @escaping OnMessage = { _, _ in .proceed },
        onClose: @escaping @Sendable (WebSocketClosure) -> Void = { _ in }
    ) async throws -> WebSocketClient {
        let loop = if let loop { loop } else { try Loop.shared() }
        return try await loop.wait { wait in
            let session = ClientSession(onMessage, onClose)
            WebSocketConnection.connect(
                to: url, on: loop, configuration: configuration, handler: session
            ) { result in
                session.connection = try? result.get()
                let client = result.map { _ in WebSocketClient(LoopBound(session, on: loop)) }
                if !wait.end(client.mapError { $0 }) { session.connection?.tcp.close() }
            }
        }
    }

    /// Sends a text; suspends while the write queue is full.
    ///
    /// - Throws: ``NetworkError/Code/closed`` when the connection is closed.
    public func send(_ text: String) async throws {
        try await send([WebSocketFrame(text: text)])
    }

    /// Sends binary bytes; suspends while the write queue is full.
    ///
    /// - Throws: ``NetworkError/Code/closed`` when the connection is closed.
    public func send(_ bytes: [UInt8]) async throws {
        try await send([bytes.withUnsafeBytes { WebSocketFrame(.binary, $0) }])
    }

    /// Sends messages in order with as few writes as possible; suspends while the queue is full.
    ///
    /// - Throws: ``NetworkError/Code/closed`` when the connection closes before all are taken;
    ///   `CancellationError` when the task is cancelled before, after which those that are not taken
    ///   are not sent.
    public func send(_ frames: [WebSocketFrame]) async throws {
        let session = session
        try await session.loop.wait { session.value.send(frames[...], $0) }
    }

    /// Goes on with messages after `onMessage` answered ``Flow/stop``; from any thread.
    public func resume() {
        let session = session
        session.loop.onLoop { session.value.connection?.resume() }
    }

    /// Closes with the close handshake and waits for its end.
    ///
    /// A server that takes nothing, so that a `send` was given up by its task's cancellation, gets
    /// none: the connection is cut.
    public func close(_ code: WebSocketCloseCode = .normal, reason: String = "") async {
        let session = session
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            session.loop.execute {
                session.value.close(code, reason) { continuation.resume() }
            }
        }
    }
}

/// The part of a client that lives on the loop.
private final class ClientSession: WebSocketHandler {
    var connection: WebSocketConnection?
    private let onMessage: WebSocketClient.OnMessage
    private let onClose: @Sendable (WebSocketClosure) -> Void
    /// Senders that wait for room, in order; each holds its own messages.
    private var waiting: [(frames: ArraySlice<WebSocketFrame>, wait: LoopWait<Void>)] = []
    private var closeWaiters: [() -> Void] = []

    init(
        _ onMessage: @escaping WebSocketClient.OnMessage,
        _ onClose: @escaping @Sendable (WebSocketClosure) -> Void
    ) {
        self.onMessage = onMessage
        self.onClose = onClose
    }

    func send(_ frames: ArraySlice<WebSocketFrame>, _ wait: LoopWait<Void>) {
        waiting.removeAll(where: \.wait.isOver)
        if !waiting.isEmpty {
            waiting.append((frames, wait))
            return
        }
        let rest = push(frames)
        switch rest {
        case nil: wait.end(.failure(Self.closedError))
        case .some(let rest) where rest.isEmpty: wait.end(.success(()))
        case .some(let rest): waiting.append((rest, wait))
        }
    }

    private static let closedError = NetworkError(.closed, "the WebSocket connection is closed")

    /// Sends as many frames as there is room for and returns the others; `nil` when closed.
    private func push(_ frames: ArraySlice<WebSocketFrame>) -> ArraySlice<WebSocketFrame>? {
        guard let connection else { return nil }
        return connection.corked {
            for index in frames.indices {
                switch connection.send(frames[index]) {
                case .sent, .queued: continue
                case .refused: return frames[index...]
                case .closed: return nil
                }
            }
            return []
        }
    }

    func drained(_ connection: WebSocketConnection) {
        while let (frames, wait) = waiting.first {
            if !wait.isOver {
                guard let rest = push(frames) else { return }
                if !rest.isEmpty {
                    waiting[0].frames = rest
                    return
                }
            }
            waiting.removeFirst()
            wait.end(.success(()))
        }
    }

    func received(
        _ bytes: UnsafeRawBufferPointer, _ kind: WebSocketMessageKind,
        on connection: WebSocketConnection
    ) -> Flow {
        onMessage(bytes, kind)
    }

    func close(
        _ code: WebSocketCloseCode, _ reason: String, _ completion: @escaping () -> Void
    ) {
        guard let connection else {
            completion()
            return
        }
        closeWaiters.append(completion)
        if waiting.contains(where: \.wait.isOver) {
            connection.tcp.close()
        } else {
            connection.close(code, reason: reason)
        }
    }

    func closed(_ connection: WebSocketConnection, _ closure: WebSocketClosure) {
        self.connection = nil
        let senders = waiting
        let closers = closeWaiters
        waiting = []
        closeWaiters = []
        onClose(closure)
        for (_, wait) in senders { wait.end(.failure(Self.closedError)) }
        for waiter in closers { waiter() }
    }
}
