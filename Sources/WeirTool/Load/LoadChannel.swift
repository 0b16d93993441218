import Weir

/// One connection of a load, whatever its protocol; used on the loop's thread only.
protocol LoadChannel: AnyObject {
    /// Bytes that wait for the kernel.
    var queuedByteCount: Int { get }

    /// Sends one message with its framing.
    func send(_ payload: UnsafeRawBufferPointer) -> WriteOutcome

    /// Hands all sends of `body` to the kernel together.
    func corked(_ body: () -> Void)

    /// Ends the connection in good order; `onClosed` follows.
    func close()
}

/// What a channel reports, on the loop's thread.
struct LoadChannelEvents {
    /// A message came, or bytes did where messages are not told apart.
    let onReceived: (_ byteCount: Int, _ isMessage: Bool) -> Void
    /// What had to wait is with the kernel.
    let onDrained: () -> Void
    /// The last call; with a text when the end was not in good order.
    let onClosed: (_ failure: String?) -> Void
}

/// Time for the end of a connection in good order.
private let closeTimeout = Duration.seconds(2)

/// Nothing waits in the connection beyond what the kernel did not take of one write, so that it is
/// known when a message is with the kernel.
private let writeLimit = 1

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
        configuration.connection.writeLimit = writeLimit
        configuration.connection.closeTimeout = closeTimeout
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
        events.onReceived(bytes.count, true)
        return .proceed
    }

    func drained(_ connection: WebSocketConnection) { events.onDrained() }

    func closed(_ connection: WebSocketConnection, _ closure: WebSocketClosure) {
        self.connection = nil
        let reason = closure.reason.isEmpty ? "" : " (\(closure.reason))"
        let text = closure.error?.description ?? "the server closed with \(closure.code)\(reason)"
        events.onClosed(isClosing ? nil : text)
    }
}

final class TCPChannel<Cutter: Framing>: LoadChannel, TCPConnectionHandler {
    typealias Wrap = (UnsafeRawBufferPointer, inout [UInt8]) -> Void

    private let events: LoadChannelEvents
    private let wrap: Wrap
    /// Cuts what comes into messages; nil where nobody waits for answers.
    private var framing: Cutter?
    private var connection: TCPConnection?
    private var frame: [UInt8] = []
    private var isClosing = false
    private var failure: String?

    private init(_ events: LoadChannelEvents, _ framing: Cutter?, _ wrap: @escaping Wrap) {
        self.events = events
        self.framing = framing
        self.wrap = wrap
    }

    static func connect(
        _ plan: LoadPlan, framing: Cutter, wrap: @escaping Wrap, tls: TLSClientContext?,
        on loop: Loop, events: LoadChannelEvents,
        completion: @escaping (Result<any LoadChannel, NetworkError>) -> Void
    ) {
        TCPConnection.connect(
            to: plan.target.host, port: plan.target.port, on: loop, tls: tls
        ) { result in
            completion(
                result.map { connection in
                    let channel = TCPChannel(events, plan.expectsEcho ? framing : nil, wrap)
                    channel.connection = connection
                    connection.writeLimit = writeLimit
                    connection.handler = channel
                    connection.resumeReading()
                    if let token = plan.authorization?.bearerToken {
                        _ = Array("WEIR-AUTH/1 \(token)".utf8).withUnsafeBytes { channel.send($0) }
                    }
                    return channel
                })
        }
    }

    var queuedByteCount: Int { connection?.queuedByteCount ?? 0 }

    func send(_ payload: UnsafeRawBufferPointer) -> WriteOutcome {
        guard let connection else { return .closed }
        frame.removeAll(keepingCapacity: true)
        wrap(payload, &frame)
        return frame.withUnsafeBytes { connection.write($0) }
    }

    func corked(_ body: () -> Void) {
        if let connection { connection.corked(body) } else { body() }
    }

    func close() {
        isClosing = true
        connection?.closeGracefully(within: closeTimeout)
    }

    func connection(
        _ connection: TCPConnection, received bytes: UnsafeMutableRawBufferPointer
    ) -> Int {
        guard framing != nil else {
            events.onReceived(bytes.count, false)
            return bytes.count
        }
        do {
            _ = try framing?.consume(UnsafeRawBufferPointer(bytes)) { message in
                events.onReceived(message.count, true)
                return .proceed
            }
        } catch {
            failure = "what the server sent is no message: \(error)"
            connection.close()
        }
        return bytes.count
    }

    func connectionDrained(_ connection: TCPConnection) { events.onDrained() }

    func connectionClosed(_ connection: TCPConnection, error: NetworkError?) {
        self.connection = nil
        if isClosing && failure == nil {
            events.onClosed(nil)
        } else {
            events.onClosed(failure ?? error?.description ?? "the server ended the connection")
        }
    }
}

extension LoadPlan {
    /// Opens one connection to the target; the completion runs once, on the loop's thread.
    func connect(
        tls: TLSClientContext?, on loop: Loop, events: LoadChannelEvents,
        completion: @escaping (Result<any LoadChannel, NetworkError>) -> Void
    ) {
        switch (target.transport, framing) {
        case (.webSocket, _):
            WebSocketChannel.connect(
                self, tls: tls, on: loop, events: events, completion: completion)
        case (.tcp, .lines):
            TCPChannel.connect(
                self, framing: LineFraming(maximumLength: Limits.messageByteCount),
                wrap: { message, bytes in
                    bytes.append(contentsOf: message)
                    bytes.append(UInt8(ascii: "\n"))
                }, tls: tls, on: loop, events: events, completion: completion)
        case (.tcp, .length):
            TCPChannel.connect(
                self, framing: LengthFraming(.fourBytes),
                wrap: { message, bytes in
                    let length = UInt32(message.count).bigEndian
                    withUnsafeBytes(of: length) { bytes.append(contentsOf: $0) }
                    bytes.append(contentsOf: message)
                }, tls: tls, on: loop, events: events, completion: completion)
        }
    }
}
