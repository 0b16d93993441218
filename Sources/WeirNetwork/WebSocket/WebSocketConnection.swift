/// An open WebSocket connection of either side, used on its loop's thread only.
public final class WebSocketConnection {
    /// Times and limits of a connection.
    public struct Configuration: Sendable {
        /// Bounds on what the peer may send.
        public var limits = WebSocketLimits()
        /// Quiet time after which the peer is pinged; 30 s by default, `nil` never.
        public var pingInterval: Duration? = .seconds(30)
        /// Time the peer has to answer a ping with anything; 30 s by default.
        public var pongTimeout: Duration = .seconds(30)
        /// Time the peer has to answer a close frame; 5 s by default.
        public var closeTimeout: Duration = .seconds(5)
        /// Bytes that may wait for the kernel; 1 MiB by default.
        public var writeLimit = TCPConnection.defaultWriteLimit
        /// What happens when they are more; by default the connection is closed.
        public var slowConsumers = WriteOverflowPolicy.disconnect
        /// Compression to offer or to accept; `nil`, the default, is none.
        public var compression: WebSocketCompression?

        /// Creates the default configuration.
        public init() {}
    }

    /// Which side this is.
    public let role: WebSocketRole
    /// The target that was asked for in the handshake.
    public let target: String
    /// The subprotocol agreed on in the handshake.
    public let subprotocol: String?
    /// Whether the peers have agreed on permessage-deflate.
    public let isCompressed: Bool
    /// The TCP connection below.
    public let tcp: TCPConnection
    /// What gets messages and events; the connection keeps it until it has ended.
    @exclusivity(unchecked) public var handler: (any WebSocketHandler)?

    private enum State { case open, closeSent, ended }

    private let configuration: Configuration
    private let counters: ServerCounterCells?
    private let timer: LoopTimer
    @exclusivity(unchecked) private var parser: WebSocketParser
    private let compressor: MessageCompressor?
    private var keys = MaskKeySource()
    @exclusivity(unchecked) private var state = State.open
    /// What the kernel had taken when the time for the close handshake was last looked at.
    private var sentAtLook = 0
    @exclusivity(unchecked) private var isAwaitingPong = false
    private var isTooSlow = false
    @exclusivity(unchecked) private var unfinished = UnfinishedMessage()
    /// What the read under way has completed.
    @exclusivity(unchecked) private var hasMessage = false
    @exclusivity(unchecked) private var hasControl = false
    /// What the parser keeps, as of the last read: a handler may ask while it parses.
    @exclusivity(unchecked) private var carriedByteCount = 0

    /// Takes over a TCP connection after the handshake, with a timer of the same loop.
    init(
        _ tcp: TCPConnection, role: WebSocketRole, target: String, subprotocol: String?,
        deflate: DeflateAgreement?, configuration: Configuration, timer: LoopTimer,
        counters: ServerCounterCells?, handler: any WebSocketHandler
    ) {
        self.tcp = tcp
        self.role = role
        self.target = target
        self.subprotocol = subprotocol
        self.configuration = configuration
        self.timer = timer
        self.counters = counters
        self.handler = handler
        isCompressed = deflate != nil
        parser = WebSocketParser(role: role, limits: configuration.limits, agreement: deflate)
        compressor =
            deflate.flatMap { $0.sendsCompressed ? MessageCompressor($0.sending, tcp.loop) : nil }
        tcp.writeLimit = configuration.writeLimit
        tcp.handler = self
        timer.onFire = { [unowned(unsafe) self] in timeIsOver() }
        timer.stop()
        if let interval = configuration.pingInterval { timer.start(after: interval) }
    }

    /// The loop that owns the connection.
    public var loop: Loop { tcp.loop }
    /// Whether messages can be sent.
    public var isOpen: Bool { state == .open && tcp.isOpen }
    /// Bytes held for this connection: incomplete messages, and what waits for a full handler.
    public var heldByteCount: Int { carriedByteCount + tcp.heldByteCount }
    /// Bytes that wait for the kernel.
    public var queuedByteCount: Int { tcp.queuedByteCount }
    /// The connection as a value for other threads.
    public var handle: WebSocketHandle { WebSocketHandle(self) }

    // MARK: Flow

    /// Stops handing over messages and reading the socket.
    public func pause() { tcp.pauseReading() }

    /// Goes on, first with the bytes that were held back.
    public func resume() { tcp.resumeReading() }

    // MARK: Sending

    /// Sends a text.
    @discardableResult
    public func send(_ text: String) -> WriteOutcome {
        var text = text
        return text.withUTF8 { send(UnsafeRawBufferPointer($0), .text) }
    }

    /// Sends a message; a text must be valid UTF-8.
    @discardableResult
    public func send(
        _ payload: UnsafeRawBufferPointer, _ kind: WebSocketMessageKind
    ) -> WriteOutcome {
        guard state == .open else { return .closed }
        return sent(writeMessage(kind, payload))
    }

