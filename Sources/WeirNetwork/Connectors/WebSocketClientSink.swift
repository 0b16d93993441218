import Logging
public import WeirCore

/// How a sink connects to a WebSocket server and keeps the connection.
public struct WebSocketClientSinkOptions: Sendable {
    /// Texts that are sent after each connection, before any event; none by default.
    public var opening: [String] = []
    /// When a lost connection is made again; 10 attempts in a row by default.
    public var reconnection = ReconnectionPolicy(attempts: 10)
    /// Subprotocols, headers, times and limits of the connection.
    public var client = WebSocketClientConfiguration()

    /// Creates the default options.
    public init() {}
}

extension Sink {
    /// Sends every event to a WebSocket server in JSON; see the sink with an encoder of one's own.
    public static func webSocket(
        url: String, options: WebSocketClientSinkOptions = WebSocketClientSinkOptions()
    ) -> Sink where Element: Encodable {
        webSocket(url: url, options: options, encoder: .json)
    }

    /// Sends every event to a WebSocket server, each as one message.
    ///
    /// It connects when the topology starts, which fails when the server is not there. A connection
    /// that is lost later is made again after growing pauses, while the stream waits; then the batch
    /// that failed is sent once more. What the kernel had taken and the server had not read is lost
    /// with a connection, since nothing confirms it: neither at least nor at most once. After
    /// `options.reconnection.attempts` the error goes to the sink's supervisor. What the server says
    /// is read and ignored.
    ///
    /// - Parameters:
    ///   - url: Such as `ws://collector.example:8080/events`; its query is not logged.
    ///   - options: How it is connected to and kept.
    ///   - encoder: How an event becomes a message.
    public static func webSocket(
        url: String, options: WebSocketClientSinkOptions = WebSocketClientSinkOptions(),
        encoder: EventEncoder<Element>
    ) -> Sink {
        Sink("webSocket") { context in
            let writer = try WebSocketClientWriter(
                url: url, options: options, encoder: encoder, context: context)
            try await writer.connect()
            return writer
        }
    }
}

private final class WebSocketClientWriter<Element: Sendable>: SinkWriter {
    private let url: String
    private let name: String
    private let options: WebSocketClientSinkOptions
    private let context: SinkContext
    private var client: WebSocketClient?
    private var encoder: MessageEncoder<Element>

    init(
        url: String, options: WebSocketClientSinkOptions, encoder: EventEncoder<Element>,
        context: SinkContext
    ) throws {
        self.url = url
        name = try NetworkURL(url, .webSocket).publicName
        self.options = options
        self.context = context
        self.encoder = MessageEncoder(encoder, context)
    }

    func connect() async throws {
        let client = try await WebSocketClient.connect(to: url, configuration: options.client)
        if !options.opening.isEmpty {
            try await client.send(options.opening.map { WebSocketFrame(text: $0) })
        }
        self.client = client
        context.logger.info("connected", metadata: ["stage": "\(context.stage)", "url": "\(name)"])
    }

    func write(_ batch: Batch<Element>) async throws {
        let messages = encoder.frames(of: batch)
        try await send(messages)
        encoder.giveUpUnfit()
    }

    private func send(_ messages: [WebSocketFrame]) async throws {
        if messages.isEmpty { return }
        var reconnection = Reconnection(options.reconnection)
        while true {
            do {
                if client == nil { try await connect() }
                try await client?.send(messages)
                return
            } catch let error as NetworkError {
                client = nil
                var generator = SystemRandomNumberGenerator()
                guard let pause = reconnection.next(using: &generator) else { throw error }
                context.logger.notice(
                    "connection lost",
                    metadata: [
                        "stage": "\(context.stage)", "url": "\(name)", "error": "\(error)",
                        "retry": "\(pause)",
                    ])
                try await context.sleep(for: pause)
            }
        }
    }

    func close() async throws {
        await client?.close()
    }
}
