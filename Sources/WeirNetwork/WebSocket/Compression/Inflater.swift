import CZlib

/// Expands the messages of one connection (RFC 7692, section 7.2.2), never beyond a limit.
final class Inflater {
    /// Bytes that are expanded at once.
    static let blockCapacity = 16 * 1_024
    /// The end of a message's last block, which senders leave out.
    private static let tail: [UInt8] = [0x00, 0x00, 0xFF, 0xFF]

    private let windowBits: Int
    private let keepsWindow: Bool
    /// zlib keeps the address of its stream, so the stream has to stay where it is.
    private let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
    private var isBegun = false

    init(windowBits: Int, keepsWindow: Bool) {
        self.windowBits = windowBits
        self.keepsWindow = keepsWindow
        stream.initialize(to: z_stream())
    }

    /// Expands a part of a message and gives what comes out to `take`, a block at a time.
    ///
    /// - Parameters:
    ///   - input: The part as it was sent.
    ///   - isLast: Whether the message ends with it.
    ///   - room: Bytes that the message may still have; `take` gets no more.
    /// - Throws: When the data is not valid, or as soon as there would be more than `room` bytes.
    func expand(
        _ input: UnsafeMutableRawBufferPointer, isLast: Bool, room: Int,
        _ take: (UnsafeRawBufferPointer) throws(WebSocketProtocolError) -> Void
    ) throws(WebSocketProtocolError) {
        try begin()
        var room = room
        try run(input, &room, take)
        guard isLast else { return }
        var tail = Self.tail
        try Self.withBytes(&tail) { bytes throws(WebSocketProtocolError) in
            try run(bytes, &room, take)
        }
        // zlib sets this bit between two blocks, where a message has to end.
        guard stream.pointee.data_type & 128 != 0 else { throw Self.invalid }
        if !keepsWindow { inflateReset(stream) }
    }

    private func begin() throws(WebSocketProtocolError) {
        if isBegun { return }
        guard czlib_inflate_begin(stream, Int32(windowBits)) == Z_OK else {
            throw WebSocketProtocolError(code: .internalError, reason: "no memory to expand")
        }
        isBegun = true
    }

    private func run(
        _ input: UnsafeMutableRawBufferPointer, _ room: inout Int,
        _ take: (UnsafeRawBufferPointer) throws(WebSocketProtocolError) -> Void
    ) throws(WebSocketProtocolError) {
        stream.pointee.next_in = input.baseAddress?.assumingMemoryBound(to: UInt8.self)
        stream.pointee.avail_in = UInt32(clamping: input.count)
        var failure: WebSocketProtocolError?
        withUnsafeTemporaryAllocation(byteCount: Self.blockCapacity, alignment: 16) { block in
            do throws(WebSocketProtocolError) {
                while try step(block, &room, take) {}
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
    }

    /// Fills one block; false when there is nothing more to come of the input.
    private func step(
        _ block: UnsafeMutableRawBufferPointer, _ room: inout Int,
        _ take: (UnsafeRawBufferPointer) throws(WebSocketProtocolError) -> Void
    ) throws(WebSocketProtocolError) -> Bool {
        // One byte more than may come shows that there is more.
        let capacity = min(block.count, room + 1)
        stream.pointee.next_out = block.baseAddress?.assumingMemoryBound(to: UInt8.self)
        stream.pointee.avail_out = UInt32(capacity)
        let status = inflate(stream, Z_SYNC_FLUSH)
        let count = capacity - Int(stream.pointee.avail_out)
        let taken = min(count, room)
        if taken > 0 { try take(UnsafeRawBufferPointer(rebasing: block[..<taken])) }
        room -= taken
        if count > taken { throw .tooBig("message expands beyond the limit") }
        switch status {
        case Z_STREAM_END:
            // A sender may end a stream in a message (section 7.2.3.4) and begin the next one.
            inflateResetKeep(stream)
            return stream.pointee.avail_in > 0
        case Z_OK, Z_BUF_ERROR:
            return stream.pointee.avail_out == 0 || stream.pointee.avail_in > 0
        default: throw Self.invalid
        }
    }

    private static let invalid = WebSocketProtocolError(
        code: .invalidPayload, reason: "compressed data is not valid")

    private static func withBytes(
        _ bytes: inout [UInt8],
        _ body: (UnsafeMutableRawBufferPointer) throws(WebSocketProtocolError) -> Void
    ) throws(WebSocketProtocolError) {
        var failure: WebSocketProtocolError?
        bytes.withUnsafeMutableBytes { bytes in
            do throws(WebSocketProtocolError) { try body(bytes) } catch { failure = error }
        }
        if let failure { throw failure }
    }

    deinit {
        if isBegun { inflateEnd(stream) }
        stream.deallocate()
    }
}
