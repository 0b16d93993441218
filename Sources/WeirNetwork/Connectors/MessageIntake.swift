import WeirCore

/// Where the messages of one connection go; used on the connection's loop only.
protocol MessageIntake: AnyObject {
    /// Who numbers the messages, once known.
    var sender: NumberedSender? { get set }

    /// Whether nothing can be taken any more: the stage has stopped.
    var hasFailed: Bool { get }

    /// The messages from now on come from there: a socket without connections has many peers.
    func comesFrom(_ info: ConnectionInfo)

    /// Takes one message; its number is 0 for a sender that doesn't number.
    func take(_ message: UnsafeRawBufferPointer, sequence: UInt64) -> Flow

    /// Takes messages that nobody numbers; all of them, also when it answers ``Flow/stop``.
    func take(_ messages: Messages) -> Flow

    /// Passes on what was taken; `.stop` when the connection is not to be read for now.
    func pass() -> Flow

    /// The connection is closed: what has been read still goes on.
    func connectionClosed()
}

/// The bytes of several messages, valid during a call only.
typealias Messages = UnsafeBufferPointer<UnsafeRawBufferPointer>

/// A producer and its connection.
struct NumberedSender: Sendable {
    let name: String
    let session: ProducerSession
    let registry: ProducerRegistry

    /// Takes note that messages were taken; false when the connection isn't the newest any more.
    func accept(upTo sequence: UInt64) -> Bool {
        registry.accept(name, upTo: sequence, session)
    }
}

/// The way of one connection's messages into the ingest journal.
final class JournaledIngest: MessageIntake {
    private let journal: IngestJournal
    private var origin: String
    private let refuse: ([UInt8], String) -> Void
    private var record: IngestRecord?
    var sender: NumberedSender?
    private(set) var hasFailed = false
    private let now: () -> EventTime

    /// Bytes after which a record is given to the journal before the read is done.
    private static let recordBytes = 256 << 10

    /// - Parameters:
    ///   - now: Processing time.
    ///   - refuse: Gets a message that can't be taken, and why.
    init(
        _ journal: IngestJournal, origin: String, now: @escaping () -> EventTime,
        refuse: @escaping ([UInt8], String) -> Void
    ) {
        self.now = now
        self.journal = journal
        self.origin = origin
        self.refuse = refuse
    }

    func comesFrom(_ info: ConnectionInfo) {
        if origin == info.recorded { return }
        // A record has one origin.
        _ = pass()
        origin = info.recorded
    }

    func take(_ message: UnsafeRawBufferPointer, sequence: UInt64) -> Flow {
        if message.count > IngestJournal.maximumMessageBytes {
            refuse([], "a message of \(message.count) bytes is too large for the ingest journal")
            return .proceed
        }
        if record == nil {
            record = IngestRecord(
                origin: origin, producer: sender?.name ?? "", firstSequence: sequence, time: now())
        }
        record?.append(message)
        return record?.byteCount ?? 0 >= Self.recordBytes ? pass() : .proceed
    }

    func take(_ messages: Messages) -> Flow {
        var flow = Flow.proceed
        for message in messages where take(message, sequence: 0) == .stop { flow = .stop }
        return flow
    }

    func pass() -> Flow {
        if let record = record.take() {
            // What an older connection of a producer still had comes again over the newer one.
            _ = journal.submit(record, by: sender?.session)
        }
        return journal.isOpen ? .proceed : .stop
    }

    func connectionClosed() {
        _ = pass()
    }
}
