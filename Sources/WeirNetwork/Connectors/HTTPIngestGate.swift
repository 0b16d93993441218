import WeirCore

/// Who has brought events by a request, and is told what became of them; on the loop.
protocol HTTPIngestParty: AnyObject {
    /// So many events are safe.
    func accepted(_ count: Int)
    /// Events were not taken.
    func refused(_ problem: HTTPProblem)
}

/// What decides about requests, whatever events they bring; used on the server's loop only.
protocol HTTPIngestDoor: AnyObject {
    func begin(_ request: HTTPRequestScan, _ connection: HTTPServerConnection) -> HTTPBeginning
}

/// Where the events of all requests of a source go; used on the server's loop only.
///
/// What the requests of one turn of the loop bring is given to the mailbox as one batch. What
/// finds no room waits in order, for a bounded time and in bounded number of bytes.
final class HTTPIngestGate<Element: Sendable>: HTTPIngestDoor {
    struct Waiter {
        let party: any HTTPIngestParty
        /// The events, for the mailbox.
        var batch = Batch<Element>()
        /// The messages, for the journal.
        var record: IngestRecord?
        let count: Int
        let byteCount: Int
        var deadline: UInt64 = 0
    }

    private typealias Told = (party: any HTTPIngestParty, count: Int, byteCount: Int)

    let options: HTTPIngestOptions
    private let decoder: EventDecoder<Element>
    /// What appends the events of any connection; nil when they are not alike.
    private let append: EventAppender<Element>.One?
    let context: SourceContext
    let loop: Loop
    /// Whether what comes goes to the journal; known before the journal is, so that what comes
    /// before the source runs waits in the right form.
    let isDurable: Bool
    private var inlet: Inlet<Element>?
    private var journal: IngestJournal?
    private var hasClosed = false
    /// What this turn has brought: its events and who has brought how many.
    /// (`unchecked` as in `TCPConnection`.)
    @exclusivity(unchecked) private var gathered = Batch<Element>()
    @exclusivity(unchecked) private var parties: [Told] = []
    /// Room for the next turn's, so that a turn allocates none.
    @exclusivity(unchecked) private var spare: [Told] = []
    @exclusivity(unchecked) private var isFlushDue = false
    /// What waits for room, oldest first, from `head` on.
    private var waiting: [Waiter] = []
    private var head = 0
    private var waitingBytes = 0
    private var awaitsSpace = false
    private var timer: LoopTimer?
    private let durable: DurableTickets
    private let keys: RequestKeys
    private var streams: [ObjectIdentifier: HTTPLineIngest<Element>] = [:]
    /// The answer to a request with one event, made once a second.
    @exclusivity(unchecked) private var prepared: (second: Int, bytes: SharedBytes)?
    private let patience: UInt64
    @exclusivity(unchecked) private var lastType: [UInt8] = []
    @exclusivity(unchecked) private var lastForm: HTTPIngestOptions.Form?

    init(
        _ decoder: EventDecoder<Element>, _ options: HTTPIngestOptions, _ context: SourceContext,
        _ keys: RequestKeys, _ loop: Loop
    ) {
        self.keys = keys
        self.decoder = decoder
        append = decoder.asksForConnection ? nil : decoder.appender.appendOne
        self.options = options
        self.context = context
        self.loop = loop
        isDurable = context.hasStore
        patience = options.patience.milliseconds
        durable = DurableTickets(loop)
    }

    /// A gate as the tasks of the source know it, and as the server does.
    struct Shared: Sendable {
        let bound: LoopBound<HTTPIngestGate>
        let responder: HTTPResponder
    }

    /// The gate of a path in a run.
    static func of(
        _ shared: SharedServer, _ path: String, _ decoder: EventDecoder<Element>,
        _ options: HTTPIngestOptions, _ context: SourceContext, _ journal: IngestJournal?
    ) -> Shared {
        context.resources.shared("http gate \(shared.name)\(path)") {
            let loop = shared.server.loop
            let keys =
                journal?.keys
                ?? RequestKeys(
                    stage: context.stage, limits: options.limits, logger: context.logger,
                    instruments: context.resources.instruments)
            let gate = HTTPIngestGate(decoder, options, context, keys, loop)
            let door = LoopBound<any HTTPIngestDoor>(gate, on: loop)
            return Shared(bound: LoopBound(gate, on: loop)) { request, connection in
                door.value.begin(request, connection)
            }
        } close: { _ in
        }
    }

    // MARK: Life

