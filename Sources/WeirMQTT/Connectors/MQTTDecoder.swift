import WeirCore
public import WeirNetwork

/// How a message of a broker becomes an event.
public struct MQTTDecoder<Element: Sendable>: Sendable {
    let append: @Sendable (MQTTMessage, inout Batch<Element>) throws -> Void

    /// Decodes with a closure, which sees topic and properties too.
    ///
    /// What it throws sends the message to the dead letters with the error's text.
    public init(_ decode: @escaping @Sendable (MQTTMessage) throws -> Element) {
        append = { message, batch in batch.append(try decode(message)) }
    }

    /// Decodes the payload alone, for instance `.payload(.text)`.
    public static func payload(_ decoder: EventDecoder<Element>) -> MQTTDecoder {
        let append = decoder.appender(for: ConnectionInfo()).appendOne
        return MQTTDecoder(
            appending: { message, batch in
                try message.payload.withUnsafeBytes { try append($0, &batch) }
            })
    }

    /// Appends the event of a message as the ingest journal keeps it.
    var appendRecorded: @Sendable (UnsafeRawBufferPointer, inout Batch<Element>) throws -> Void {
        { [append] bytes, batch in
            let message = try RecordedMessage.decode(bytes)
            do {
                try append(message, &batch)
            } catch {
                throw UndecodablePayload(message.payload, place: message.topic, cause: error)
            }
        }
    }

    private init(
        appending append: @escaping @Sendable (MQTTMessage, inout Batch<Element>) throws -> Void
    ) {
        self.append = append
    }
}

extension MQTTDecoder where Element: Decodable {
    /// Each payload is one JSON document.
    public static var json: MQTTDecoder { .payload(.json) }
}

extension MQTTDecoder<MQTTMessage> {
    /// Each message is the event, as it came.
    public static var message: MQTTDecoder { MQTTDecoder { $0 } }
}
