/// A server's connection as long as it speaks HTTP: one request after the other, each answered
/// before the next is looked at; hands over to WebSocket.
///
/// A receiver that is full, an answer that is due and a peer that doesn't read its answers all
/// have the same effect: the socket isn't read.
final class HTTPServerConnection: TCPConnectionHandler {
    enum Phase {
        /// The head of a request is awaited.
        case head
        /// The body of a request is awaited.
        case body
        /// The request is complete, the answer isn't.
        case answering
        /// An answer without an end goes on; what the peer sends is ignored.
        case streaming
        /// The last answer is on its way: the connection closes when the peer has taken it.
        case leaving
        /// The connection closes, or belongs to a WebSocket.
        case over
    }

    let tcp: TCPConnection
    let core: ServerCore
    let server: NetworkServer
    let clock: HTTPDeadline
    @exclusivity(unchecked) var phase = Phase.head
    @exclusivity(unchecked) var reader: HTTPHeadReader
    /// The body under way, if it comes in chunks.
    @exclusivity(unchecked) private(set) var body: HTTPBodyReader?
    /// What is to come of a body whose length was told.
    @exclusivity(unchecked) private var bodyRest = 0
    @exclusivity(unchecked) var receiver: (any HTTPBodyReceiver)?
    @exclusivity(unchecked) var lastRoute: KnownRoute?
    /// Grows with each request: who answers later sees that its request is still the one.
    @exclusivity(unchecked) private(set) var requestNumber: UInt64 = 0
    /// Facts of the current request.
    @exclusivity(unchecked) var keepsAlive = true
    @exclusivity(unchecked) var isHEAD = false
    @exclusivity(unchecked) var minorVersion = 1
    /// Whether the peer has ended its side, or the server is about to stop.
    @exclusivity(unchecked) var closesAfterAnswer = false
    /// Whether the head of an answer that takes its time is written: only its body may follow.
    @exclusivity(unchecked) private var hasBegunAnswer = false
    @exclusivity(unchecked) private var isReceiving = false
    /// Set while the receiver doesn't take what has come.
    @exclusivity(unchecked) private var pausedSince: UInt64?

    init(
        _ tcp: TCPConnection, _ core: ServerCore, _ server: NetworkServer
    ) throws(NetworkError) {
        self.tcp = tcp
        self.core = core
        self.server = server
        reader = HTTPHeadReader(limits: core.configuration.http)
        clock = try HTTPDeadline(tcp.loop)
        tcp.handler = self
    }

    func start() {
        clock.onFire = { [unowned(unsafe) self] in timeIsOver() }
        clock.set(after: core.times.head)
        tcp.resumeReading()
    }

    // MARK: Reading

