/// The words of the acknowledging protocol, over WebSocket (`weir.ack.v1`) and over TCP.
///
/// Pure functions; `docs/acknowledging-protocol.md` is the specification.
enum AcknowledgingProtocol {
    /// The WebSocket subprotocol.
    static let subprotocol = "weir.ack.v1"

    /// What the first frame of an acknowledging TCP connection begins with.
    static let prefix = "WEIR-ACK/"

    /// The largest sequence number: the largest integer that every JSON reader keeps exactly.
    static let maximumSequence: UInt64 = (1 << 53) - 1

    /// Bytes of the longest name of a producer.
    static let maximumNameLength = 128

    /// Whether the first frame of a TCP connection begins the acknowledging protocol.
    static func isHello(_ frame: UnsafeRawBufferPointer) -> Bool {
        frame.count >= prefix.utf8.count && zip(frame, prefix.utf8).allSatisfy { $0 == $1 }
    }

    /// The producer's name in the first frame of a TCP connection: `WEIR-ACK/1 NAME`.
    static func producer(
        inHello frame: UnsafeRawBufferPointer
    ) throws(AcknowledgingProtocolError) -> String {
        let begin = "\(prefix)1 ".utf8
        guard frame.count >= begin.count, zip(frame, begin).allSatisfy({ $0 == $1 }) else {
            throw AcknowledgingProtocolError("the first frame is not 'WEIR-ACK/1 NAME'")
        }
        return try name(UnsafeRawBufferPointer(rebasing: frame[begin.count...]))
    }

    /// Checks the name of a producer: 1 to 128 bytes of visible ASCII.
    static func name(
        _ bytes: UnsafeRawBufferPointer
    ) throws(AcknowledgingProtocolError) -> String {
        guard (1...maximumNameLength).contains(bytes.count),
            bytes.allSatisfy({ (0x21...0x7E).contains($0) })
        else {
            throw AcknowledgingProtocolError(
                "a producer's name has 1 to \(maximumNameLength) bytes of visible ASCII")
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Parts `SEQ payload`.
    static func message(
        _ frame: UnsafeRawBufferPointer
    ) throws(AcknowledgingProtocolError) -> (sequence: UInt64, payload: UnsafeRawBufferPointer) {
        var number: UInt64 = 0
        var index = 0
        while index < frame.count, (0x30...0x39).contains(frame[index]) {
            number = number * 10 + UInt64(frame[index] - 0x30)
            index += 1
            // No leading zeros, and no number that could overflow.
            if number == 0 || number > maximumSequence { break }
        }
        guard index > 0, number > 0, number <= maximumSequence, index < frame.count,
            frame[index] == 0x20
        else {
            throw AcknowledgingProtocolError(
                "a message begins with its sequence number from 1 to \(maximumSequence) and a space"
            )
        }
        return (number, UnsafeRawBufferPointer(rebasing: frame[(index + 1)...]))
    }

    /// A number that a server has said; one beyond all messages is refused, since others follow it.
    static func checked(_ number: UInt64) throws(AcknowledgingProtocolError) -> UInt64 {
        guard number <= maximumSequence else {
            throw AcknowledgingProtocolError(
                "\(number) is above the largest sequence number, \(maximumSequence)")
        }
        return number
    }

    /// Reads a server's frame of the TCP form.
    static func answer(
        _ frame: UnsafeRawBufferPointer
    ) throws(AcknowledgingProtocolError) -> AcknowledgingAnswer {
        let text = String(decoding: frame, as: UTF8.self)
        if text.hasPrefix("ACK "), let number = UInt64(text.dropFirst(4)) {
            return .ack(try checked(number))
        }
        if text.hasPrefix("ERR ") { return .error(String(text.dropFirst(4))) }
        throw AcknowledgingProtocolError("the server's answer is neither ACK nor ERR")
    }
}

/// What a server says.
enum AcknowledgingAnswer: Equatable {
    case ack(UInt64)
    case error(String)
}

/// A peer has broken the acknowledging protocol.
struct AcknowledgingProtocolError: Error, Equatable, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}
