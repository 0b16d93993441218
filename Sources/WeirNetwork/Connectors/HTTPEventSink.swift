import HTTPTypes
import Logging
public import WeirCore

/// How a sink of server-sent events treats its clients.
public struct ServerSentEventOptions: Sendable {
    /// The `event` field of all events; none by default, which browsers take for `message`.
    public var eventName: String?
    /// How long a browser waits before it connects again; 3 s by default.
    public var retry: Duration = .seconds(3)
    /// Time without an event after which a comment is sent, so that proxies keep the connection;
    /// 15 s by default.
    public var keepAlive: Duration = .seconds(15)
    /// Events that are kept for clients that connect again; 1,000 by default, 0 for none.
    public var replayCount = 1_000
    /// Bytes of those events; 4 MiB by default.
    public var replayBytes = 4 << 20
    /// Bytes that may wait for a slow client before it is disconnected; 1 MiB by default.
    public var queuedBytes = 1 << 20
    /// Clients at one time, beyond which others get 503; 10,000 by default.
    public var maximumClients = 10_000
    /// The value of `Access-Control-Allow-Origin`; none by default, so pages of other origins
    /// can't read the events.
    public var allowedOrigin: String?

    /// Creates the default options.
    public init() {}
}

extension Sink {
    /// Sends every event as JSON to all clients that listen to a path for server-sent events.
    ///
    /// See the sink with an encoder of one's own.
    public static func serverSentEvents(
        _ path: String, host: String = "127.0.0.1", port: Int, tls: TLSServerConfiguration? = nil,
        options: ServerSentEventOptions = ServerSentEventOptions()
    ) -> Sink where Element: Encodable {
        serverSentEvents(
            path, host: host, port: port, tls: tls, encoder: .json, options: options)
    }

    /// Sends every event to all clients that listen to a path (`text/event-stream`).
    ///
    /// A client sees what is sent while it is connected. Each event has an identifier; a client
    /// that connects again with `Last-Event-ID`, as browsers do, gets what it has missed as far as
    /// it is still kept, and all that is kept behind a comment `missed` when that isn't known. A
    /// client that reads too slowly is disconnected, which is counted, and holds nobody up. The
    /// events that are kept survive a restart of the stage, not one of the process.
    ///
    /// - Parameters:
    ///   - path: The path, such as `/alerts`.
    ///   - host: The address to listen on; loopback by default.
    ///   - port: The port, shared with other sources, sinks and pages on it.
    ///   - tls: Speaks TLS (`https://`); nil, the default, does not. All on one port give the same.
    ///   - encoder: How an event becomes text; bytes that are not UTF-8 are sent as they are.
    ///   - options: Times and bounds.
    public static func serverSentEvents(
        _ path: String, host: String = "127.0.0.1", port: Int, tls: TLSServerConfiguration? = nil,
        encoder: EventEncoder<Element>, options: ServerSentEventOptions = ServerSentEventOptions()
    ) -> Sink {
        Sink("serverSentEvents", endpoint: "http GET \(host):\(port)\(path)") { context in
            let shared = try SharedServer.of(
                context.resources, host: host, port: port, tls: tls, logger: context.logger)
            let loop = shared.server.loop
            let broadcast = context.resources.shared("events \(shared.name)\(path)") {
                // Names this run, so that identifiers of an earlier one aren't taken for its own.
                let run = String(context.now.nanoseconds / 1_000_000, radix: 36)
                return LoopBound(EventBroadcast(options, run: run, on: loop), on: loop)
            } close: { broadcast in
                try? await loop.run { broadcast.value.close() }
            }
            shared.server.addResponder("GET", path, roles: .read) { request, connection in
                broadcast.value.begin(request, connection)
            }
            try await shared.start()
            return EventStreamWriter(loop, broadcast, encoder, context)
        }
    }
}

private final class EventStreamWriter<Element: Sendable>: SinkWriter {
    private let loop: Loop
    private let broadcast: LoopBound<EventBroadcast>
    private let context: SinkContext
    private var encoder: MessageEncoder<Element>

    init(
        _ loop: Loop, _ broadcast: LoopBound<EventBroadcast>, _ encoder: EventEncoder<Element>,
        _ context: SinkContext
    ) {
        self.loop = loop
        self.broadcast = broadcast
        self.context = context
        self.encoder = MessageEncoder(encoder, context)
    }

    func write(_ batch: Batch<Element>) async throws {
        var payloads: [[UInt8]] = []
        payloads.reserveCapacity(batch.count)
        encoder.encode(batch) { payloads.append($0) }
        // Waiting for the loop keeps what lies between us bounded by one batch.
        let (broadcast, events) = (broadcast, payloads)
        let dropped = try await loop.run { broadcast.value.send(events) }
        encoder.giveUpUnfit()
        if dropped > 0 { context.countDropped(dropped) }
    }
}
