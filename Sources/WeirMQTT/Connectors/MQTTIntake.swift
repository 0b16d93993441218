import WeirCore
import WeirNetwork

/// What has to be told to the broker once a message is safe.
struct MQTTReceipt: Sendable, Hashable {
    let identifier: UInt16
    let qos: MQTTQoS
    /// Which of the broker's sessions the number belongs to.
    let session: Int
}

/// The way of a broker's messages into a stage or its ingest journal; used on its loop only.
final class MQTTIntake<Element: Sendable> {
    private let inlet: Inlet<Element>
    private let journal: IngestJournal?
    private let decoder: MQTTDecoder<Element>
    private let origin: String
    private let loop: Loop
    private let tickets: DurableTickets
    private var open = Batch<Element>()
    private var receipts: [MQTTReceipt] = []
    private var stuck: (batch: Batch<Element>, receipts: [MQTTReceipt])?
    private var record: IngestRecord?
    private var hasStopped = false
    /// Messages are safe: in the mailbox, or durable in a run with a store.
    var onAccepted: ([MQTTReceipt]) -> Void = { _ in }
    /// There is room again.
    var onRoom: () -> Void = {}
    /// The stage has stopped.
    private(set) var failure: (any Error)?

    /// Bytes after which a record is given to the journal before the read is done.
    private static var recordBytes: Int { 256 << 10 }

    init(
        _ inlet: Inlet<Element>, journal: IngestJournal?, decoder: MQTTDecoder<Element>,
        origin: String, loop: Loop
    ) {
        self.inlet = inlet
        self.journal = journal
        self.decoder = decoder
        self.origin = origin
        self.loop = loop
        tickets = DurableTickets(loop)
    }

    /// Whether a connection may be read.
    var isOpen: Bool { stuck == nil && (journal?.isOpen ?? true) }

    func take(_ message: MQTTMessage, _ receipt: MQTTReceipt?) -> Flow {
        if let receipt { receipts.append(receipt) }
        if journal != nil {
            let bytes = RecordedMessage.encode(message)
            if record == nil { record = IngestRecord(origin: origin, time: inlet.context.now) }
            bytes.withUnsafeBytes { record?.append($0) }
            return record?.byteCount ?? 0 >= Self.recordBytes ? pass() : .proceed
        }
        do {
            try decoder.append(message, &open)
        } catch {
            inlet.context.deadLetter(
                message.payload, reason: String(describing: error),
                origin: "\(origin) \(message.topic)")
        }
        return max(open.count, receipts.count) >= inlet.context.preferredBatchSize
            ? pass() : .proceed
    }

    /// Gives a message to the dead letters, and has the broker forget it.
    func giveUp(_ message: MQTTMessage, _ receipt: MQTTReceipt?, reason: String) {
        inlet.context.deadLetter(
            message.payload, reason: reason, origin: "\(origin) \(message.topic)")
        if let receipt { onAccepted([receipt]) }
    }

    /// Passes on what is there; `.stop` when nothing more is to be read for now.
    func pass() -> Flow {
        if let journal {
            if var record = record.take() {
                let told = receipts
                receipts = []
                if !told.isEmpty {
                    record.onDurable = tickets.make { [self] in onAccepted(told) }
                }
                _ = journal.submit(record)
            }
            return journal.isOpen ? .proceed : .stop
        }
        if stuck != nil { return .stop }
        if open.isEmpty {
            // All of it went to the dead letters.
            let told = receipts
            receipts = []
            if !told.isEmpty { onAccepted(told) }
            return .proceed
        }
        let parcel = (batch: open, receipts: receipts)
        open = Batch()
        receipts = []
        return offer(parcel)
    }

    private func offer(_ parcel: (batch: Batch<Element>, receipts: [MQTTReceipt])) -> Flow {
        do {
            if try inlet.trySend(parcel.batch, wakeUps: loop.wakeUps) {
                onAccepted(parcel.receipts)
                return .proceed
            }
        } catch {
            // Not acknowledged: what the broker remembers comes again.
            failure = error
            for event in parcel.batch.elements {
                inlet.context.deadLetter(event, reason: "\(error)", origin: origin)
            }
            return .stop
        }
        stuck = parcel
        let later = LoopBound(self, on: loop)
        let loop = loop
        inlet.whenSpace { loop.execute { later.value.retry() } }
        return .stop
    }

    private func retry() {
        guard !hasStopped, let parcel = stuck else { return }
        stuck = nil
        guard offer(parcel) == .proceed, pass() == .proceed else { return }
        onRoom()
    }

    /// What has been read and could not be passed on, for a source that ends.
    func takeRest() -> (batch: Batch<Element>, receipts: [MQTTReceipt]) {
        hasStopped = true
        var rest = stuck ?? (Batch(), [])
        rest.batch.append(contentsOf: open)
        rest.receipts += receipts
        stuck = nil
        open = Batch()
        receipts = []
        return rest
    }
}
