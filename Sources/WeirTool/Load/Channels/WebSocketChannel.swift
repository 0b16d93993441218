import Weir

/// A WebSocket that messages are sent to as texts.
final class WebSocketChannel: LoadChannel, WebSocketHandler {
    private let events: LoadChannelEvents
    private var connection: WebSocketConnection?
    private var isClosing = false

    private init(_ events: LoadChannelEvents) {
        self.events = events
    }

    static func connect(
        _ plan: LoadPlan, tls: TLSClientContext?, on loop: Loop, events: LoadChannelEvents,
        completion: @escaping (Result<any LoadChannel, NetworkError>) -> Void
    ) {
        let channel = WebSocketChannel(events)
        var configuration = WebSocketClientConfiguration()
        configuration.tls = tls
        configuration.authorization = plan.authorization
        configuration.connection.writeLimit = LoadChannelLimits.write
        configuration.connection.closeTimeout = LoadChannelLimits.closing
        WebSocketConnection.connect(
            to: plan.target.url, on: loop, configuration: configuration, handler: channel
        ) { result in
            channel.connection = try? result.get()
            completion(result.map { _ in channel })
        }
    }

    var queuedByteCount: Int { connection?.queuedByteCount ?? 0 }

    /// Sends a text: a payload is always UTF-8.
    func send(_ payload: UnsafeRawBufferPointer) -> WriteOutcome {
        connection?.send(payload, .text) ?? .closed
    }

    func corked(_ body: () -> Void) {
        if let connection { connection.corked(body) } else { body() }
    }

    func close() {
        isClosing = true
        connection?.close()
    }

    func received(
        _ bytes: UnsafeRawBufferPointer, _ kind: WebSocketMessageKind,
        on connection: WebSocketConnection
    ) -> Flow {
        events.onReceived(bytes.count)
        events.onAnswer(nil)
        return .proceed
    }

    func drained(_ connection: WebSocketConnection) { events.onDrained() }

    func closed(_ connection: WebSocketConnection, _ closure: WebSocketClosure) {
        self.connection = nil
        let reason = closure.reason.isEmpty ? "" : " (\(closure.reason.visible))"
        let text = closure.error?.description ?? "the server closed with \(closure.code)\(reason)"
        events.onClosed(isClosing ? nil : text)
    }
}
