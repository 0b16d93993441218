import WeirCore

/// The way of one connection's messages straight into a stage; used on the connection's loop only.
///
/// Messages become events in a batch while they are read; the batch goes to the mailbox when the read is done. A full
/// mailbox leaves it here, the connection is not read, and the mailbox's call-back goes on.
final class Ingest<Element: Sendable>: MessageIntake {
    private let inlet: Inlet<Element>
    private let decoder: EventDecoder<Element>
    private var appender: EventAppender<Element>
    private var origin: String
    private let loop: Loop
    private let batchSize: Int
    /// How many events the read before brought: so much room the next one gets at once.
    private var expected = 0
    /// Lets the connection go on; nil once it is closed.
    private var resume: (() -> Void)?
    private var open = Batch<Element>()
    private var stuck: Batch<Element>?
    private(set) var hasFailed = false
    var sender: NumberedSender?
    /// The numbers of the last message in `open` and in `stuck`, and of the last that the producer
    /// need not bring again.
    private var lastTaken: UInt64 = 0
    private var lastOffered: UInt64 = 0
    private var lastAccepted: UInt64 = 0

    init(
        _ inlet: Inlet<Element>, decoder: EventDecoder<Element>, from info: ConnectionInfo,
        loop: Loop, resume: @escaping () -> Void
    ) {
        self.inlet = inlet
        self.decoder = decoder
        appender = decoder.appender(for: info)
        origin = info.description
        self.loop = loop
        self.resume = resume
        batchSize = inlet.context.preferredBatchSize
    }

    func comesFrom(_ info: ConnectionInfo) {
        if decoder.asksForConnection { appender = decoder.appender(for: info) }
        origin = info.description
    }

    /// Takes one message.
    func take(_ bytes: UnsafeRawBufferPointer, sequence: UInt64) -> Flow {
        lastTaken = sequence
        do {
            try appender.appendOne(bytes, &open)
        } catch {
            refuse(bytes, error)
        }
        return open.count >= batchSize ? pass() : .proceed
    }

    /// Takes messages that nobody numbers; all of them, also when it answers ``Flow/stop``.
    func take(_ messages: Messages) -> Flow {
        var (taken, flow) = (0, Flow.proceed)
        while taken < messages.count {
            // While a batch is stuck, what is left of one read is kept behind it.
            let left = messages.count - taken
            let count = flow == .stop ? left : min(left, max(1, batchSize - open.count))
            if open.isEmpty { open.elements.reserveCapacity(max(count, expected)) }
            let part = Messages(rebasing: messages[taken..<(taken + count)])
            appender.appendAll(part, &open, refuse)
            taken += count
            if flow == .proceed, open.count >= batchSize { flow = pass() }
        }
        return flow
    }

    private func refuse(_ message: UnsafeRawBufferPointer, _ error: any Error) {
        inlet.context.deadLetter(
            [UInt8](message), reason: String(describing: error), origin: origin)
    }

    /// Passes on what is there.
    ///
    /// `.stop` when the mailbox is full: the connection is resumed later.
    func pass() -> Flow {
        if stuck != nil { return .stop }
        acceptOpen()
        let hasNews = lastAccepted > lastOffered
        lastOffered = lastAccepted
        if open.isEmpty {
            // All of it went to the dead letters.
            if hasNews { acknowledge() }
            return .proceed
        }
        let batch = open
        open = Batch()
        expected = min(batch.count, batchSize)
        return offer(batch)
    }

    /// Takes note of what has been read.
    ///
    /// What a newer connection of the producer brings again is dropped: nobody was told that it is
    /// safe.
    private func acceptOpen() {
        guard lastTaken > lastAccepted else { return }
        if let sender, !sender.accept(upTo: lastTaken) {
            open = Batch()
            lastTaken = lastAccepted
        } else {
            lastAccepted = lastTaken
        }
    }

