import WeirCore

/// Makes WebSocket messages of events: one each.
struct MessageEncoder<Element: Sendable> {
    private let encoder: EventEncoder<Element>
    private let context: SinkContext
    private var buffer: [UInt8] = []

    init(_ encoder: EventEncoder<Element>, _ context: SinkContext) {
        self.encoder = encoder
        self.context = context
    }

    /// The messages of a batch; events that can't be encoded go to the dead letters.
    mutating func encode(_ batch: Batch<Element>) -> [WebSocketFrame] {
        var frames: [WebSocketFrame] = []
        frames.reserveCapacity(batch.count)
        for event in batch.elements {
            buffer.removeAll(keepingCapacity: true)
            do {
                try encoder.encode(event, &buffer)
            } catch {
                context.deadLetter(event, reason: "it can't be encoded: \(error)")
                continue
            }
            buffer.withUnsafeBytes { bytes in
                frames.append(WebSocketFrame(encoder.isText ? .text : .binary, bytes))
            }
        }
        return frames
    }
}
