import HTTPTypes

extension HTTPServerConnection {
    /// Finds who answers a request.
    func respond(to request: HTTPRequestScan) throws(HTTPError) -> HTTPBeginning {
        let routes = server.currentRoutes
        if let lastRoute, lastRoute.fits(request, routes) {
            return lastRoute.responder(request, self)
        }
        let path = request.path.isEmpty ? "/" : request.text(request.path)
        guard let endpoint = server.endpoint(path) else {
            if let (folder, rest) = server.folder(path) {
                return try folder.begin(HTTPRequestHead(request), rest, self)
            }
            return .refuse(HTTPProblem(404, "there is nothing at this path"))
        }
        if request.upgrades, let acceptor = endpoint.acceptor {
            return try upgrade(HTTPRequestHead(request), acceptor)
        }
        let method = request.text(request.method)
        if let responder = endpoint.responder(method) {
            lastRoute = KnownRoute(request, routes, responder)
            return responder(request, self)
        }
        if let page = endpoint.page, method == "GET" || method == "HEAD" {
            return .reply(page.reply)
        }
        if let acceptor = endpoint.acceptor, endpoint.page == nil, endpoint.responders.isEmpty {
            return try upgrade(HTTPRequestHead(request), acceptor)
        }
        var problem = HTTPProblem(405, "this path allows \(endpoint.allow)")
        problem.allow = endpoint.allow
        return .refuse(problem)
    }

    /// Who has answered a request: the next one of a connection most often is for the same.
    final class KnownRoute {
        /// Method and path as they came.
        private let start: [UInt8]
        private let routes: Int
        let responder: HTTPResponder

        init(_ request: HTTPRequestScan, _ routes: Int, _ responder: @escaping HTTPResponder) {
            start = Array(request.bytes.prefix(request.path.upperBound))
            self.routes = routes
            self.responder = responder
        }

        func fits(_ request: HTTPRequestScan, _ routes: Int) -> Bool {
            self.routes == routes && !request.upgrades && request.path.upperBound == start.count
                && request.bytes.begins(with: start)
        }
    }

    private func upgrade(
        _ request: HTTPRequestHead, _ acceptor: NetworkServer.Acceptor
    ) throws(HTTPError) -> HTTPBeginning {
        guard request.bodyLength == 0 else {
            throw HTTPError(413, "a handshake has no body")
        }
        let key: String
        do {
            key = try WebSocketHandshake.key(of: request)
        } catch {
            core.counters.countProtocolError(error.status)
            return .refuse(handshakeProblem(error))
        }
        let question = WebSocketRequest(
            head: request, remoteAddress: tcp.remoteAddress, identity: tcp.access?.identity,
            tls: tcp.tlsInfo)
        switch acceptor(question).choice {
        case .refuse(let error, let isForOrigin):
            if isForOrigin { core.counters.originsRefused.add(1) }
            return .refuse(handshakeProblem(error))
        case .accept(let handler, let subprotocol, let configuration):
            let configuration = configuration ?? core.configuration.webSocket
            let offered = question.subprotocols
            // A browser that shows a token has to have one of its subprotocols agreed on.
            let marker = offered.first { $0 == Credentials.markerSubprotocol }
            let chosen = subprotocol.flatMap { offered.contains($0) ? $0 : nil } ?? marker
            let deflate = DeflateNegotiation.accept(
                request.headers.elements("Sec-WebSocket-Extensions"), configuration.compression)
            let response = WebSocketHandshake.response(
                key: key, subprotocol: chosen, extensions: deflate?.answer)
            tcp.write(response.head(at: HTTPDate.now()))
            core.counters.webSocketsOpened.add(1)
            phase = .over
            let webSocket = WebSocketConnection(
                tcp, role: .server, target: request.target, subprotocol: chosen,
                deflate: deflate?.agreement, configuration: configuration,
                timer: clock.handOver(), counters: core.counters, handler: handler)
            handler.opened(webSocket)
            watchExpiry { [unowned webSocket] in
                webSocket.close(.policyViolation, reason: "the credentials have expired")
            }
            return .upgraded
        }
    }