    /// Sends a message that was encoded before.
    ///
    /// A client, which must mask, encodes it anew, and so does a connection that compresses it.
    @discardableResult
    public func send(_ frame: WebSocketFrame) -> WriteOutcome {
        guard state == .open else { return .closed }
        if role == .server, compressor == nil { return sent(tcp.write(frame.bytes)) }
        return frame.bytes.withUnsafeBytes { bytes in
            let payload = UnsafeRawBufferPointer(rebasing: bytes[frame.headerLength...])
            return sent(writeMessage(frame.kind, payload))
        }
    }

    /// Gathers all sends of `body` and hands them to the kernel together.
    public func corked<Result>(_ body: () throws -> Result) rethrows -> Result {
        try tcp.corked(body)
    }

    /// Sends a ping; at most 125 bytes of `payload` are used.
    public func ping(_ payload: [UInt8] = []) {
        guard state == .open else { return }
        payload.prefix(FrameHeader.maximumControlLength).withUnsafeBytes {
            _ = writeFrame(WebSocketOpcode.ping, $0)
        }
    }

    private func sent(_ outcome: WriteOutcome) -> WriteOutcome {
        switch outcome {
        case .sent, .queued: counters?.messagesOut.add(1)
        case .refused: refused()
        case .closed: break
        }
        return outcome
    }

    private func refused() {
        if configuration.slowConsumers == .disconnect {
            counters?.slowConsumersClosed.add(1)
            isTooSlow = true
            close(.tryAgainLater, reason: "too slow")
        } else if configuration.slowConsumers == .dropMessage {
            counters?.slowConsumerDrops.add(1)
        }
    }

    private func writeMessage(
        _ kind: WebSocketMessageKind, _ payload: UnsafeRawBufferPointer
    ) -> WriteOutcome {
        let compressed = compressor?.send(payload) {
            writeFrame(kind.opcode | WebSocketOpcode.compressed, $0)
        }
        return compressed ?? writeFrame(kind.opcode, payload)
    }

    private func writeFrame(
        _ opcode: UInt8, _ payload: UnsafeRawBufferPointer, isForced: Bool = false
    ) -> WriteOutcome {
        if role == .server {
            return withUnsafeTemporaryAllocation(
                byteCount: FrameHeader.maximumByteCount, alignment: 8
            ) { header in
                let size = FrameEncoder.writeHeader(opcode, payload.count, key: nil, into: header)
                return tcp.write(
                    UnsafeRawBufferPointer(rebasing: header[..<size]), payload, isForced: isForced)
            }
        }
        let size = FrameEncoder.headerLength(payload.count, isMasked: true) + payload.count
        let key = keys.next()
        return withUnsafeTemporaryAllocation(byteCount: size, alignment: 8) { target in
            let count = FrameEncoder.writeMasked(opcode, payload, key: key, into: target)
            let none = UnsafeRawBufferPointer(start: nil, count: 0)
            return tcp.write(
                UnsafeRawBufferPointer(rebasing: target[..<count]), none, isForced: isForced)
        }
    }

    // MARK: Closing

    /// Starts the close handshake; `reason` is cut to the 123 bytes that fit.
    ///
    /// Messages that still come are dropped. After `closeTimeout` the connection ends anyway.
    public func close(_ code: WebSocketCloseCode = .normal, reason: String = "") {
        guard state == .open else { return }
        state = .closeSent
        writeClose(code, reason)
        sentAtLook = tcp.sentByteCount
        timer.start(after: configuration.closeTimeout)
        // The peer's close frame may lie behind messages that waited for a full handler.
        tcp.resumeReading()
    }

    private func writeClose(_ code: WebSocketCloseCode, _ reason: String) {
        var payload: [UInt8] = []
        if code.isAllowedOnWire {
            payload = [UInt8(code.rawValue >> 8), UInt8(truncatingIfNeeded: code.rawValue)]
            var text = Substring(reason)
            while text.utf8.count > FrameHeader.maximumControlLength - 2 { text.removeLast() }
            payload += text.utf8
        }
        payload.withUnsafeBytes { _ = writeFrame(WebSocketOpcode.close, $0, isForced: true) }
    }

    /// Reports the end, once.
    private func end(
        _ code: WebSocketCloseCode, _ reason: String, wasClean: Bool, error: NetworkError? = nil
    ) {
        guard state != .ended else { return }
        state = .ended
        timer.stop()
        let handler = handler
        self.handler = nil
        let closure = WebSocketClosure(
            code: isTooSlow ? .tryAgainLater : code, reason: reason, wasClean: wasClean,
            error: error)
        handler?.closed(self, closure)
    }

