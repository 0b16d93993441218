public import WeirCore
public import WeirJSON

/// How the bytes of a message become an event.
public struct EventDecoder<Element: Sendable>: Sendable {
    /// For messages of any connection.
    @usableFromInline let appender: EventAppender<Element>
    /// Makes what appends for one connection; nil when all connections are alike.
    @usableFromInline let makeAppender: (@Sendable (ConnectionInfo) -> EventAppender<Element>)?

    /// Decodes with a closure.
    ///
    /// What it throws sends the bytes to the dead letters with the error's text.
    @inlinable
    public init(_ decode: @escaping @Sendable (UnsafeRawBufferPointer) throws -> Element) {
        appender = EventAppender(decode: decode)
        makeAppender = nil
    }

    /// Decodes with a closure that appends the events of a message, or none when it throws.
    package init(
        appending append:
            @escaping @Sendable (UnsafeRawBufferPointer, inout Batch<Element>) throws -> Void
    ) {
        appender = EventAppender(append)
        makeAppender = nil
    }

    /// Decodes with a closure that is told which connection a message came by.
    ///
    /// ```swift
    /// EventDecoder<Reading>(withConnection: { bytes, connection in
    ///     Reading(device: connection.peer?.commonName ?? "", try json.decode(Double.self, from: bytes))
    /// })
    /// ```
    ///
    /// The connection is journaled with its messages where there is a store, so that a replay sees the same. What the
    /// closure throws sends the bytes to the dead letters with the error's text.
    @inlinable
    public init(
        withConnection decode:
            @escaping @Sendable (UnsafeRawBufferPointer, ConnectionInfo) throws -> Element
    ) {
        let make: @Sendable (ConnectionInfo) -> EventAppender<Element> = { connection in
            EventAppender(decode: { bytes in try decode(bytes, connection) })
        }
        appender = make(ConnectionInfo())
        makeAppender = make
    }
}

/// Appends the events of messages to a batch.
///
/// Made where the element type and the decoder are known, so that neither a message nor the loop
/// over many costs a look-up of types or a call through a closure.
@usableFromInline
package struct EventAppender<Element: Sendable>: Sendable {
    /// Appends the events of a message; throws what is wrong with it.
    @usableFromInline package let appendOne: One
    /// Appends the events of all messages but those that are none.
    @usableFromInline let appendAll:
        @Sendable (
            _ messages: Messages, inout Batch<Element>,
            _ refuse: (UnsafeRawBufferPointer, any Error) -> Void
        ) -> Void

    @usableFromInline package typealias One =
        @Sendable (UnsafeRawBufferPointer, inout Batch<Element>) throws -> Void
    @usableFromInline package typealias Messages = UnsafeBufferPointer<UnsafeRawBufferPointer>

    /// For messages of one event each.
    @inlinable
    init(decode: @escaping @Sendable (UnsafeRawBufferPointer) throws -> Element) {
        appendOne = { bytes, batch in batch.append(try decode(bytes)) }
        appendAll = { messages, batch, refuse in
            batch.elements.append(addingCapacity: messages.count) { events in
                for message in messages {
                    do { events.append(try decode(message)) } catch { refuse(message, error) }
                }
            }
        }
    }

    @inlinable
    init(_ append: @escaping One) {
        appendOne = append
        appendAll = { messages, batch, refuse in
            if batch.isEmpty { batch.elements.reserveCapacity(messages.count) }
            for message in messages {
                do {
                    try append(message, &batch)
                } catch {
                    refuse(message, error)
                }
            }
        }
    }
}

extension EventDecoder {
    /// Whether events depend on the connection they came by.
    var asksForConnection: Bool { makeAppender != nil }

    /// What appends the events of one connection.
    package func appender(for connection: ConnectionInfo) -> EventAppender<Element> {
        makeAppender.map { $0(connection) } ?? appender
    }

    /// What appends the events of a record in the ingest journal.
    @Sendable
    func appender(forRecorded connection: String) -> EventAppender<Element>.One {
        (makeAppender.map { $0(ConnectionInfo(recorded: connection)) } ?? appender).appendOne
    }
}

extension EventDecoder where Element: Decodable {
    /// Each message is one JSON document; strict about RFC 8259.
    @inlinable
    public static var json: EventDecoder {
        let decoder = JSONEventDecoder()
        return EventDecoder { bytes in try decoder.decode(Element.self, from: bytes) }
    }
}

extension EventDecoder<String> {
    /// Each message is UTF-8 text; other bytes go to the dead letters.
    public static var text: EventDecoder {
        EventDecoder { bytes in
            guard let text = String(validating: bytes, as: UTF8.self) else {
                throw EventDecodingError(description: "the message is not valid UTF-8")
            }
            return text
        }
    }
}

extension EventDecoder<[UInt8]> {
    /// Each message is taken as its bytes.
    public static var bytes: EventDecoder {
        EventDecoder { bytes in [UInt8](bytes) }
    }
}

/// Why a message is no event.
public struct EventDecodingError: Error, Sendable, CustomStringConvertible {
    /// What is wrong.
    public let description: String

    /// Creates an error with its text.
    public init(description: String) {
        self.description = description
    }
}

/// How an event becomes the bytes of a message.
public struct EventEncoder<Element: Sendable>: Sendable {
    @usableFromInline let encode: @Sendable (Element, inout [UInt8]) throws -> Void
    let isText: Bool

    /// Encodes with a closure that appends the message's bytes.
    ///
    /// - Parameter isText: Whether the bytes are UTF-8, which a WebSocket then marks as text.
    public init(
        isText: Bool, _ encode: @escaping @Sendable (Element, inout [UInt8]) throws -> Void
    ) {
        self.isText = isText
        self.encode = encode
    }

    /// Appends the message of an event.
    package func append(_ event: Element, to bytes: inout [UInt8]) throws {
        try encode(event, &bytes)
    }
}

extension EventEncoder where Element: Encodable {
    /// Each event is one JSON document without line breaks.
    public static var json: EventEncoder {
        let encoder = JSONEventEncoder()
        return EventEncoder(isText: true) { event, bytes in
            try encoder.encode(event, into: &bytes)
        }
    }
}

extension EventEncoder<String> {
    /// Each event is sent as text.
    public static var text: EventEncoder {
        EventEncoder(isText: true) { event, bytes in bytes.append(contentsOf: event.utf8) }
    }
}

extension EventEncoder<[UInt8]> {
    /// Each event is sent as it is.
    public static var bytes: EventEncoder {
        EventEncoder(isText: false) { event, bytes in bytes.append(contentsOf: event) }
    }
}
