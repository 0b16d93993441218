/// The sending half of a connection's compression; used on the loop's thread only.
final class MessageCompressor {
    private let compression: WebSocketCompression
    private let loop: Loop
    private var own: Deflater?

    init(_ compression: WebSocketCompression, _ loop: Loop) {
        self.compression = compression
        self.loop = loop
    }

    /// Sends a message compressed by `write`; `nil` when it is better sent as it is.
    func send(
        _ message: UnsafeRawBufferPointer, _ write: (UnsafeRawBufferPointer) -> WriteOutcome
    ) -> WriteOutcome? {
        guard message.count >= compression.minimumLength, let deflater = deflater() else {
            return nil
        }
        let outcome = deflater.compress(message, write)
        // The peer has not seen a message that was not taken: later ones must not refer to it.
        if outcome != .sent, outcome != .queued { deflater.forget() }
        return outcome
    }

    private func deflater() -> Deflater? {
        if compression.isShareable { return loop.scratch.deflater(for: compression) }
        if own == nil { own = Deflater(compression) }
        return own
    }
}

extension LoopScratch {
    /// Kinds of compressor that connections of one loop share.
    private static let deflatersMax = 8

    /// A compressor for messages that stand alone; a loop has one for all its connections.
    func deflater(for compression: WebSocketCompression) -> Deflater? {
        if let deflater = deflaters[compression] { return deflater }
        guard let deflater = Deflater(compression) else { return nil }
        if deflaters.count >= Self.deflatersMax { deflaters.removeAll() }
        deflaters[compression] = deflater
        return deflater
    }
}
