import Weir

/// A keep-alive connection that carries requests, and is made again when the server ends it.
final class HTTPChannel: LoadChannel, TCPConnectionHandler {
    private let plan: LoadPlan
    private let tls: TLSClientContext?
    private let loop: Loop
    private let events: LoadChannelEvents
    private let requests: RequestWriter
    private var reader: HTTPResponseReader
    private var connection: TCPConnection?
    private var outstanding = 0
    private var isClosing = false
    /// Runs once, when the first connection is there or failed.
    private var onConnected: LoadPlan.Connected?
    private var pause = HTTPChannel.firstPause
    private var timer: LoopTimer?
    /// Why the connection is being closed by this side.
    private var failure: String?
    private var endsInOrder = false
    /// Whether this connection has brought an answer.
    private var hasAnswered = false
    private var reconnections = 0

    /// The pauses before a connection that failed is made again double up to the longest.
    private static let firstPause = Duration.milliseconds(20)
    private static let longestPause = Duration.seconds(1)
    /// Nothing of a body is kept, so that it may be large.
    private static let bodyLengthMax = 1 << 32

    private init(
        _ plan: LoadPlan, _ tls: TLSClientContext?, _ loop: Loop, _ events: LoadChannelEvents
    ) {
        self.plan = plan
        self.tls = tls
        self.loop = loop
        self.events = events
        requests = RequestWriter(plan)
        reader = Self.reader(plan)
    }

    static func connect(
        _ plan: LoadPlan, tls: TLSClientContext?, on loop: Loop, events: LoadChannelEvents,
        completion: @escaping LoadPlan.Connected
    ) {
        let channel = HTTPChannel(plan, tls, loop, events)
        channel.onConnected = completion
        channel.connect()
    }

    private static func reader(_ plan: LoadPlan) -> HTTPResponseReader {
        var limits = HTTPBodyLimits()
        limits.maximumLength = bodyLengthMax
        return HTTPResponseReader(isHEAD: plan.http.method == "HEAD", body: limits)
    }

    private func connect() {
        plan.connectSocket(tls: tls, on: loop) { [self] result in
            switch result {
            case .success(let connection): opened(connection)
            case .failure(let error): failed(error)
            }
        }
    }

    private func opened(_ connection: TCPConnection) {
        // Without a handler it is closed.
        if isClosing { return }
        self.connection = connection
        reader = Self.reader(plan)
        (outstanding, failure, endsInOrder, hasAnswered) = (0, nil, false, false)
        connection.writeLimit = LoadChannelLimits.write
        connection.handler = self
        connection.resumeReading()
        if let onConnected {
            self.onConnected = nil
            onConnected(.success(self))
        } else {
            reconnections += 1
            events.onDrained()
        }
    }

    private func failed(_ error: NetworkError) {
        if let onConnected {
            self.onConnected = nil
            onConnected(.failure(error))
        } else if !isClosing {
            events.onLost(error.description)
            connectAfterPause()
        }
    }

    private func connectAfterPause() {
        do {
            timer?.close()
            timer = try LoopTimer(on: loop) { [weak self] in self?.connect() }
            timer?.start(after: pause)
            pause = min(pause * 2, Self.longestPause)
        } catch {
            isClosing = true
            events.onClosed(error.description)
        }
    }

    // MARK: Sending

    var isReady: Bool { connection != nil && !endsInOrder && !isClosing }
    var queuedByteCount: Int { connection?.queuedByteCount ?? 0 }

    func send(_ payload: UnsafeRawBufferPointer) -> WriteOutcome {
        guard isReady, let connection else { return .refused }
        let outcome = requests.write(payload, to: connection)
        if outcome == .sent || outcome == .queued { outstanding += 1 }
        return outcome
    }

    func corked(_ body: () -> Void) {
        if let connection { connection.corked(body) } else { body() }
    }

    func report(to record: inout LoadRecord) { record.reconnections += reconnections }

    func close() {
        if isClosing { return }
        isClosing = true
        timer?.close()
        timer = nil
        if let connection {
            connection.closeGracefully(within: LoadChannelLimits.closing)
        } else {
            events.onClosed(nil)
        }
    }

    // MARK: Receiving

    func connection(
        _ connection: TCPConnection, received bytes: UnsafeMutableRawBufferPointer
    ) -> Int {
        do throws(HTTPError) {
            let count = try reader.consume(UnsafeRawBufferPointer(bytes)) { response in
                answered(response)
            }
            events.onReceived(count)
        } catch {
            failure = "what the server sent is no HTTP response: \(error.reason)"
            connection.close()
        }
        if endsInOrder && outstanding == 0 { connection.close() }
        return bytes.count
    }

    private func answered(_ response: HTTPResponseReader.Response) {
        outstanding = max(0, outstanding - 1)
        pause = Self.firstPause
        hasAnswered = true
        if !response.keepsConnection { endsInOrder = true }
        events.onAnswer(response.status)
    }

    func connectionReachedEnd(_ connection: TCPConnection) {
        if let response = reader.end() { answered(response) }
        connection.close()
    }

    func connectionDrained(_ connection: TCPConnection) { events.onDrained() }

    func connectionClosed(_ connection: TCPConnection, error: NetworkError?) {
        self.connection = nil
        if isClosing { return events.onClosed(nil) }
        let lost = outstanding
        outstanding = 0
        if failure == nil && error == nil && lost == 0 {
            // Servers end connections after a time or a number of requests: another one is made.
            events.onLost(nil)
            if hasAnswered { connect() } else { connectAfterPause() }
            return
        }
        let ended =
            lost == 0
            ? "the server ended the connection"
            : "the server ended the connection before it had answered"
        events.onLost(failure ?? error?.description ?? ended)
        connectAfterPause()
    }
}

/// Puts a head before each request's body.
private final class RequestWriter {
    private let start: [UInt8]
    private let sendsLength: Bool
    private var head: [UInt8] = []
    private var length = -1

    init(_ plan: LoadPlan) {
        start = plan.http.head(for: plan)
        sendsLength = plan.payload != .empty || ["POST", "PUT", "PATCH"].contains(plan.http.method)
    }

    func write(_ body: UnsafeRawBufferPointer, to connection: TCPConnection) -> WriteOutcome {
        if body.count != length {
            length = body.count
            head = start
            if sendsLength { head.append(contentsOf: "Content-Length: \(length)\r\n".utf8) }
            head.append(contentsOf: "\r\n".utf8)
        }
        return head.withUnsafeBytes { connection.write($0, body) }
    }
}