    private func fail(_ error: WebSocketProtocolError) {
        counters?.countProtocolError(Int(error.code.rawValue))
        if state == .open { writeClose(error.code, error.reason) }
        tcp.closeGracefully(within: configuration.closeTimeout)
        end(error.code, error.reason, wasClean: false)
    }

    // MARK: Events

    private func take(_ event: WebSocketEvent) -> Flow {
        switch event {
        case .message(let kind, let bytes):
            hasMessage = true
            guard state == .open else { return .proceed }
            counters?.messagesIn.add(1)
            guard let handler else { return .proceed }
            let flow = tcp.pausing { handler.received(bytes, kind, on: self) }
            // Once we close, the peer's answer must not wait behind messages nobody takes.
            return state == .open ? flow : .proceed
        case .ping(let payload):
            hasControl = true
            // A pong that finds the queue full is left out; the peer's next ping gets one.
            if state == .open { _ = writeFrame(WebSocketOpcode.pong, payload) }
        case .pong:
            hasControl = true
        case .close(let code, let reason):
            if state == .open { writeClose(code, reason) }
            tcp.closeGracefully(within: configuration.closeTimeout)
            end(code, reason, wasClean: true)
        }
        return .proceed
    }

    /// Takes note of when what is not complete has begun.
    private func noteRead() {
        let isWithinMessage = parser.isWithinMessage
        // Control frames between the parts of a message give it no more time.
        unfinished.note(
            isWithin: isWithinMessage || parser.isWithinFrame,
            hasCompleted: hasMessage || hasControl && !isWithinMessage, at: tcp.readingTime)
        (hasMessage, hasControl) = (false, false)
    }

    /// Closes when a message has begun that many milliseconds ago and is not complete; true if so.
    func closeIfLate(after limit: UInt64) -> Bool {
        guard state == .open, unfinished.isOverdue(after: limit, at: tcp.readingTime) else {
            return false
        }
        close(.policyViolation, reason: "a message that has begun takes too long")
        return true
    }

    func timeIsOver() {
        switch state {
        case .ended: break
        case .closeSent:
            // A slow server gets a client's last messages; a server is held up by nobody.
            if role == .client, tcp.queuedByteCount > 0, tcp.sentByteCount > sentAtLook {
                sentAtLook = tcp.sentByteCount
                timer.start(after: configuration.closeTimeout)
                return
            }
            tcp.close()
            end(.abnormal, "the peer did not answer the close frame", wasClean: false)
        case .open: checkQuiet()
        }
    }

    /// Pings a quiet peer; ends the connection when a ping brought nothing.
    private func checkQuiet() {
        guard let interval = configuration.pingInterval else { return }
        let limit = isAwaitingPong ? configuration.pongTimeout : interval
        let quiet = loop.now - tcp.lastReadAt
        if tcp.isReadingPaused || quiet < limit.milliseconds {
            // While we do not read, silence says nothing about the peer.
            isAwaitingPong =
                isAwaitingPong && !tcp.isReadingPaused && quiet >= interval.milliseconds
            let rest = tcp.isReadingPaused ? interval.milliseconds : limit.milliseconds - quiet
            timer.start(after: .milliseconds(rest))
        } else if isAwaitingPong {
            writeClose(.goingAway, "no pong")
            tcp.closeGracefully(within: .seconds(1))
            let error = NetworkError(.timedOut, "the peer answered no ping")
            end(.goingAway, "no pong", wasClean: false, error: error)
        } else {
            isAwaitingPong = true
            ping()
            timer.start(after: configuration.pongTimeout)
        }
    }
}

extension WebSocketConnection: TCPConnectionHandler {
    /// Takes bytes from the connection; called by it only.
    public func connection(
        _ connection: TCPConnection, received bytes: UnsafeMutableRawBufferPointer
    ) -> Int {
        isAwaitingPong = false
        defer {
            carriedByteCount = parser.carriedByteCount
            noteRead()
        }
        do {
            return try parser.consume(bytes) { event in take(event) }
        } catch {
            fail(error)
            return bytes.count
        }
    }

    /// Ends a batch; called by the connection only.
    public func connectionReceivedAll(_ connection: TCPConnection) {
        if state == .open { handler?.receivedAll(on: self) }
    }

    /// Takes note of the peer's end; called by the connection only.
    public func connectionReachedEnd(_ connection: TCPConnection) {
        tcp.closeGracefully(within: configuration.closeTimeout)
        end(.abnormal, "the peer ended the connection without a close frame", wasClean: false)
    }

    /// Passes on that the queue is empty; called by the connection only.
    public func connectionDrained(_ connection: TCPConnection) {
        if state == .open { handler?.drained(self) }
    }

    /// Reports the end; called by the connection only.
    public func connectionClosed(_ connection: TCPConnection, error: NetworkError?) {
        timer.close()
        end(.abnormal, "the connection was lost", wasClean: false, error: error)
    }
}
