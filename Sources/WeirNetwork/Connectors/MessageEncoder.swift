import WeirCore

/// Makes messages of a sink's events: one each.
struct MessageEncoder<Element: Sendable> {
    private let encoder: EventEncoder<Element>
    private let context: SinkContext
    private var buffer: [UInt8] = []
    /// Events of the last batch that can't be a message, with the reason.
    private var unfit: [(event: Element, reason: String)] = []

    init(_ encoder: EventEncoder<Element>, _ context: SinkContext) {
        self.encoder = encoder
        self.context = context
    }

    /// Gives the message of each event of a batch to `body`; an event that can't be encoded, or for
    /// which that throws, is left for ``giveUpUnfit()``.
    mutating func encode(_ batch: Batch<Element>, _ body: ([UInt8]) throws -> Void) {
        unfit.removeAll()
        for event in batch.elements {
            buffer.removeAll(keepingCapacity: true)
            do {
                try encoder.encode(event, &buffer)
                try body(buffer)
            } catch {
                unfit.append((event, "it can't be encoded: \(error)"))
            }
        }
    }

    /// Gives the events of the last batch that can't be a message to the dead letters.
    ///
    /// To be called when the others are written: until then the whole batch may come again.
    mutating func giveUpUnfit() {
        for (event, reason) in unfit { context.deadLetter(event, reason: reason) }
        unfit.removeAll()
    }

    /// The messages of a batch for a WebSocket.
    mutating func frames(of batch: Batch<Element>) -> [WebSocketFrame] {
        var frames: [WebSocketFrame] = []
        frames.reserveCapacity(batch.count)
        let kind: WebSocketMessageKind = encoder.isText ? .text : .binary
        encode(batch) { message in
            message.withUnsafeBytes { frames.append(WebSocketFrame(kind, $0)) }
        }
        return frames
    }
}
