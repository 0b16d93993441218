import HTTPTypes

/// The clients of a sink of server-sent events, and what is kept for them; on the loop only.
final class EventBroadcast {
    private let options: ServerSentEventOptions
    private let run: String
    private let loop: Loop
    private var clients: [ObjectIdentifier: EventClient] = [:]
    private var kept: [SharedBytes] = []
    private var head = 0
    private var keptBytes = 0
    /// The number of the next event; that of the oldest kept one is less by what is kept.
    private var next = 0
    private var timer: LoopTimer?
    /// When all clients were sent something, in the loop's milliseconds.
    private var lastSentAt: UInt64 = 0
    private var isClosed = false

    init(_ options: ServerSentEventOptions, run: String, on loop: Loop) {
        self.options = options
        self.run = run
        self.loop = loop
    }

    /// Decides about a request.
    func begin(
        _ request: HTTPRequestScan, _ connection: HTTPServerConnection
    ) -> HTTPBeginning {
        if isClosed { return .refuse(HTTPProblem(503, "the service stops")) }
        if connection.isHEAD { return .reply(HTTPReply(response, body: SharedBytes([]))) }
        guard clients.count < options.maximumClients else {
            var problem = HTTPProblem(503, "there are too many listeners")
            problem.retryAfter = 10
            connection.core.counters.connectionsRefused.add(1)
            return .refuse(problem)
        }
        let last = (try? HTTPRequestHead(request))?.headers["Last-Event-ID"]
        return .receive(EventClient(self, lastEventID: last), HTTPBodyLimits())
    }

    var response: HTTPResponse {
        var response = HTTPResponse(status: .ok)
        response.headerFields[.contentType] = "text/event-stream; charset=utf-8"
        response.headerFields[.cacheControl] = "no-store"
        if let origin = options.allowedOrigin {
            response.headerFields[.accessControlAllowOrigin] = origin
        }
        return response
    }

    /// Takes a client in and sends what it has missed.
    func add(_ client: EventClient, _ connection: HTTPServerConnection, lastEventID: String?) {
        connection.tcp.writeLimit = options.queuedBytes
        connection.beginStream(response, client)
        connection.tcp.write("retry: \(options.retry.milliseconds)\n\n")
        if let lastEventID {
            let known = number(of: lastEventID).flatMap { $0 < next ? $0 : nil }
            let first = max(oldest, known.map { $0 + 1 } ?? oldest)
            if known.map({ $0 + 1 < oldest }) ?? true { connection.tcp.write(": missed\n\n") }
            client.missing = first
        }
        clients[ObjectIdentifier(client)] = client
        replay(to: client, connection)
        keepAlive()
    }

    /// The number of the oldest event that is kept; that of the next one when there is none.
    private var oldest: Int { next - (kept.count - head) }

    /// Sends what a client still misses as far as its connection takes it; then it gets what comes.
    func replay(to client: EventClient, _ connection: HTTPServerConnection) {
        guard var number = client.missing else { return }
        connection.tcp.corked {
            while number < next {
                switch connection.tcp.write(kept[kept.count - (next - number)]) {
                case .sent, .queued: number += 1
                case .refused, .closed: return
                }
            }
        }
        // What comes next must not find the queue full of this.
        client.missing = number < next || connection.tcp.queuedByteCount > 0 ? number : nil
    }

    /// The number in an identifier of this run.
    private func number(of id: String) -> Int? {
        let parts = id.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, parts[0] == run, let number = Int(parts[1]), number >= 0 else {
            return nil
        }
        return number
    }

    func remove(_ client: EventClient) {
        clients[ObjectIdentifier(client)] = nil
        if clients.isEmpty { timer?.stop() }
    }

    /// Sends events to all clients; returns how many could not be given to a client.
    ///
    /// A client that still gets what it has missed finds these among what is kept; one that misses more than
    /// is kept is too slow.
    func send(_ payloads: [[UInt8]]) -> Int {
        if payloads.isEmpty { return 0 }
        var all: [UInt8] = []
        for payload in payloads {
            let start = all.count
            ServerSentEvent.appendField("id", "\(run)-\(next)".utf8, &all)
            if let name = options.eventName {
                ServerSentEvent.appendField("event", name.utf8, &all)
            }
            ServerSentEvent.appendData(payload, &all)
            all.append(0x0A)
            next += 1
            if options.replayCount > 0 { keep(SharedBytes(all[start...])) }
        }
        let bytes = SharedBytes(all)
        lastSentAt = loop.now
        var dropped = 0
        for client in Array(clients.values) {
            if let missing = client.missing {
                if missing < oldest {
                    dropped += oldest - missing
                    client.isTooSlow()
                }
            } else if !client.send(bytes) {
                dropped += payloads.count
            }
        }
        return dropped
    }

    private func keep(_ event: SharedBytes) {
        kept.append(event)
        keptBytes += event.count
        while kept.count - head > options.replayCount
            || keptBytes > options.replayBytes && head < kept.count
        {
            keptBytes -= kept[head].count
            head += 1
        }
        if head > 64, head * 2 > kept.count {
            kept.removeFirst(head)
            head = 0
        }
    }

    /// Sees to it that the clients get something in time, those that are there already too.
    func keepAlive() {
        if timer == nil {
            timer = try? LoopTimer(on: loop) { [unowned(unsafe) self] in lookAtTime() }
        }
        guard let timer, !timer.isActive else { return }
        lastSentAt = loop.now
        timer.start(after: options.keepAlive)
    }

    private func lookAtTime() {
        let now = loop.now
        let interval = options.keepAlive.milliseconds
        if now - lastSentAt >= interval {
            let comment = SharedBytes(":\n\n".utf8)
            lastSentAt = now
            for client in Array(clients.values) where client.missing == nil {
                _ = client.send(comment)
            }
        }
        if !clients.isEmpty { timer?.start(after: .milliseconds(lastSentAt + interval - now)) }
    }

    /// Ends all streams.
    func close() {
        isClosed = true
        timer?.close()
        timer = nil
        for client in Array(clients.values) { client.close() }
        clients.removeAll()
    }
}

/// One listener.
final class EventClient: HTTPBodyReceiver {
    private let broadcast: EventBroadcast
    private let lastEventID: String?
    private weak var connection: HTTPServerConnection?
    /// The number of the next event that it has missed; nil once it gets events as they come.
    var missing: Int?

    init(_ broadcast: EventBroadcast, lastEventID: String?) {
        self.broadcast = broadcast
        self.lastEventID = lastEventID
    }

    func receive(_ bytes: UnsafeRawBufferPointer, _ connection: HTTPServerConnection) -> Int {
        bytes.count
    }

    func end(_ connection: HTTPServerConnection) {
        self.connection = connection
        broadcast.add(self, connection, lastEventID: lastEventID)
    }

    /// False when the client is gone or too slow.
    func send(_ bytes: SharedBytes) -> Bool {
        guard let connection else { return false }
        switch connection.tcp.write(bytes) {
        case .sent, .queued: return true
        case .refused: isTooSlow()
        case .closed: broadcast.remove(self)
        }
        return false
    }

    func isTooSlow() {
        broadcast.remove(self)
        guard let connection else { return }
        connection.core.counters.slowConsumersClosed.add(1)
        connection.tcp.close(NetworkError(.timedOut, "the listener reads too slowly"))
    }

    func drained(_ connection: HTTPServerConnection) { broadcast.replay(to: self, connection) }

    func close() { connection?.close() }

    func cancelled(_ connection: HTTPServerConnection) { broadcast.remove(self) }
}
