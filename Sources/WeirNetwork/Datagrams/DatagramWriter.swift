import WeirCore

/// Sends the events of a sink as datagrams.
final class DatagramWriter<Element: Sendable>: SinkWriter {
    private let sender: DatagramSender
    private var encoder: MessageEncoder<Element>
    private var packing: DatagramPacking

    init(
        sender: DatagramSender, packing: DatagramPacking, encoder: EventEncoder<Element>,
        context: SinkContext
    ) {
        self.sender = sender
        self.packing = packing
        self.encoder = MessageEncoder(encoder, context)
    }

    func write(_ batch: Batch<Element>) async throws {
        encoder.encode(batch) { try packing.append($0) }
        let (bytes, ends) = packing.take()
        if !ends.isEmpty { try await sender.send(bytes, ends: ends) }
        encoder.giveUpUnfit()
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
