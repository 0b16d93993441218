import CZlib

/// Compresses whole messages (RFC 7692, section 7.2.1).
final class Deflater {
    /// The output buffer is given back when a message has needed more than this.
    private static let keptCapacity = 64 * 1_024
    /// What a flush writes beyond what zlib's bound counts.
    private static let flushLength = 16
    /// The end of the last block, which is left out.
    private static let tailLength = 4

    private let compression: WebSocketCompression
    /// zlib keeps the address of its stream, so the stream has to stay where it is.
    private let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
    private var output: [UInt8] = []

    /// Fails when there is no memory.
    init?(_ compression: WebSocketCompression) {
        self.compression = compression
        stream.initialize(to: z_stream())
        let status = czlib_deflate_begin(
            stream, Int32(compression.level), Int32(compression.windowBits),
            Int32(compression.memoryLevel))
        if status != Z_OK {
            stream.deallocate()
            return nil
        }
    }

    /// Compresses a message that is not empty and gives the result to `body`.
    ///
    /// - Returns: What `body` returns; `nil` when zlib fails or the message has 4 GiB.
    func compress<Result>(
        _ message: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) -> Result
    ) -> Result? {
        guard message.count < Int(UInt32.max) / 2 else { return nil }
        let bound = Int(deflateBound(stream, UInt(message.count))) + Self.flushLength
        if output.count < bound { output = [UInt8](repeating: 0, count: bound) }
        let count = output.withUnsafeMutableBytes { target in
            stream.pointee.next_in = UnsafeMutableRawPointer(mutating: message.baseAddress)?
                .assumingMemoryBound(to: UInt8.self)
            stream.pointee.avail_in = UInt32(message.count)
            stream.pointee.next_out = target.baseAddress?.assumingMemoryBound(to: UInt8.self)
            stream.pointee.avail_out = UInt32(target.count)
            let status = deflate(stream, Z_SYNC_FLUSH)
            let isWhole = stream.pointee.avail_in == 0 && stream.pointee.avail_out > 0
            return status == Z_OK && isWhole ? target.count - Int(stream.pointee.avail_out) : 0
        }
        guard count > Self.tailLength else {
            forget()
            return nil
        }
        let result = output.withUnsafeBytes {
            body(UnsafeRawBufferPointer(rebasing: $0[..<(count - Self.tailLength)]))
        }
        if !compression.keepsWindow { forget() }
        if output.count > Self.keptCapacity { output = [] }
        return result
    }

    /// Forgets earlier messages; to be called when one that was compressed is not sent.
    func forget() { deflateReset(stream) }

    deinit {
        deflateEnd(stream)
        stream.deallocate()
    }
}
