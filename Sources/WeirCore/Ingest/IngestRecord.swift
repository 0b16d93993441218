/// What one read of a connection brought, in the form in which the ingest journal keeps it.
///
/// Layout, little endian: when it was read in nanoseconds since 1970 (8 bytes, signed), length of the
/// origin (2) and the origin in UTF-8, length of the producer's name (1) and the name, sequence
/// number of the first message (8), number of messages (4), and each message behind its length (4).
package struct IngestRecord: Sendable {
    /// The kinds of records in an ingest journal.
    package enum Kind {
        package static let messages: UInt8 = 1
        package static let producers: UInt8 = 2
        package static let requestKeys: UInt8 = 3
    }

    package private(set) var bytes: [UInt8] = []

    /// Who numbers the messages; empty for a connection without numbers, and for a request with a
    /// key what stands for the key.
    package let producer: String

    /// The number of the first message; 0 without numbers, the content's fingerprint with a key.
    package let firstSequence: UInt64

    /// How many messages it has.
    package private(set) var count = 0

    /// Called once on the journal's thread when the record is durable.
    package var onDurable: (@Sendable () -> Void)?

    private let countOffset: Int

    /// Makes a record without messages.
    ///
    /// - Parameters:
    ///   - origin: The peer's address, and details of the connection behind a tab; cut at 60,000 bytes.
    ///   - producer: At most 255 bytes.
    ///   - time: When it was read, in processing time: a replay goes by it.
    package init(
        origin: String, producer: String = "", firstSequence: UInt64 = 0,
        time: EventTime = EventTime()
    ) {
        self.producer = producer
        self.firstSequence = firstSequence
        let origin = origin.utf8.prefix(60_000)
        bytes.reserveCapacity(512)
        bytes.appendNumber(time.nanoseconds)
        bytes.appendNumber(UInt16(origin.count))
        bytes.append(contentsOf: origin)
        bytes.append(UInt8(truncatingIfNeeded: producer.utf8.count))
        bytes.append(contentsOf: producer.utf8.prefix(255))
        bytes.appendNumber(firstSequence)
        countOffset = bytes.count
        bytes.appendNumber(UInt32(0))
    }

    package var isEmpty: Bool { count == 0 }

    package var byteCount: Int { bytes.count }

    /// The number of the last message.
    package var lastSequence: UInt64 { firstSequence &+ UInt64(count) &- 1 }

    /// Adds a message; of less than 4 GiB.
    package mutating func append(_ message: UnsafeRawBufferPointer) {
        count += 1
        bytes.appendNumber(UInt32(truncatingIfNeeded: message.count))
        bytes.append(contentsOf: message)
        bytes.withUnsafeMutableBytes { bytes in
            bytes.storeBytes(
                of: UInt32(truncatingIfNeeded: count).littleEndian, toByteOffset: countOffset,
                as: UInt32.self)
        }
    }
}

/// A record as it is read from the journal.
package struct IngestRecordContents {
    /// When it was read.
    package let time: EventTime
    /// The peer's address.
    package let origin: String
    /// The peer's address with all that is known of the connection.
    package let connection: String
    package let producer: String
    package let firstSequence: UInt64
    package let count: Int
    private let messages: UnsafeRawBufferPointer

    /// Reads the head of a record; the bytes have to stay valid while it is used.
    ///
    /// - Throws: ``IngestFormatError`` for bytes that no ``IngestRecord`` has.
    package init(_ bytes: UnsafeRawBufferPointer) throws(IngestFormatError) {
        var reader = IngestBytes(bytes)
        time = EventTime(nanoseconds: try reader.number(Int64.self))
        let connection = String(
            decoding: try reader.take(Int(try reader.number(UInt16.self))), as: UTF8.self)
        self.connection = connection
        origin =
            connection.utf8.firstIndex(of: 0x09).map { String(connection[..<$0]) } ?? connection
        producer = String(
            decoding: try reader.take(Int(try reader.number(UInt8.self))), as: UTF8.self)
        firstSequence = try reader.number(UInt64.self)
        count = Int(try reader.number(UInt32.self))
        messages = reader.rest
    }

    /// Gives the messages in order, each with its number within the record.
    package func forEachMessage(
        _ body: (Int, UnsafeRawBufferPointer) -> Void
    ) throws(IngestFormatError) {
        var reader = IngestBytes(messages)
        for index in 0..<count {
            body(index, try reader.take(Int(try reader.number(UInt32.self))))
        }
        guard reader.rest.isEmpty else {
            throw IngestFormatError(remaining: reader.rest.count)
        }
    }
}

/// A record of the journal is none of an ingest journal's.
package struct IngestFormatError: Error {
    /// Bytes that were left where something else was expected.
    package let remaining: Int
}

/// Reads numbers and pieces off the front of some bytes.
struct IngestBytes {
    private(set) var rest: UnsafeRawBufferPointer

    init(_ bytes: UnsafeRawBufferPointer) {
        rest = bytes
    }

    mutating func number<Number: FixedWidthInteger>(
        _ type: Number.Type
    ) throws(IngestFormatError) -> Number {
        Number(littleEndian: try take(MemoryLayout<Number>.size).loadUnaligned(as: Number.self))
    }

    mutating func take(_ count: Int) throws(IngestFormatError) -> UnsafeRawBufferPointer {
        guard count <= rest.count else { throw IngestFormatError(remaining: rest.count) }
        defer { rest = UnsafeRawBufferPointer(rebasing: rest[count...]) }
        return UnsafeRawBufferPointer(rebasing: rest[..<count])
    }
}