    private func handshakeProblem(_ error: HTTPError) -> HTTPProblem {
        var problem = HTTPProblem(error)
        if error.status == 405 { problem.allow = "GET" }
        return problem
    }

    // MARK: Answering

    /// Answers the current request; a request whose body hasn't come closes the connection.
    func answer(_ reply: HTTPReply) {
        write(reply, isProblem: false)
        finishAnswer()
    }

    /// Answers if the request of that number is still waiting for it.
    func answer(_ number: UInt64, _ reply: HTTPReply) {
        guard number == requestNumber, phase == .answering || phase == .body else { return }
        answer(reply)
    }

    /// Answers with a problem.
    func refuse(_ problem: HTTPProblem) {
        core.counters.countRejected(problem.status)
        write(.problem(problem), isProblem: true)
        finishAnswer()
    }

    /// Refuses if the request of that number is still waiting for an answer.
    func refuse(_ number: UInt64, _ problem: HTTPProblem) {
        guard number == requestNumber, phase == .answering || phase == .body else { return }
        refuse(problem)
    }

    /// Answers with bytes that were made before, for a connection that stays open.
    func answerPrepared(_ bytes: SharedBytes) {
        tcp.write(bytes)
        finishAnswer()
    }

    /// Whether an answer made for any connection that stays open fits this request.
    var takesPrepared: Bool {
        keepsAlive && !closesAfterAnswer && minorVersion >= 1 && !isHEAD && phase == .answering
    }

    /// The answer is written: the next request, or the end.
    func finishAnswer() {
        receiver = nil
        let isEarly = phase != .answering
        forgetBody()
        if !keepsAlive || isEarly || closesAfterAnswer {
            closeWhenTaken()
            return
        }
        phase = .head
        clock.set(after: core.times.keepAlive)
        _ = clock.hasProgress(tcp.sentByteCount)
        resume()
    }

    /// Writes a whole answer.
    func write(_ reply: HTTPReply, isProblem: Bool) {
        if phase == .body { keepsAlive = false }
        writeHead(reply.response, length: reply.body.count)
        let hasBody = !isHEAD || (isProblem && phase == .head)
        let status = reply.response.status.code
        guard hasBody, status >= 200, status != 204, status != 304 else { return }
        // The head and a large body may exceed the limit together; the queue was empty before.
        if tcp.write(reply.body) == .refused { tcp.writeAnyway(reply.body) }
    }

    /// Writes the head of an answer; without a length it ends with the connection.
    func writeHead(_ response: HTTPResponse, length: Int?) {
        let status = response.status.code
        var head = HTTPResponseHead(status)
        head.closes = !keepsAlive || closesAfterAnswer || length == nil
        for field in response.headerFields
        where field.name != .contentLength && field.name != .connection {
            head.headers.append((field.name.rawName, field.value))
        }
        if let length, status >= 200, status != 204, status != 304 || length > 0 {
            head.headers.append(("Content-Length", "\(length)"))
        }
        if status == 426 {
            head.headers.append(("Upgrade", "websocket"))
            head.headers.append(("Sec-WebSocket-Version", "13"))
            head.headers.append(("Connection", "Upgrade"))
        }
        // An HTTP/1.0 client expects a close unless it is told otherwise.
        if minorVersion == 0, !head.closes { head.headers.append(("Connection", "keep-alive")) }
        tcp.write(head.head(at: HTTPDate.now()))
    }

    /// Begins an answer without an end; what the peer sends from now on is ignored.
    func beginStream(_ response: HTTPResponse, _ receiver: any HTTPBodyReceiver) {
        keepsAlive = false
        writeHead(response, length: nil)
        phase = .streaming
        clock.stop()
        self.receiver = receiver
        watchExpiry { [unowned self] in close() }
        resume()
    }
}

extension StaticPage {
    var reply: HTTPReply {
        var response = HTTPResponse(status: .ok)
        response.headerFields[.contentType] = contentType
        return HTTPReply(response, body: body)
    }
}
