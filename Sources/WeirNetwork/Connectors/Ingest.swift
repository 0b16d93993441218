import WeirCore

/// The way of one connection's messages into a stage; used on the connection's loop only.
///
/// Messages become events in a batch while they are read; the batch goes to the mailbox when the read is done. A full
/// mailbox leaves it here, the connection is not read, and the mailbox's call-back goes on.
final class Ingest<Element: Sendable> {
    private let inlet: Inlet<Element>
    private let decoder: EventDecoder<Element>
    private let origin: String
    private let loop: Loop
    private let batchSize: Int
    /// Lets the connection go on; nil once it is closed.
    private var resume: (() -> Void)?
    private var open = Batch<Element>()
    private var stuck: Batch<Element>?
    private(set) var hasFailed = false

    init(
        _ inlet: Inlet<Element>, decoder: EventDecoder<Element>, origin: String, loop: Loop,
        resume: @escaping () -> Void
    ) {
        self.inlet = inlet
        self.decoder = decoder
        self.origin = origin
        self.loop = loop
        self.resume = resume
        batchSize = inlet.context.preferredBatchSize
    }

    /// Takes one message.
    func take(_ bytes: UnsafeRawBufferPointer) -> Flow {
        do {
            try decoder.append(bytes, &open)
        } catch {
            inlet.context.deadLetter(
                [UInt8](bytes), reason: String(describing: error), origin: origin)
        }
        return open.count >= batchSize ? pass() : .proceed
    }

    /// Passes on what is there. `.stop` when the mailbox is full: the connection is resumed later.
    func pass() -> Flow {
        if stuck != nil { return .stop }
        if open.isEmpty { return .proceed }
        let batch = open
        open = Batch()
        return offer(batch)
    }

    private func offer(_ batch: Batch<Element>) -> Flow {
        do {
            if try inlet.trySend(batch) { return .proceed }
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
        if offer(batch) == .proceed { resume?() }
    }

    /// The connection is closed: what has been read still goes on.
    func connectionClosed() {
        resume = nil
        _ = pass()
    }

    /// What has been read and could not be passed on, for a source that ends.
    func takeRest() -> Batch<Element> {
        var rest = stuck ?? Batch()
        rest.append(contentsOf: open)
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

/// Waits until the task is cancelled.
func waitForCancellation() async {
    let (stream, continuation) = AsyncStream<Void>.makeStream()
    await withTaskCancellationHandler {
        for await _ in stream {}
    } onCancel: {
        continuation.finish()
    }
}
