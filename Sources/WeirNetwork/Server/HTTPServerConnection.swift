/// A server's connection as long as it speaks HTTP: answers requests, hands over to WebSocket.
final class HTTPServerConnection: TCPConnectionHandler {
    private let tcp: TCPConnection
    private let core: ServerCore
    private let server: NetworkServer
    private let timer: LoopTimer
    private var reader: HTTPHeadReader
    private var isDone = false
    private var upgraded: WebSocketConnection?

    init(
        _ tcp: TCPConnection, _ core: ServerCore, _ server: NetworkServer
    ) throws(NetworkError) {
        self.tcp = tcp
        self.core = core
        self.server = server
        reader = HTTPHeadReader(limits: core.configuration.http)
        timer = try LoopTimer(on: tcp.loop) {}
        tcp.handler = self
    }

    func start() {
        timer.onFire = { [unowned(unsafe) self] in timeIsOver() }
        timer.start(after: core.configuration.headTimeout)
        tcp.resumeReading()
    }

    func connection(
        _ connection: TCPConnection, received bytes: UnsafeMutableRawBufferPointer
    ) -> Int {
        var used = 0
        while used < bytes.count, !isDone {
            // Requests sent ahead wait until the peer has taken the answers so far.
            if tcp.queuedByteCount > 0 { return used }
            if reader.isEmpty { timer.start(after: core.configuration.headTimeout) }
            do {
                let rest = UnsafeRawBufferPointer(rebasing: bytes[used...])
                var request: HTTPRequestHead?
                used += try reader.consume(rest) { head throws(HTTPError) in
                    request = try HTTPRequestHead(parsing: head)
                }
                if let request { try answer(request) }
            } catch {
                refuse(error, isViolation: true)
            }
            if upgraded != nil { return used }
        }
        return bytes.count
    }

    func connectionDrained(_ connection: TCPConnection) { tcp.resumeReading() }

    func connectionClosed(_ connection: TCPConnection, error: NetworkError?) { timer.close() }

    private func timeIsOver() {
        guard !isDone else { return }
        core.counters.headTimeouts.add(1)
        if reader.isEmpty {
            isDone = true
            tcp.closeGracefully()
        } else {
            refuse(HTTPError(408, "the request's head took too long"), isViolation: false)
        }
    }

    // MARK: Answers

    private func answer(_ request: HTTPRequestHead) throws(HTTPError) {
        core.counters.requests.add(1)
        guard request.bodyLength == 0 else {
            throw HTTPError(413, "a body is not expected here")
        }
        timer.start(after: core.configuration.keepAliveTimeout)
        switch server.route(request.path) {
        case .page(let page): serve(page, request)
        case .webSocket(let acceptor): try upgrade(request, acceptor)
        case nil: refuse(HTTPError(404, "there is nothing at this path"), request)
        }
    }

    private func serve(_ page: StaticPage, _ request: HTTPRequestHead) {
        guard request.method == "GET" || request.method == "HEAD" else {
            refuse(HTTPError(405, "only GET and HEAD are allowed"), request, allow: "GET, HEAD")
            return
        }
        var response = HTTPResponse(200)
        response.closes = !request.keepsAlive
        response.headers = [
            ("Content-Type", page.contentType), ("Content-Length", "\(page.body.count)"),
        ]
        // An HTTP/1.0 client expects a close unless it is told otherwise.
        if request.minorVersion == 0, request.keepsAlive {
            response.headers.append(("Connection", "keep-alive"))
        }
        tcp.write(response.head(at: HTTPDate.now()))
        if request.method == "GET" {
            // The head and a large body may exceed the limit together; the queue was empty before.
            if tcp.write(page.body) == .refused { tcp.writeAnyway(page.body) }
        }
        if response.closes { close() }
    }

    private func upgrade(
        _ request: HTTPRequestHead, _ acceptor: NetworkServer.Acceptor
    ) throws(HTTPError) {
        let key: String
        do {
            key = try WebSocketHandshake.key(of: request)
        } catch {
            core.counters.countProtocolError(error.status)
            refuse(error, request, allow: error.status == 405 ? "GET" : nil)
            return
        }
        let question = WebSocketRequest(
            head: request, remoteAddress: tcp.remoteAddress, tls: tcp.tlsInfo)
        switch acceptor(question).choice {
        case .refuse(let error, let isForOrigin):
            if isForOrigin { core.counters.originsRefused.add(1) }
            refuse(error, request)
        case .accept(let handler, let subprotocol, let configuration):
            let configuration = configuration ?? core.configuration.webSocket
            let chosen = subprotocol.flatMap { question.subprotocols.contains($0) ? $0 : nil }
            let deflate = DeflateNegotiation.accept(
                request.headers.elements("Sec-WebSocket-Extensions"), configuration.compression)
            let response = WebSocketHandshake.response(
                key: key, subprotocol: chosen, extensions: deflate?.answer)
            tcp.write(response.head(at: HTTPDate.now()))
            core.counters.webSocketsOpened.add(1)
            let webSocket = WebSocketConnection(
                tcp, role: .server, target: request.target, subprotocol: chosen,
                deflate: deflate?.agreement, configuration: configuration, timer: timer,
                counters: core.counters, handler: handler)
            upgraded = webSocket
            handler.opened(webSocket)
        }
    }

    /// Refuses a request and closes: what follows on the connection cannot be trusted.
    private func refuse(_ error: HTTPError, isViolation: Bool) {
        if isViolation { core.counters.countProtocolError(error.status) }
        var (response, body) = HTTPResponse.refusal(error)
        response.closes = true
        tcp.write(response.head(at: HTTPDate.now()) + body)
        close()
    }

    /// Answers a well-formed request with an error; the connection stays open if it may.
    private func refuse(_ error: HTTPError, _ request: HTTPRequestHead, allow: String? = nil) {
        var (response, body) = HTTPResponse.refusal(error)
        response.closes = !request.keepsAlive
        if let allow { response.headers.append(("Allow", allow)) }
        if error.status == 426 {
            response.headers.append(("Upgrade", "websocket"))
            response.headers.append(("Connection", "Upgrade"))
            response.headers.append(("Sec-WebSocket-Version", "13"))
        }
        let isHead = request.method == "HEAD"
        tcp.write(response.head(at: HTTPDate.now()) + (isHead ? "" : body))
        if response.closes { close() }
    }

    private func close() {
        isDone = true
        timer.stop()
        tcp.closeGracefully()
    }
}
