import WeirNetwork

/// Cuts a stream into MQTT packets, each with its fixed header.
///
/// All are whole but a message that is longer than the limit: it has the length of the limit, and
/// the rest is passed over. A broker that keeps a session would send it again and again otherwise.
struct MQTTFraming: Framing, Sendable {
    /// Bytes of the longest packet, header and all.
    let maximumLength: Int
    private var carry: [UInt8] = []
    /// Bytes that were passed over of the message whose beginning is carried.
    private var passedOver = 0

    init(maximumLength: Int) {
        self.maximumLength = max(5, maximumLength)
    }

    var carriedByteCount: Int { carry.count }

    /// The header's length and the packet's; nil when the header is not complete.
    static func lengths(
        _ bytes: UnsafeRawBufferPointer
    ) throws(FramingError) -> (header: Int, packet: Int)? {
        var length = 0
        for index in 1..<5 {
            guard index < bytes.count else { return nil }
            length |= Int(bytes[index] & 0x7F) << (7 * (index - 1))
            if bytes[index] & 0x80 == 0 {
                // Section 1.5.5: the shortest form only.
                if index > 1, bytes[index] == 0 { break }
                return (index + 1, index + 1 + length)
            }
        }
        throw FramingError("the length of a packet is malformed")
    }

    /// How many bytes of a packet are kept, and how many it has.
    private func checked(
        _ bytes: UnsafeRawBufferPointer
    ) throws(FramingError) -> (kept: Int, length: Int)? {
        guard let (_, packet) = try Self.lengths(bytes) else { return nil }
        if packet > maximumLength, bytes[0] >> 4 != MQTTPacket.publishKind {
            throw FramingError.tooLong(limit: maximumLength)
        }
        return (min(packet, maximumLength), packet)
    }

    mutating func consume(
        _ bytes: UnsafeRawBufferPointer, _ onFrame: (UnsafeRawBufferPointer) throws -> Flow
    ) throws -> Int {
        var position = 0
        while position < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[position...])
            if carry.isEmpty, let (kept, length) = try checked(rest), length <= rest.count {
                position += length
                if try onFrame(UnsafeRawBufferPointer(rebasing: rest[..<kept])) == .stop {
                    return position
                }
                continue
            }
            // The header is at most five bytes: one by one until it is complete.
            var lengths = try carry.withUnsafeBytes { try checked($0) }
            if lengths == nil {
                carry.append(rest[0])
                position += 1
                lengths = try carry.withUnsafeBytes { try checked($0) }
            }
            guard let (kept, length) = lengths else { continue }
            let taken = min(kept - carry.count, bytes.count - position)
            carry.append(contentsOf: bytes[position..<(position + taken)])
            position += taken
            guard carry.count == kept else { continue }
            let passed = min(length - kept - passedOver, bytes.count - position)
            position += passed
            passedOver += passed
            guard passedOver == length - kept else { continue }
            let packet = carry
            carry = []
            passedOver = 0
            if try packet.withUnsafeBytes({ try onFrame($0) }) == .stop { return position }
        }
        return position
    }

    mutating func finish(_ onFrame: (UnsafeRawBufferPointer) throws -> Flow) throws {
        if !carry.isEmpty { throw FramingError.truncated }
    }
}
