import Logging
public import WeirCore

/// How a feed is connected to, subscribed to and kept.
public struct WebSocketFeedOptions: Sendable {
    /// Texts that are sent after each connection, such as a subscription; none by default.
    public var opening: [String] = []
    /// When a lost connection is made again; for ever by default.
    public var reconnection = ReconnectionPolicy()
    /// Subprotocols, headers, times and limits of the connection.
    ///
    /// A server that is quiet is pinged after `connection.pingInterval` (30 s by default) and taken
    /// for dead when it sends nothing within `connection.pongTimeout` (30 s).
    public var client = WebSocketClientConfiguration()
    /// What is kept, in memory and in the ingest journal.
    public var limits = IngestLimits()

    /// Creates the default options.
    public init() {}
}

extension Source {
    /// Events from a WebSocket server: each message of the feed at an address is one event in JSON.
    ///
    /// See the source with a decoder of one's own.
    @inlinable
    public static func webSocket(
        url: String, as type: Element.Type = Element.self,
        options: WebSocketFeedOptions = WebSocketFeedOptions()
    ) -> Source where Element: Decodable {
        webSocket(url: url, options: options, decoder: .json)
    }

    /// Events from a WebSocket server: each message of the feed at an address is one event.
    ///
    /// It connects, sends the texts of `options.opening`, and takes what comes. A connection that is
    /// lost, refused or dead is made again after growing pauses; the log and
    /// ``RunningTopology/webSocketFeeds`` say how it stands. What the server sends meanwhile is
    /// missed: at most once, unless the server itself repeats. In a run with a store, what was read
    /// is first written to the ingest journal and not lost after that.
    ///
    /// While the stage is full the socket is not read. A message that can't be decoded goes to the
    /// dead letters with its bytes and the reason.
    ///
    /// ```swift
    /// var options = WebSocketFeedOptions()
    /// options.opening = [#"{"op":"subscribe","channel":"trades"}"#]
    /// EventStream("trades", from: .webSocket(url: "ws://feed.example/v1", as: Trade.self, options: options))
    /// ```
    ///
    /// - Parameters:
    ///   - url: Such as `ws://feed.example:8080/trades?symbol=X`; its query is not logged.
    ///   - options: How it is connected to and kept.
    ///   - decoder: How a message becomes an event.
    public static func webSocket(
        url: String, options: WebSocketFeedOptions = WebSocketFeedOptions(),
        decoder: EventDecoder<Element>
    ) -> Source {
        Source(
            "webSocket",
            prepare: { context in
                _ = try NetworkURL(url, .webSocket)
                try await ConnectionSource<Element>.prepare(context, options.limits)
            }
        ) { inlet in
            let loop = try Loop.shared()
            let source = try await ConnectionSource(
                inlet, decoder: decoder, limits: options.limits, loop: loop)
            let context = inlet.context
            let status = FeedStatus.of(context, url: try NetworkURL(url, .webSocket).publicName)
            let (failures, failure) = AsyncThrowingStream<Never, any Error>.makeStream()
            let link = try await loop.run {
                let link = FeedLink(
                    url, options, WebSocketReceiver(source.connections), status, context, loop
                ) { failure.finish(throwing: $0) }
                return LoopBound(link, on: loop)
            }
            try await runUntilFailure(failures) {
                try await source.run {
                    link.value.start()
                } close: {
                    link.value.stop()
                }
                failure.finish()
            }
        }.recorded(decodeFrom: decoder.appender(forRecorded:))
    }
}

/// Runs a source until it ends, or until something else fails; that ends it as well.
private func runUntilFailure(
    _ failures: AsyncThrowingStream<Never, any Error>,
    _ body: @escaping @Sendable () async throws -> Void
) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await body() }
        group.addTask { for try await _ in failures {} }
        var first: (any Error)?
        while let result = await group.nextResult() {
            guard case .failure(let error) = result else { continue }
            if first == nil { first = error }
            group.cancelAll()
        }
        if let first { throw first }
    }
}

/// The connection of a feed, made again when it is lost; used on its loop only.
private final class FeedLink<Element: Sendable>: WebSocketHandler {
    private let url: String
    private let options: WebSocketFeedOptions
    private let receiver: WebSocketReceiver<Element>
    private let status: FeedStatus
    private let context: SourceContext
    private let loop: Loop
    private let onFailure: (NetworkError) -> Void
    private var reconnection: Reconnection
    private var timer: LoopTimer?
    private var hasStopped = false
    private var connectedAt: UInt64 = 0
    private var hasReceived = false

    init(
        _ url: String, _ options: WebSocketFeedOptions, _ receiver: WebSocketReceiver<Element>,
        _ status: FeedStatus, _ context: SourceContext, _ loop: Loop,
        onFailure: @escaping (NetworkError) -> Void
    ) {
        self.url = url
        self.options = options
        self.receiver = receiver
        self.status = status
        self.context = context
        self.loop = loop
        self.onFailure = onFailure
        reconnection = Reconnection(options.reconnection)
    }

    func start() {
        if hasStopped { return }
        WebSocketConnection.connect(
            to: url, on: loop, configuration: options.client, handler: self
        ) { [self] result in
            switch result {
            case .failure(let error): lost(error)
            case .success(let connection):
                if hasStopped { connection.close(.goingAway) }
            }
        }
    }

    /// Connects no more; an open connection is closed by whoever ends the source.
    func stop() {
        hasStopped = true
        timer?.close()
        timer = nil
    }

    private func lost(_ error: NetworkError) {
        if hasStopped { return status.ended() }
        status.lost(error)
        var generator = SystemRandomNumberGenerator()
        guard let pause = reconnection.next(using: &generator) else {
            context.logger.error("feed given up", metadata: metadata(error))
            return onFailure(error)
        }
        var metadata = metadata(error)
        metadata["retry"] = "\(pause)"
        context.logger.notice("feed lost", metadata: metadata)
        do {
            timer?.close()
            timer = try LoopTimer(on: loop) { [weak self] in self?.start() }
            timer?.start(after: pause)
        } catch {
            onFailure(error)
        }
    }

    private func metadata(_ error: NetworkError? = nil) -> Logger.Metadata {
        var metadata: Logger.Metadata = [
            "stage": "\(context.stage)", "url": "\(status.current.url)",
        ]
        if let error { metadata["error"] = "\(error)" }
        return metadata
    }

    // MARK: The open connection

    func opened(_ connection: WebSocketConnection) {
        reconnection.connected()
        connectedAt = loop.now
        hasReceived = false
        status.connected()
        context.logger.info("feed connected", metadata: metadata())
        connection.corked {
            for text in options.opening { connection.send(text) }
        }
        receiver.opened(connection)
    }

    func received(
        _ bytes: UnsafeRawBufferPointer, _ kind: WebSocketMessageKind,
        on connection: WebSocketConnection
    ) -> Flow {
        if !hasReceived {
            hasReceived = true
            reconnection.succeeded()
        }
        return receiver.received(bytes, kind, on: connection)
    }

    func receivedAll(on connection: WebSocketConnection) { receiver.receivedAll(on: connection) }

    func closed(_ connection: WebSocketConnection, _ closure: WebSocketClosure) {
        receiver.closed(connection, closure)
        if loop.now - connectedAt >= options.reconnection.longestPause.milliseconds {
            reconnection.succeeded()
        }
        let reason = closure.reason.isEmpty ? "" : ": \(closure.reason.visible)"
        lost(
            closure.error
                ?? NetworkError(
                    .connectionLost, "the feed has closed with \(closure.code)\(reason)"))
    }
}