    /// The source runs: what has come meanwhile goes on.
    func open(_ inlet: Inlet<Element>, _ journal: IngestJournal?) {
        self.inlet = inlet
        self.journal = journal
        hasClosed = false
        // Nobody's patience is tried by how long the source takes to begin.
        for index in head..<waiting.count { waiting[index].deadline = loop.now &+ patience }
        drainWaiting()
    }

    /// The source ends: what was not taken is refused.
    func close() {
        flush()
        hasClosed = true
        let rest = waiting[head...]
        forgetWaiting()
        for waiter in rest { waiter.party.refused(stopping) }
        for stream in Array(streams.values) { stream.stop(stopping) }
        inlet = nil
    }

    private func forgetWaiting() {
        waiting.removeAll()
        head = 0
        waitingBytes = 0
        timer?.stop()
    }

    private func problem(_ status: Int, _ detail: String) -> HTTPProblem {
        var problem = HTTPProblem(status, detail)
        problem.retryAfter = max(1, Int((options.retryAfter.milliseconds + 999) / 1_000))
        return problem
    }

    private var stopping: HTTPProblem { problem(503, "the service stops taking events") }

    private var noRoom: HTTPProblem {
        if journal?.trouble != nil { return problem(503, "events can't be stored at the moment") }
        return problem(429, "there is no room for more events at the moment")
    }

    // MARK: Requests

    /// Decides about a request.
    func begin(
        _ request: HTTPRequestScan, _ connection: HTTPServerConnection
    ) -> HTTPBeginning {
        if hasClosed { return .refuse(stopping) }
        guard let type = request.contentType, let form = form(request[type]) else {
            let types = (options.documentTypes + options.lineTypes).joined(separator: ", ")
            return .refuse(HTTPProblem(415, "the Content-Type has to be one of \(types)"))
        }
        var limits = HTTPBodyLimits()
        let claim: HTTPRequestClaim?
        do throws(HTTPError) {
            claim = try self.claim(request, connection)
        } catch {
            return .refuse(HTTPProblem(error))
        }
        // With a key all of a request is taken or nothing, whatever its form.
        if form != .lines || claim != nil {
            limits.maximumLength = options.maximumDocumentLength
            return .receive(
                HTTPDocumentIngest(self, connection, request.bodyLength, form, claim), limits)
        } else {
            limits.maximumLength = options.maximumStreamLength
            let stream = HTTPLineIngest(self, connection)
            streams[ObjectIdentifier(stream)] = stream
            return .receive(stream, limits)
        }
    }

    /// The form of a body of a media type, which most often is that of the request before.
    private func form(_ type: UnsafeRawBufferPointer) -> HTTPIngestOptions.Form? {
        if type.count == lastType.count, let lastForm, type.begins(with: lastType) {
            return lastForm
        }
        let form = options.form(type)
        if type.count <= 128 { (lastType, lastForm) = (Array(type), form) }
        return form
    }

    private func claim(
        _ request: HTTPRequestScan, _ connection: HTTPServerConnection
    ) throws(HTTPError) -> HTTPRequestClaim? {
        guard let field = request.idempotencyKey else {
            if !options.requiresKey { return nil }
            throw HTTPError(400, "a request needs an Idempotency-Key here")
        }
        if request.hasSeveralKeys {
            throw HTTPError(400, "there is more than one Idempotency-Key")
        }
        let key = try IdempotencyKey.parse(
            request[field], maximumLength: options.maximumKeyLength)
        return HTTPRequestClaim(key, of: connection.tcp.access?.identity?.name, keys)
    }

    func streamEnded(_ stream: HTTPLineIngest<Element>) {
        streams[ObjectIdentifier(stream)] = nil
    }

    /// An empty record for what a connection brings.
    func makeRecord(_ info: ConnectionInfo, _ claim: HTTPRequestClaim? = nil) -> IngestRecord {
        IngestRecord(
            origin: info.recorded, producer: claim?.key.producer ?? "",
            firstSequence: claim?.fingerprint ?? 0, time: context.now)
    }

    /// What appends the events of a connection.
    func appender(for connection: HTTPServerConnection) -> EventAppender<Element>.One {
        if let append { return append }
        return decoder.appender(for: connection.tcp.connectionInfo).appendOne
    }

    // MARK: The way of single events

    /// Takes one message, which goes on at the end of this turn.
    ///
    /// - Throws: What decoding throws; nothing is taken then.
    func take(
        _ message: UnsafeRawBufferPointer, by append: EventAppender<Element>.One,
        _ party: any HTTPIngestParty
    ) throws {
        if hasClosed {
            party.refused(stopping)
            return
        }
        try append(message, &gathered)
        parties.append((party, 1, message.count))
        if isFlushDue { return }
        isFlushDue = true
        let gate = LoopBound(self, on: loop)
        loop.execute { gate.value.flush() }
    }

