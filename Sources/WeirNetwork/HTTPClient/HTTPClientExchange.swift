import HTTPTypes
import Synchronization

/// What gets a response, on the loop.
protocol HTTPResponseHandler: AnyObject {
    /// The head has come, and is no interim one.
    func received(_ head: HTTPResponse, on exchange: HTTPClientExchange)
    /// A part of the body has come; with fewer than all bytes used, reading waits for `resume`.
    func received(_ part: UnsafeRawBufferPointer, on exchange: HTTPClientExchange) -> Int
    /// All that one read of the socket brought has been given.
    func receivedAll(on exchange: HTTPClientExchange)
    /// The response is complete, or it failed; the last call.
    func finished(_ error: NetworkError?)
}

extension HTTPResponseHandler {
    func receivedAll(on exchange: HTTPClientExchange) {}
}

/// One request and its response over a connection of its own; used on its loop only.
final class HTTPClientExchange: TCPConnectionHandler {
    private let method: HTTPRequest.Method
    private let url: NetworkURL
    private let headers: HTTPFields
    private let requestBody: [UInt8]
    private let loop: Loop
    private let configuration: HTTPClient.Configuration
    private var handler: (any HTTPResponseHandler)?
    private var reader: HTTPHeadReader
    private var body: HTTPBodyReader?
    private var tcp: TCPConnection?
    private var timer: LoopTimer?
    private var shown: ClientAuthorization.Header?

    init(
        _ method: HTTPRequest.Method, _ url: NetworkURL, headers: HTTPFields, body: [UInt8],
        loop: Loop, configuration: HTTPClient.Configuration, handler: any HTTPResponseHandler
    ) {
        self.method = method
        self.url = url
        self.headers = headers
        requestBody = body
        self.loop = loop
        self.configuration = configuration
        self.handler = handler
        reader = HTTPHeadReader(limits: configuration.http)
    }

    private var name: String { url.publicName }

    func start() {
        guard let authorization = configuration.authorization else {
            connect()
            return
        }
        authorization.header(on: loop) { [self] result in
            switch result {
            case .failure(let error): finish(error)
            case .success(let header):
                shown = header
                if handler != nil { connect() }
            }
        }
    }

    private func connect() {
        var tls: TLSClientContext?
        do throws(NetworkError) {
            if url.isSecure {
                tls = if let tls = configuration.tls { tls } else { try .shared() }
            }
        } catch {
            finish(error)
            return
        }
        TCPConnection.connect(
            to: url.host, port: url.port, on: loop, timeout: configuration.connectTimeout, tls: tls
        ) { [self] result in
            switch result {
            case .failure(let error): finish(error)
            case .success(let tcp):
                // Without a handler it is closed: the request was cancelled meanwhile.
                if handler != nil { begin(tcp) }
            }
        }
    }

    private func begin(_ tcp: TCPConnection) {
        self.tcp = tcp
        tcp.handler = self
        let timeout = configuration.responseTimeout
        do {
            timer = try LoopTimer(on: loop) { [unowned(unsafe) self] in
                finish(NetworkError(.timedOut, "\(name) did not answer within \(timeout)"))
            }
        } catch {
            finish(error)
            return
        }
        timer?.start(after: timeout)
        var text = "\(method.rawValue) \(url.target) HTTP/1.1\r\nHost: \(url.authority)\r\n"
        text += "Connection: close\r\n"
        if !requestBody.isEmpty || method == .post || method == .put {
            text += "Content-Length: \(requestBody.count)\r\n"
        }
        if let shown { text += "\(shown.name): \(shown.value)\r\n" }
        for field in headers { text += "\(field.name.rawName): \(field.value)\r\n" }
        tcp.write(text + "\r\n")
        if !requestBody.isEmpty { tcp.write(SharedBytes(requestBody)) }
        tcp.resumeReading()
    }

    /// Reads on after the handler was full.
    func resume() {
        tcp?.idleTimeout = configuration.idleTimeout
        tcp?.resumeReading()
    }

    /// Reads no more for now; time does not count meanwhile.
    func pause() { tcp?.pauseReading() }

    /// Ends with an error, if it has not ended.
    func fail(_ error: NetworkError) { finish(error) }

    /// Closes; the handler hears nothing more.
    func cancel() {
        handler = nil
        end()
    }

    private func end() {
        timer?.close()
        timer = nil
        tcp?.close()
        tcp = nil
    }