    private func acknowledge() {
        guard let sender, lastOffered > 0 else { return }
        sender.registry.acknowledge([(sender.name, lastOffered)])
    }

    private func offer(_ batch: Batch<Element>) -> Flow {
        do {
            if try inlet.trySend(batch, wakeUps: loop.wakeUps) {
                acknowledge()
                return .proceed
            }
        } catch {
            // The stage has stopped or refuses by policy: what can't be taken is not lost silently.
            hasFailed = true
            giveUp(batch, reason: String(describing: error))
            return .proceed
        }
        stuck = batch
        let later = LoopBound(self, on: loop)
        let loop = loop
        inlet.whenSpace { loop.execute { later.value.retry() } }
        return .stop
    }

    private func retry() {
        guard let batch = stuck else { return }
        stuck = nil
        guard offer(batch) == .proceed, pass() == .proceed else { return }
        resume?()
    }

    /// Lets the connection go on as soon as the mailbox has room.
    func resumeWhenSpace() {
        let later = LoopBound(self, on: loop)
        let loop = loop
        inlet.whenSpace { loop.execute { later.value.resume?() } }
    }

    /// The connection is closed: what has been read still goes on, before newer connections are read.
    func connectionClosed() {
        resume = nil
        if pass() == .stop { acceptOpen() }
    }

    /// Whether something has been read that could not be passed on yet.
    var hasRest: Bool { stuck != nil || !open.isEmpty }

    /// What has been read and could not be passed on, for a source that ends.
    func takeRest() -> IngestRest<Element> {
        var rest = IngestRest<Element>()
        acceptOpen()
        rest.batch = stuck ?? Batch()
        rest.batch.append(contentsOf: open)
        if let sender, lastAccepted > 0 { rest.last.append((sender, lastAccepted)) }
        stuck = nil
        open = Batch()
        return rest
    }

    private func giveUp(_ batch: Batch<Element>, reason: String) {
        for event in batch.elements {
            inlet.context.deadLetter(event, reason: reason, origin: origin)
        }
    }
}

/// The ways of connections that have closed while the mailbox had no room for what they had sent.
struct DepartedIngests<Element: Sendable> {
    private var ingests: [Ingest<Element>] = []

    /// Takes note of a closed connection.
    mutating func add(_ ingest: Ingest<Element>) {
        ingests.removeAll { !$0.hasRest }
        if ingest.hasRest { ingests.append(ingest) }
    }

    /// Whether any of them waits.
    ///
    /// New connections are not read then: else each could leave a batch behind.
    var hasRest: Bool { ingests.contains { $0.hasRest } }

    /// What they have left, for a source that ends.
    mutating func takeRest() -> IngestRest<Element> {
        var rest = IngestRest<Element>()
        for ingest in ingests { rest.append(ingest.takeRest()) }
        ingests.removeAll()
        return rest
    }
}

/// What connections have left when their source ends, and whom to tell when it is safe.
struct IngestRest<Element: Sendable>: Sendable {
    var batch = Batch<Element>()
    var last: [(sender: NumberedSender, sequence: UInt64)] = []

    mutating func append(_ other: IngestRest) {
        batch.append(contentsOf: other.batch)
        last.append(contentsOf: other.last)
    }

    func acknowledge() {
        for (sender, sequence) in last {
            sender.registry.acknowledge([(sender.name, sequence)])
        }
    }
}

/// Sends what a source has left when it is asked to stop: by a task that isn't cancelled, so that nothing stays behind.
func sendRest<Element: Sendable>(_ rest: Batch<Element>, to inlet: Inlet<Element>) async throws {
    if rest.isEmpty { return }
    try await Task { try await inlet.send(rest) }.value
}

/// Waits until the task is cancelled.
func waitForCancellation() async {
    let (stream, continuation) = AsyncStream<Void>.makeStream()
    await withTaskCancellationHandler {
        for await _ in stream {}
    } onCancel: {
        continuation.finish()
    }
}