    func connection(
        _ connection: TCPConnection, received bytes: UnsafeMutableRawBufferPointer
    ) -> Int {
        isReceiving = true
        defer { isReceiving = false }
        var used = 0
        while used < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[used...])
            do throws(HTTPError) {
                switch phase {
                case .head:
                    // Requests sent ahead wait until the peer has taken the answers so far.
                    if tcp.queuedByteCount > 0 { return used }
                    used += try readHead(rest)
                    if phase == .over, tcp.handler !== self { return used }
                case .body:
                    let count = try readBody(rest)
                    used += count
                    if count < rest.count, phase == .body {
                        pausedSince = pausedSince ?? tcp.loop.now
                        return used
                    }
                case .answering: return used
                case .streaming, .leaving, .over: return bytes.count
                }
            } catch {
                refuse(error)
            }
        }
        return used
    }

    func connectionReceivedAll(_ connection: TCPConnection) {
        if phase == .body { receiver?.receivedAll(self) }
    }

    private func readHead(_ bytes: UnsafeRawBufferPointer) throws(HTTPError) -> Int {
        if reader.isEmpty { clock.set(after: core.times.head) }
        return try reader.consume(bytes) { head throws(HTTPError) in
            try begin(HTTPRequestScan(head))
        }
    }

    private func begin(_ request: HTTPRequestScan) throws(HTTPError) {
        requestNumber &+= 1
        hasBegunAnswer = false
        keepsAlive = request.keepsAlive && !closesAfterAnswer
        isHEAD = request.isHEAD
        minorVersion = request.minorVersion
        core.counters.requests.add(1)
        phase = .answering
        if let gate = core.gate, try !admit(request, gate) { return }
        try proceed(request)
    }

    /// Has a request answered that may be.
    func proceed(_ request: HTTPRequestScan) throws(HTTPError) {
        switch try respond(to: request) {
        case .upgraded: return
        case .reply(let reply):
            if request.bodyLength != 0 { keepsAlive = false }
            answer(reply)
        case .refuse(let problem):
            if request.bodyLength != 0 { keepsAlive = false }
            refuse(problem)
        case .receive(let receiver, let limits):
            do {
                if let length = request.bodyLength {
                    try HTTPBodyReader.check(length, limits)
                    bodyRest = length
                } else {
                    body = try HTTPBodyReader(length: nil, limits: limits)
                }
            } catch {
                keepsAlive = false
                receiver.cancelled(self)
                refuse(HTTPProblem(error))
                return
            }
            self.receiver = receiver
            if request.bodyLength == 0 {
                complete(receiver)
            } else {
                phase = .body
                clock.begin(core.times.body)
                if request.expectsContinue { tcp.write("HTTP/1.1 100 Continue\r\n\r\n") }
            }
        }
    }

    private func complete(_ receiver: any HTTPBodyReceiver) {
        phase = .answering
        clock.set(after: core.times.answer)
        receiver.end(self)
    }

    private func readBody(_ bytes: UnsafeRawBufferPointer) throws(HTTPError) -> Int {
        guard let receiver else { return bytes.count }
        let number = requestNumber
        if bodyRest > 0 {
            let part = UnsafeRawBufferPointer(rebasing: bytes.prefix(bodyRest))
            let used = receiver.receive(part, self)
            guard phase == .body, requestNumber == number else { return used }
            clock.received += used
            bodyRest -= used
            if bodyRest == 0 { complete(receiver) }
            return used
        }
        guard var body = self.body.take() else { return bytes.count }
        let used = try body.consume(bytes) { part in
            // A receiver that has refused the request gets nothing more of it.
            guard phase == .body, requestNumber == number else { return part.count }
            return receiver.receive(part, self)
        }
        guard phase == .body, requestNumber == number else { return used }
        clock.received = body.receivedLength
        self.body = body
        if body.isComplete { complete(receiver) }
        return used
    }

    func forgetBody() {
        body = nil
        bodyRest = 0
    }

    /// Reads on: a receiver has room again, or an answer is complete.
    func resume() {
        if let since = pausedSince.take() { clock.skip(tcp.loop.now - since) }
        if !isReceiving { tcp.resumeReading() }
    }

    func connectionDrained(_ connection: TCPConnection) {
        switch phase {
        case .answering, .streaming: receiver?.drained(self)
        case .leaving: close()
        case .head, .body, .over: tcp.resumeReading()
        }
    }

    func connectionReachedEnd(_ connection: TCPConnection) {
        switch phase {
        case .answering: closesAfterAnswer = true
        case .head: closeWhenTaken()
        case .leaving: break
        case .body, .streaming, .over: close()
        }
    }

    func connectionClosed(_ connection: TCPConnection, error: NetworkError?) {
        clock.close()
        release()
    }

    private func release() {
        requestNumber &+= 1
        forgetBody()
        receiver.take()?.cancelled(self)
    }

    // MARK: Time

    private func timeIsOver() {
        switch phase {
        case .head where reader.isEmpty:
            // A peer that takes its answer slowly is not idle.
            if tcp.queuedByteCount == 0 {
                core.counters.headTimeouts.add(1)
                close()
            } else if hasProgress(in: core.times.keepAlive) {
                clock.set(after: core.times.keepAlive)
            } else {
                core.counters.answerTimeouts.add(1)
                tcp.close(NetworkError(.timedOut, "the peer did not read its answer"))
            }
        case .head:
            core.counters.headTimeouts.add(1)
            finish(HTTPProblem(408, "the request's head took too long"))
        case .body:
            if let pausedSince { clock.skip(tcp.loop.now - pausedSince) }
            if pausedSince != nil { pausedSince = tcp.loop.now }
            if clock.extend(minimumRate: core.configuration.minimumBodyRate) { return }
            core.counters.bodyTimeouts.add(1)
            finish(HTTPProblem(408, "the request's body took too long"))
        case .answering:
            let isReading = hasBegunAnswer || tcp.queuedByteCount > 0
            if isReading, hasProgress(in: core.times.answer) {
                clock.set(after: core.times.answer)
                return
            }
            core.counters.answerTimeouts.add(1)
            if isReading {
                tcp.close(NetworkError(.timedOut, "the peer did not read its answer"))
            } else {
                finish(HTTPProblem(503, "the answer took too long"))
            }
        case .leaving:
            if hasProgress(in: core.times.answer) {
                clock.set(after: core.times.answer)
            } else {
                core.counters.answerTimeouts.add(1)
                tcp.close(NetworkError(.timedOut, "the peer did not read its answer"))
            }
        case .streaming, .over: break
        }
    }

    /// The head of an answer is written whose body comes in pieces: from now on the peer's pace counts.
    func beginPieces() {
        hasBegunAnswer = true
        _ = clock.hasProgress(tcp.sentByteCount)
        clock.set(after: core.times.answer)
    }

    /// Whether the peer has taken enough since the last look, that many milliseconds ago.
    private func hasProgress(in milliseconds: UInt64) -> Bool {
        let seconds = Int(clamping: milliseconds / 1_000)
        let (least, _) = core.configuration.minimumBodyRate.multipliedReportingOverflow(by: seconds)
        return clock.hasProgress(tcp.sentByteCount, atLeast: least)
    }

    /// Refuses the current request and closes.
    private func finish(_ problem: HTTPProblem) {
        keepsAlive = false
        receiver.take()?.cancelled(self)
        refuse(problem)
    }

    /// The bytes are none of HTTP's, or beyond a limit: what follows cannot be trusted.
    func refuse(_ error: HTTPError) {
        core.counters.countProtocolError(error.status)
        keepsAlive = false
        write(.problem(HTTPProblem(error)), isProblem: true)
        closeWhenTaken()
    }

    /// The server stops: a request that is under way is answered first.
    func stop(within deadline: Duration) {
        closesAfterAnswer = true
        keepsAlive = false
        if phase == .body || phase == .answering { return }
        close(within: deadline)
    }

    /// Closes when the peer has taken its answers, however long that takes it at a fair pace.
    func closeWhenTaken() {
        tcp.flushCork()
        guard tcp.queuedByteCount > 0 else { return close() }
        phase = .leaving
        release()
        _ = clock.hasProgress(tcp.sentByteCount)
        clock.set(after: core.times.answer)
        resume()
    }

    func close(within deadline: Duration = .seconds(2)) {
        phase = .over
        clock.stop()
        release()
        tcp.closeGracefully(within: deadline)
    }
}
