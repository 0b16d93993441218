import WeirJSON

/// How the acknowledging protocol is written: as JSON over WebSocket, as words over TCP.
enum AcknowledgingDialect: Sendable {
    case json, words

    private struct Hello: Codable { var producer: String }

    struct Answer: Codable {
        var ack: UInt64?
        var durable: Bool?
        var error: String?
    }

    /// The producer's name in the first message.
    func producer(
        inHello frame: UnsafeRawBufferPointer
    ) throws(AcknowledgingProtocolError) -> String {
        if self == .words { return try AcknowledgingProtocol.producer(inHello: frame) }
        guard let hello = try? JSONEventDecoder().decode(Hello.self, from: frame) else {
            throw AcknowledgingProtocolError(#"the first message is not {"producer":"NAME"}"#)
        }
        let name = Array(hello.producer.utf8)
        return try name.withUnsafeBytes { bytes in
            Result { () throws(AcknowledgingProtocolError) in
                try AcknowledgingProtocol.name(bytes)
            }
        }.get()
    }

    func hello(_ producer: String) -> String {
        self == .words
            ? "\(AcknowledgingProtocol.prefix)1 \(producer)" : json(Hello(producer: producer))
    }

    func welcome(_ sequence: UInt64, isDurable: Bool) -> String {
        self == .words ? "ACK \(sequence)" : #"{"ack":\#(sequence),"durable":\#(isDurable)}"#
    }

    func acknowledgement(_ sequence: UInt64) -> String {
        self == .words ? "ACK \(sequence)" : #"{"ack":\#(sequence)}"#
    }

    func error(_ reason: String) -> String {
        self == .words ? "ERR \(reason)" : json(Answer(error: reason))
    }

    /// Reads what a server says.
    func answer(
        _ frame: UnsafeRawBufferPointer
    ) throws(AcknowledgingProtocolError) -> AcknowledgingAnswer {
        if self == .words { return try AcknowledgingProtocol.answer(frame) }
        if let answer = try? JSONEventDecoder().decode(Answer.self, from: frame) {
            if let error = answer.error { return .error(error) }
            if let number = answer.ack { return .ack(try AcknowledgingProtocol.checked(number)) }
        }
        throw AcknowledgingProtocolError("the server's answer has neither ack nor error")
    }

    /// Whether a server's first answer says that messages will be durable; nil without a word.
    func isDurable(_ frame: UnsafeRawBufferPointer) -> Bool? {
        if self == .words { return nil }
        return (try? JSONEventDecoder().decode(Answer.self, from: frame))?.durable
    }

    private func json(_ value: some Encodable) -> String {
        var bytes: [UInt8] = []
        // A structure of texts and numbers always encodes.
        try? JSONEventEncoder().encode(value, into: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }
}
