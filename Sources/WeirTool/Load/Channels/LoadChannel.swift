import Weir

/// One connection of a load, whatever its protocol; used on the loop's thread only.
protocol LoadChannel: AnyObject {
    /// Bytes that wait for the kernel.
    var queuedByteCount: Int { get }

    /// Whether there is a connection to send on; one that is being made again is not.
    var isReady: Bool { get }

    /// Sends one message with its framing.
    func send(_ payload: UnsafeRawBufferPointer) -> WriteOutcome

    /// Hands all sends of `body` to the kernel together.
    func corked(_ body: () -> Void)

    /// Adds what the channel has counted itself; called once, at the end.
    func report(to record: inout LoadRecord)

    /// Ends the connection in good order; `onClosed` follows.
    func close()
}

extension LoadChannel {
    var isReady: Bool { true }

    func report(to record: inout LoadRecord) {}
}

/// What a channel reports, on the loop's thread.
struct LoadChannelEvents {
    /// Bytes of payload came.
    let onReceived: (_ byteCount: Int) -> Void
    /// The oldest message without an answer has one, with a status where it is HTTP's.
    let onAnswer: (_ status: Int?) -> Void
    /// So many of the oldest messages are acknowledged.
    let onAcknowledged: (_ count: Int) -> Void
    /// What was sent and not answered never will be; the channel makes its connection again.
    ///
    /// With a text when the end was not in good order.
    let onLost: (_ failure: String?) -> Void
    /// There is room: what had to wait is with the kernel, or there is a connection again.
    let onDrained: () -> Void
    /// The last call; with a text when the end was not in good order.
    let onClosed: (_ failure: String?) -> Void
}

enum LoadChannelLimits {
    /// Time for the end of a connection in good order.
    static let closing = Duration.seconds(2)

    /// Nothing waits in the connection beyond what the kernel did not take of one write, so that it
    /// is known when a message is with the kernel.
    static let write = 1
}

extension LoadPlan {
    typealias Connected = (Result<any LoadChannel, NetworkError>) -> Void

    /// Opens one connection to the target; the completion runs once, on the loop's thread.
    ///
    /// - Parameter number: Which of the plan's connections it is, from 1.
    func connect(
        _ number: Int, tls: TLSClientContext?, on loop: Loop, events: LoadChannelEvents,
        completion: @escaping Connected
    ) {
        if let producer {
            AcknowledgedChannel.connect(
                self, producer: name(ofProducer: producer, number), tls: tls, on: loop,
                events: events, completion: completion)
            return
        }
        switch (target.transport, framing) {
        case (.http, _):
            HTTPChannel.connect(self, tls: tls, on: loop, events: events, completion: completion)
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

    /// Connects to the target's host, or its socket in the file system.
    func connectSocket(
        tls: TLSClientContext?, on loop: Loop,
        completion: @escaping (Result<TCPConnection, NetworkError>) -> Void
    ) {
        guard let path = target.unixPath else {
            TCPConnection.connect(
                to: target.host, port: target.port, on: loop, tls: tls, completion: completion)
            return
        }
        let result = Result { () throws(NetworkError) in
            try TCPConnection.connect(toUnix: path, on: loop)
        }
        completion(result)
        if case .success(let connection) = result, connection.handler == nil { connection.close() }
    }
}
