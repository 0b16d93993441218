/// A sender's connection, whatever carries it; used on its loop only.
protocol SenderWire: AnyObject {
    var dialect: AcknowledgingDialect { get }
    /// Sends a frame; false when it was not taken, because there is no room or no connection.
    func send(_ frame: [UInt8]) -> Bool
    /// Sends messages that are numbered from `first` on; returns how many of them were taken.
    func send(_ messages: [[UInt8]], from first: UInt64) -> Int
    func corked(_ body: () -> Void)
    /// Closes in order.
    func close()
    /// Closes at once.
    func cut()
}

extension [UInt8] {
    /// Becomes `SEQ payload`.
    fileprivate mutating func fill(_ sequence: UInt64, _ payload: [UInt8]) {
        removeAll(keepingCapacity: true)
        append(contentsOf: String(sequence).utf8)
        append(0x20)
        append(contentsOf: payload)
    }
}

/// A sender's WebSocket.
final class WebSocketWire: SenderWire, WebSocketHandler {
    private weak var link: SenderLink?
    private var connection: WebSocketConnection?

    private init(_ link: SenderLink) {
        self.link = link
    }

    /// Codes after which the same messages would fail again.
    private static let refusals: [WebSocketCloseCode] = [
        .protocolError, .unsupportedData, .invalidPayload, .policyViolation, .messageTooBig,
    ]

    static func connect(
        _ url: String, on loop: Loop, link: SenderLink,
        configuration sender: AcknowledgedSender.Configuration,
        _ completion: @escaping (Result<any SenderWire, NetworkError>) -> Void
    ) {
        var configuration = WebSocketClientConfiguration()
        configuration.connectTimeout = sender.connectTimeout
        configuration.tls = sender.tls
        configuration.authorization = sender.authorization
        configuration.subprotocols = [AcknowledgingProtocol.subprotocol]
        let wire = WebSocketWire(link)
        WebSocketConnection.connect(
            to: url, on: loop, configuration: configuration, handler: wire
        ) { result in
            switch result {
            case .failure(let error): completion(.failure(error))
            case .success(let connection):
                guard connection.subprotocol == AcknowledgingProtocol.subprotocol else {
                    connection.close()
                    let name = (try? NetworkURL(url, .webSocket))?.publicName ?? "the source"
                    completion(
                        .failure(
                            NetworkError(
                                .protocolViolation,
                                "\(name) doesn't speak \(AcknowledgingProtocol.subprotocol)")))
                    return
                }
                wire.connection = connection
                completion(.success(wire))
            }
        }
    }

    var dialect: AcknowledgingDialect { .json }

    func send(_ messages: [[UInt8]], from first: UInt64) -> Int {
        var frame: [UInt8] = []
        for (index, message) in messages.enumerated() {
            frame.fill(first + UInt64(index), message)
            if !send(frame) { return index }
        }
        return messages.count
    }

    func send(_ frame: [UInt8]) -> Bool {
        guard let connection else { return false }
        switch frame.withUnsafeBytes({ connection.send($0, .binary) }) {
        case .sent, .queued: return true
        case .refused, .closed: return false
        }
    }

    func corked(_ body: () -> Void) {
        guard let connection else { return }
        connection.corked(body)
    }

    func close() { connection?.close() }
    func cut() { connection?.tcp.close() }

    func received(
        _ bytes: UnsafeRawBufferPointer, _ kind: WebSocketMessageKind,
        on connection: WebSocketConnection
    ) -> Flow {
        link?.received(bytes)
        return .proceed
    }

    func drained(_ connection: WebSocketConnection) { link?.drained() }

    func closed(_ connection: WebSocketConnection, _ closure: WebSocketClosure) {
        self.connection = nil
        if Self.refusals.contains(closure.code) {
            link?.fail(
                NetworkError(
                    .protocolViolation,
                    "the source has closed with \(closure.code): \(closure.reason.visible)"
                ))
        }
        link?.closed(self, closure.error)
    }
}

/// A sender's TCP connection.
final class TCPWire: SenderWire {
    private weak var link: SenderLink?
    private let connection: TCPConnection
    private let framing: StreamFraming

    /// Bytes of messages that are written at once, one message more at most.
    private static let bytesPerWrite = 32 << 10

    private init(_ connection: TCPConnection, _ framing: StreamFraming, _ link: SenderLink) {
        self.connection = connection
        self.framing = framing
        self.link = link
    }

