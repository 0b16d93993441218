import HTTPTypes

/// The clients of a sink of server-sent events, and what is kept for them; on the loop only.
final class EventBroadcast {
    private let options: ServerSentEventOptions
    private let run: String
    private var clients: [ObjectIdentifier: EventClient] = [:]
    private var kept: [SharedBytes] = []
    private var head = 0
    private var keptBytes = 0
    /// The number of the next event; that of the oldest kept one is less by what is kept.
    private var next = 0
    private var timer: LoopTimer?
    private var hasSent = false
    private var isClosed = false

    init(_ options: ServerSentEventOptions, run: String) {
        self.options = options
        self.run = run
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
            var first = kept.count
            if let number = number(of: lastEventID), number < next {
                first = max(head, kept.count - (next - 1 - number))
                if next - 1 - number > kept.count - head { connection.tcp.write(": missed\n\n") }
            } else {
                first = head
                connection.tcp.write(": missed\n\n")
            }
            connection.tcp.corked {
                for event in kept[first...] {
                    // Bounded by what is kept, which the write limit needn't cover.
                    if connection.tcp.write(event) == .refused { connection.tcp.writeAnyway(event) }
                }
            }
        }
        clients[ObjectIdentifier(client)] = client
        keepAlive(connection.tcp.loop)
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
        hasSent = true
        let bytes = SharedBytes(all)
        var dropped = 0
        for client in Array(clients.values) where !client.send(bytes) { dropped += payloads.count }
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

    private func keepAlive(_ loop: Loop) {
        if timer == nil {
            timer = try? LoopTimer(on: loop) { [unowned(unsafe) self] in sendComment() }
        }
        timer?.start(after: options.keepAlive, every: options.keepAlive)
    }

    private func sendComment() {
        if hasSent {
            hasSent = false
            return
        }
        let comment = SharedBytes(":\n\n".utf8)
        for client in Array(clients.values) { _ = client.send(comment) }
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
        case .refused:
            connection.core.counters.slowConsumersClosed.add(1)
            connection.tcp.close(NetworkError(.timedOut, "the listener reads too slowly"))
        case .closed: break
        }
        broadcast.remove(self)
        return false
    }

    func close() { connection?.close() }

    func cancelled(_ connection: HTTPServerConnection) { broadcast.remove(self) }
}
