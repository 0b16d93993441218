public import WeirCore

extension Sink {
    /// Sends every event as a UDP datagram in JSON; see the sink with an encoder of one's own.
    public static func udp(
        host: String, port: Int, content: DatagramContent = .message, maximumLength: Int = 1_432
    ) -> Sink where Element: Encodable {
        udp(
            host: host, port: port, content: content, maximumLength: maximumLength, encoder: .json)
    }

    /// Sends every event by UDP, as a datagram or as a line in one.
    ///
    /// At most once: nothing confirms a datagram, and whoever has no room for it drops it. An event
    /// that is longer than `maximumLength` alone is still sent as one message, up to 65,507 bytes;
    /// beyond that it goes to the dead letters.
    ///
    /// - Parameters:
    ///   - host: The receiver's name or address.
    ///   - port: Its port.
    ///   - content: `.message`, or `.lines` to gather the events of a batch in fewer datagrams.
    ///   - maximumLength: Bytes that gathered lines fill; 1,432 by default, which Ethernet carries
    ///     in one piece.
    ///   - encoder: How an event becomes a message.
    public static func udp(
        host: String, port: Int, content: DatagramContent = .message, maximumLength: Int = 1_432,
        encoder: EventEncoder<Element>
    ) -> Sink {
        Sink("udp") { context in
            let sender = try await UDPSender.open(
                host: host, port: port, on: try Loop.shared())
            return UDPWriter(
                sender: sender, packing: DatagramPacking(content, maximumLength: maximumLength),
                encoder: encoder, context: context)
        }
    }
}

private final class UDPWriter<Element: Sendable>: SinkWriter {
    private let sender: UDPSender
    private let encoder: EventEncoder<Element>
    private let context: SinkContext
    private var packing: DatagramPacking
    private var message: [UInt8] = []

    init(
        sender: UDPSender, packing: DatagramPacking, encoder: EventEncoder<Element>,
        context: SinkContext
    ) {
        self.sender = sender
        self.packing = packing
        self.encoder = encoder
        self.context = context
    }

    func write(_ batch: Batch<Element>) async throws {
        for event in batch.elements {
            message.removeAll(keepingCapacity: true)
            do {
                try encoder.encode(event, &message)
                try packing.append(message)
            } catch {
                context.deadLetter(event, reason: "it can't be encoded: \(error)")
            }
        }
        let (bytes, ends) = packing.take()
        if !ends.isEmpty { try await sender.send(bytes, ends: ends) }
    }

    func close() async throws { sender.close() }
}

/// Puts messages into datagrams: each alone, or as lines.
struct DatagramPacking {
    /// What IPv4 carries at most.
    static let lengthMax = 65_507

    private let content: DatagramContent
    private let maximumLength: Int
    private var bytes: [UInt8] = []
    private var ends: [Int] = []
    /// Where the last datagram begins, and whether lines may be added to it.
    private var start = 0
    private var isOpen = false

    init(_ content: DatagramContent, maximumLength: Int) {
        self.content = content
        self.maximumLength = min(max(1, maximumLength), Self.lengthMax)
    }

    mutating func append(_ message: [UInt8]) throws(FramingError) {
        if message.count > Self.lengthMax { throw .tooLong(limit: Self.lengthMax) }
        guard content == .lines else {
            bytes += message
            ends.append(bytes.count)
            return
        }
        if message.contains(UInt8(ascii: "\n")) {
            throw FramingError("the message contains a line break")
        }
        if isOpen, bytes.count - start + 1 + message.count <= maximumLength {
            bytes.append(UInt8(ascii: "\n"))
            bytes += message
            ends[ends.count - 1] = bytes.count
        } else {
            start = bytes.count
            isOpen = true
            bytes += message
            ends.append(bytes.count)
        }
    }

    /// All datagrams: their bytes, and where each ends.
    mutating func take() -> (bytes: [UInt8], ends: [Int]) {
        defer {
            bytes = []
            ends = []
            start = 0
            isOpen = false
        }
        return (bytes, ends)
    }
}
