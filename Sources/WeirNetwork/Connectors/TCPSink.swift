public import WeirCore

extension Sink {
    /// Sends every event to a TCP server in JSON, one a line by default; see ``tcp(host:port:tls:framing:encoder:)``.
    public static func tcp(
        host: String, port: Int, tls: TLSClientConfiguration? = nil,
        framing: StreamFraming = .lines()
    ) -> Sink where Element: Encodable {
        tcp(host: host, port: port, tls: tls, framing: framing, encoder: .json)
    }

    /// Sends every event to a TCP server.
    ///
    /// It connects when the topology starts; a lost connection restarts the sink, which connects again after the
    /// supervisor's backoff and sends the batch that failed once more. What the kernel had taken and the peer had not
    /// read is lost with a connection, since nothing confirms it: neither at least nor at most once.
    ///
    /// - Parameters:
    ///   - host: The server's name or address.
    ///   - port: Its port.
    ///   - tls: Speaks TLS; nil, the default, does not.
    ///   - framing: How messages are told apart.
    ///   - encoder: How an event becomes a message.
    public static func tcp(
        host: String, port: Int, tls: TLSClientConfiguration? = nil,
        framing: StreamFraming = .lines(), encoder: EventEncoder<Element>
    ) -> Sink {
        Sink("tcp") { context in
            let loop = try Loop.shared()
            let tls = try tls.map { tls throws(NetworkError) in try TLSClientContext(tls) }
            let client = try await TCPClient.connect(host: host, port: port, tls: tls, on: loop)
            return TCPWriter(client: client, framing: framing, encoder: encoder, context: context)
        }
    }
}

extension NetworkError: SinkUnavailable {}

/// Writes events to a connection, each behind the other.
final class TCPWriter<Element: Sendable>: SinkWriter {
    private let client: TCPClient
    private let framing: StreamFraming
    private var encoder: MessageEncoder<Element>

    init(
        client: TCPClient, framing: StreamFraming, encoder: EventEncoder<Element>,
        context: SinkContext
    ) {
        self.client = client
        self.framing = framing
        self.encoder = MessageEncoder(encoder, context)
    }

    func write(_ batch: Batch<Element>) async throws {
        var bytes: [UInt8] = []
        encoder.encode(batch) { message in
            let start = bytes.count
            do {
                try message.withUnsafeBytes { try framing.wrap($0, &bytes) }
            } catch {
                bytes.removeLast(bytes.count - start)
                throw error
            }
        }
        try await client.write(bytes)
        encoder.giveUpUnfit()
    }

    func close() async throws {
        await client.close()
    }
}

/// A client's connection whose writes wait for the kernel.
final class TCPClient: Sendable {
    private let state: LoopBound<State>

    private final class State: TCPConnectionHandler {
        let connection: TCPConnection
        /// What the connection had no room for; its wait may be over.
        var waiting: (bytes: [UInt8], wait: LoopWait<Void>)?
        var failure: NetworkError?
        var isClosed = false
        var closeWaiters: [CheckedContinuation<Void, Never>] = []

        init(_ connection: TCPConnection) {
            self.connection = connection
        }

        /// What the server says is read and ignored, so that it can't block.
        func connection(
            _ connection: TCPConnection, received bytes: UnsafeMutableRawBufferPointer
        ) -> Int { bytes.count }

        func connectionDrained(_ connection: TCPConnection) {
            guard let (bytes, wait) = waiting, !wait.isOver else { return }
            waiting = nil
            write(bytes, wait)
        }

        func connectionClosed(_ connection: TCPConnection, error: NetworkError?) {
            isClosed = true
            failure = error
            waiting?.wait.end(.failure(lost))
            waiting = nil
            for waiter in closeWaiters { waiter.resume() }
            closeWaiters.removeAll()
        }

        func write(_ bytes: [UInt8], _ wait: LoopWait<Void>) {
            if isClosed {
                wait.end(.failure(lost))
                return
            }
            switch bytes.withUnsafeBytes({ connection.write($0) }) {
            case .sent, .queued: wait.end(.success(()))
            case .refused: waiting = (bytes, wait)
            case .closed: wait.end(.failure(lost))
            }
        }

        /// Sends what is queued first, unless it was given up that the server takes it.
        func close() {
            if waiting != nil {
                connection.close()
            } else {
                connection.closeWhenTaken(orStuckFor: .seconds(5))
            }
        }

        var lost: NetworkError {
            failure ?? NetworkError(.connectionLost, "the server has closed the connection")
        }
    }

    /// Takes over a connection, on its loop.
    convenience init(adopting connection: TCPConnection) {
        let state = State(connection)
        connection.handler = state
        connection.resumeReading()
        self.init(LoopBound(state, on: connection.loop))
    }

    private init(_ state: LoopBound<State>) {
        self.state = state
    }

    static func connect(
        host: String, port: Int, tls: TLSClientContext? = nil, on loop: Loop
    ) async throws -> TCPClient {
        try await loop.wait { wait in
            TCPConnection.connect(to: host, port: port, on: loop, tls: tls) { result in
                let client = result.map { TCPClient(adopting: $0) }
                if !wait.end(client.mapError { $0 }) { try? result.get().close() }
            }
        }
    }

    /// Writes bytes; waits while the connection's queue is full.
    ///
    /// Throws when the connection is lost, and when the task is cancelled while it waits.
    func write(_ bytes: [UInt8]) async throws {
        if bytes.isEmpty { return }
        let state = state
        try await state.loop.wait { state.value.write(bytes, $0) }
    }

    /// Sends what is queued, then closes.
    func close() async {
        let state = state
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            state.loop.execute {
                if state.value.isClosed {
                    continuation.resume()
                } else {
                    state.value.closeWaiters.append(continuation)
                    state.value.close()
                }
            }
        }
    }
}