    static func connect(
        _ host: String, _ port: Int, isSecure: Bool, on loop: Loop, link: SenderLink,
        configuration: AcknowledgedSender.Configuration,
        _ completion: @escaping (Result<any SenderWire, NetworkError>) -> Void
    ) {
        var tls: TLSClientContext?
        do throws(NetworkError) {
            if isSecure {
                tls = if let tls = configuration.tls { tls } else { try .shared() }
            }
        } catch {
            completion(.failure(error))
            return
        }
        TCPConnection.connect(
            to: host, port: port, on: loop, timeout: configuration.connectTimeout, tls: tls
        ) { result in
            switch result {
            case .failure(let error): completion(.failure(error))
            case .success(let connection):
                use(connection, link, configuration, completion)
            }
        }
    }

    static func connect(
        toUnix path: String, on loop: Loop, link: SenderLink,
        configuration: AcknowledgedSender.Configuration,
        _ completion: @escaping (Result<any SenderWire, NetworkError>) -> Void
    ) {
        do throws(NetworkError) {
            use(
                try TCPConnection.connect(toUnix: path, on: loop), link, configuration, completion)
        } catch {
            completion(.failure(error))
        }
    }

    /// Begins to speak over a connection.
    private static func use(
        _ connection: TCPConnection, _ link: SenderLink,
        _ configuration: AcknowledgedSender.Configuration,
        _ completion: @escaping (Result<any SenderWire, NetworkError>) -> Void
    ) {
        let loop = connection.loop
        let wire = TCPWire(connection, configuration.framing, link)
        let reader = configuration.framing.makeReader(
            connection,
            .one({ [unowned connection] frame in
                // An answer without its end may be a part of one.
                if !connection.hasReachedEnd { wire.link?.received(frame) }
                return .proceed
            }), {},
            { error in wire.link?.closed(wire, error as? NetworkError) })
        if let reader = reader as? any TCPConnectionHandler {
            connection.handler = DrainObserver(reader) { wire.link?.drained() }
        }
        guard let authorization = configuration.authorization else {
            completion(.success(wire))
            reader.resume()
            return
        }
        authorization.token(on: loop) { result in
            switch result {
            case .failure(let error):
                connection.close()
                completion(.failure(error))
            case .success(let token):
                _ = wire.send(Array("\(TCPGuest.prefix)\(token)".utf8))
                completion(.success(wire))
                reader.resume()
            }
        }
    }

    var dialect: AcknowledgingDialect { .words }

    func send(_ frame: [UInt8]) -> Bool {
        var bytes: [UInt8] = []
        do {
            try wrap(frame, into: &bytes)
        } catch {
            refuse(error)
            return false
        }
        return write(bytes[...])
    }

    func send(_ messages: [[UInt8]], from first: UInt64) -> Int {
        var frame: [UInt8] = []
        var bytes: [UInt8] = []
        var taken = 0
        for (index, message) in messages.enumerated() {
            frame.fill(first + UInt64(index), message)
            let whole = bytes.count
            do {
                try wrap(frame, into: &bytes)
            } catch {
                // What came before the mistake counts.
                if write(bytes[..<whole]) { taken = index }
                refuse(error)
                return taken
            }
            if bytes.count < Self.bytesPerWrite, index + 1 < messages.count { continue }
            guard write(bytes[...]) else { return taken }
            taken = index + 1
            bytes.removeAll(keepingCapacity: true)
        }
        return taken
    }

    private func wrap(_ frame: [UInt8], into bytes: inout [UInt8]) throws {
        try frame.withUnsafeBytes { try framing.wrap($0, &bytes) }
    }

    private func refuse(_ error: any Error) {
        link?.fail(
            NetworkError(
                .invalidArgument, "a message doesn't fit the framing", cause: "\(error)"))
    }

    private func write(_ bytes: ArraySlice<UInt8>) -> Bool {
        switch bytes.withUnsafeBytes({ connection.write($0) }) {
        case .sent, .queued: true
        case .refused, .closed: false
        }
    }

    func corked(_ body: () -> Void) { connection.corked(body) }
    func close() { connection.closeGracefully() }
    func cut() { connection.close() }
}

/// Passes everything on to another handler, and tells when there is room to write again.
private final class DrainObserver: TCPConnectionHandler {
    private let handler: any TCPConnectionHandler
    private let onDrained: () -> Void

    init(_ handler: any TCPConnectionHandler, onDrained: @escaping () -> Void) {
        self.handler = handler
        self.onDrained = onDrained
    }

    func connection(
        _ connection: TCPConnection, received bytes: UnsafeMutableRawBufferPointer
    ) -> Int { handler.connection(connection, received: bytes) }

    func connectionReceivedAll(_ connection: TCPConnection) {
        handler.connectionReceivedAll(connection)
    }

    func connectionReachedEnd(_ connection: TCPConnection) {
        handler.connectionReachedEnd(connection)
    }

    func connectionDrained(_ connection: TCPConnection) { onDrained() }

    func connectionClosed(_ connection: TCPConnection, error: NetworkError?) {
        handler.connectionClosed(connection, error: error)
    }
}
