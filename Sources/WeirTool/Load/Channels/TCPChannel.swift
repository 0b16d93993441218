import Weir

/// A TCP connection, or one over a socket in the file system, with messages in frames.
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
        plan.connectSocket(tls: tls, on: loop) { result in
            completion(
                result.map { connection in
                    let channel = TCPChannel(events, plan.expectsEcho ? framing : nil, wrap)
                    channel.connection = connection
                    connection.writeLimit = LoadChannelLimits.write
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
        connection?.closeGracefully(within: LoadChannelLimits.closing)
    }

    func connection(
        _ connection: TCPConnection, received bytes: UnsafeMutableRawBufferPointer
    ) -> Int {
        guard framing != nil else {
            events.onReceived(bytes.count)
            return bytes.count
        }
        do {
            _ = try framing?.consume(UnsafeRawBufferPointer(bytes)) { message in
                events.onReceived(message.count)
                events.onAnswer(nil)
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