    private func finish(_ error: NetworkError?) {
        guard let handler else { return }
        self.handler = nil
        end()
        handler.finished(error)
    }

    // MARK: Reading

    func connection(
        _ connection: TCPConnection, received bytes: UnsafeMutableRawBufferPointer
    ) -> Int {
        var used = 0
        do throws(HTTPError) {
            while used < bytes.count, let handler {
                let rest = UnsafeRawBufferPointer(rebasing: bytes[used...])
                if body == nil {
                    used += try readHead(rest)
                    continue
                }
                let count = try readBody(rest, handler)
                used += count
                if count < rest.count, body != nil { return used }
            }
        } catch {
            let code: NetworkError.Code =
                error.status == 413 ? .outOfResources : .protocolViolation
            finish(NetworkError(code, "\(name) answered wrongly: \(error.reason)"))
        }
        return bytes.count
    }

    private func readBody(
        _ bytes: UnsafeRawBufferPointer, _ handler: any HTTPResponseHandler
    ) throws(HTTPError) -> Int {
        guard var body = self.body else { return 0 }
        let used = try body.consume(bytes) { handler.received($0, on: self) }
        self.body = body
        if body.isComplete { finish(nil) }
        return used
    }

    private func readHead(_ bytes: UnsafeRawBufferPointer) throws(HTTPError) -> Int {
        let isHEAD = method == .head
        return try reader.consume(bytes) { head throws(HTTPError) in
            let scan = try HTTPResponseScan(head, isHEAD: isHEAD)
            if scan.status == 101 { throw HTTPError(502, "it changes the protocol") }
            if scan.status < 200 { return }
            try begin(scan)
        }
    }

    private func begin(_ scan: HTTPResponseScan) throws(HTTPError) {
        timer?.stop()
        if scan.status == 401, let shown { configuration.authorization?.refused(shown) }
        var response = HTTPResponse(status: .init(code: scan.status))
        for field in scan.headers.fields {
            guard let name = HTTPField.Name(field.name) else { continue }
            response.headerFields.append(HTTPField(name: name, value: field.value))
        }
        switch scan.length {
        case .none: body = try HTTPBodyReader(length: 0, limits: configuration.body)
        case .counted(let length):
            body = try HTTPBodyReader(length: length, limits: configuration.body)
        case .chunked: body = try HTTPBodyReader(length: nil, limits: configuration.body)
        case .untilClose: body = .untilClose(configuration.body)
        }
        tcp?.idleTimeout = configuration.idleTimeout
        handler?.received(response, on: self)
        if body?.isComplete == true { finish(nil) }
    }

    func connectionReceivedAll(_ connection: TCPConnection) { handler?.receivedAll(on: self) }

    func connectionReachedEnd(_ connection: TCPConnection) {
        if body?.endsWithConnection == true {
            finish(nil)
        } else {
            finish(NetworkError(.connectionLost, "\(name) closed before its answer was complete"))
        }
    }

    func connectionIdled(_ connection: TCPConnection) {
        finish(NetworkError(.timedOut, "\(name) was silent for too long"))
    }

    func connectionClosed(_ connection: TCPConnection, error: NetworkError?) {
        finish(error ?? NetworkError(.connectionLost, "\(name) closed the connection"))
    }
}

/// Lets a task's cancellation reach an exchange, whichever of both begins first.
final class HTTPClientCancellation: Sendable {
    private enum State: Sendable {
        case waiting
        case begun(LoopBound<HTTPClientExchange>)
        case cancelled
    }

    private let state = Mutex(State.waiting)

    /// On the loop: the exchange that is to be cancelled; at once if that was asked for.
    func begin(_ exchange: HTTPClientExchange, _ loop: Loop) {
        let bound = LoopBound(exchange, on: loop)
        let isCancelled = state.withLock { state in
            if case .cancelled = state { return true }
            state = .begun(bound)
            return false
        }
        if isCancelled { exchange.fail(NetworkError(.closed, "the request was cancelled")) }
    }

    func cancel() {
        let begun = state.withLock { state -> LoopBound<HTTPClientExchange>? in
            defer { state = .cancelled }
            if case .begun(let exchange) = state { return exchange }
            return nil
        }
        guard let begun else { return }
        begun.loop.onLoop {
            begun.value.fail(NetworkError(.closed, "the request was cancelled"))
        }
    }
}