    /// Gives what this turn has brought to the mailbox.
    private func flush() {
        isFlushDue = false
        if parties.isEmpty { return }
        let batch = gathered
        gathered = Batch()
        var told = spare
        spare = []
        swap(&told, &parties)
        defer {
            told.removeAll(keepingCapacity: true)
            spare = told
        }
        if let inlet, !isDurable, head == waiting.count {
            do {
                if try inlet.trySend(batch, wakeUps: loop.wakeUps) {
                    for (party, count, _) in told { party.accepted(count) }
                    return
                }
            } catch {
                for (party, _, _) in told { party.refused(stopping) }
                return
            }
        }
        var start = 0
        for (party, count, byteCount) in told {
            let part = batch.slice(start..<(start + count))
            start += count
            enqueue(Waiter(party: party, batch: part, count: count, byteCount: byteCount))
        }
        drainWaiting()
    }

    // MARK: The way of everything else

    /// Takes events; who has brought them is told at once or later.
    func offer(_ waiter: Waiter) {
        flush()
        if hasClosed {
            waiter.party.refused(stopping)
            return
        }
        enqueue(waiter)
        drainWaiting()
    }

    private func enqueue(_ waiter: Waiter) {
        guard
            waitingBytes + waiter.byteCount <= options.limits.pendingBytes || head == waiting.count
        else {
            waiter.party.refused(noRoom)
            return
        }
        var waiter = waiter
        waiter.deadline = inlet == nil ? .max : loop.now &+ patience
        waitingBytes += waiter.byteCount
        waiting.append(waiter)
    }

    /// Hands on what waits as far as there is room.
    func drainWaiting() {
        guard let inlet else {
            watchTime()
            return
        }
        while head < waiting.count {
            let waiter = waiting[head]
            do {
                guard try pass(waiter, inlet) else { break }
                // First: who is told may bring the next events at once.
                removeFirst()
                if !isDurable { waiter.party.accepted(waiter.count) }
            } catch {
                removeFirst()
                waiter.party.refused(stopping)
            }
        }
        if head == waiting.count {
            forgetWaiting()
            return
        }
        watchTime()
        if !isDurable { watchSpace(inlet) }
    }

    /// False when there is no room.
    private func pass(_ waiter: Waiter, _ inlet: Inlet<Element>) throws -> Bool {
        guard let journal else {
            return try inlet.trySend(waiter.batch, wakeUps: loop.wakeUps)
        }
        guard journal.isOpen, var record = waiter.record else { return false }
        let (party, count) = (waiter.party, waiter.count)
        record.onDurable = durable.make { party.accepted(count) }
        _ = journal.submit(record)
        return true
    }

    private func removeFirst() {
        waitingBytes -= waiting[head].byteCount
        head += 1
        if head > 1_024, head * 2 > waiting.count {
            waiting.removeFirst(head)
            head = 0
        }
    }

    private func watchSpace(_ inlet: Inlet<Element>) {
        if awaitsSpace { return }
        awaitsSpace = true
        let (gate, loop) = (LoopBound(self, on: loop), loop)
        inlet.whenSpace {
            loop.execute {
                gate.value.awaitsSpace = false
                gate.value.drainWaiting()
            }
        }
    }

    private func watchTime() {
        guard head < waiting.count, waiting[head].deadline != .max else { return }
        let deadline = waiting[head].deadline
        if timer == nil {
            timer = try? LoopTimer(on: loop) { [unowned(unsafe) self] in timeIsOver() }
        }
        timer?.start(after: .milliseconds(deadline > loop.now ? deadline - loop.now : 0))
    }

    private func timeIsOver() {
        while head < waiting.count, waiting[head].deadline <= loop.now {
            let party = waiting[head].party
            removeFirst()
            party.refused(noRoom)
        }
        if head == waiting.count { forgetWaiting() } else { watchTime() }
    }

    // MARK: Answers

    /// The answer to a request with one event on a connection that stays open.
    func preparedAnswer() -> SharedBytes {
        let second = HTTPDate.now()
        if let prepared, prepared.second == second { return prepared.bytes }
        var head = HTTPResponseHead(202)
        head.headers = [("Content-Type", "application/json"), ("Content-Length", "14")]
        let bytes = SharedBytes((head.head(at: second) + #"{"accepted":1}"#).utf8)
        prepared = (second, bytes)
        return bytes
    }
}
