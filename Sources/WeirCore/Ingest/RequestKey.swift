/// The key that a client has given to a request, so that the request counts once: its digest.
package struct RequestKey: Hashable, Sendable {
    private let high: UInt64
    private let low: UInt64

    /// Takes the first 16 bytes of a digest; nil for a shorter one.
    package init?(digest: [UInt8]) {
        guard digest.count >= 16 else { return nil }
        high = Self.number(digest[..<8])
        low = Self.number(digest[8..<16])
    }

    /// The first 8 bytes of a digest as a number.
    package static func number(_ digest: some Sequence<UInt8>) -> UInt64 {
        digest.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
    }

    // MARK: In a record

    /// No producer has a name that begins with it.
    private static let mark: UInt8 = 0x01

    /// Whether the producer of a record is a request's key.
    package static func isKey(_ producer: String) -> Bool { producer.utf8.first == mark }

    /// What stands for the key where a record has its producer's name.
    package var producer: String {
        func digits(_ number: UInt64) -> String {
            let text = String(number, radix: 16)
            return String(repeating: "0", count: 16 - text.count) + text
        }
        return String(decoding: [Self.mark], as: UTF8.self) + digits(high) + digits(low)
    }

    /// The key that a record tells instead of a producer; nil when it is none.
    package init?(producer: String) {
        let digits = Array(producer.utf8)
        guard digits.count == 33, digits[0] == Self.mark,
            let high = UInt64(String(decoding: digits[1..<17], as: UTF8.self), radix: 16),
            let low = UInt64(String(decoding: digits[17...], as: UTF8.self), radix: 16)
        else { return nil }
        self.high = high
        self.low = low
    }

    // MARK: In the table

    static let encodedLength = 16

    func append(to bytes: inout [UInt8]) {
        bytes.appendNumber(high)
        bytes.appendNumber(low)
    }

    init(_ reader: inout IngestBytes) throws(IngestFormatError) {
        high = try reader.number(UInt64.self)
        low = try reader.number(UInt64.self)
    }
}

/// What a source knows of a request's key.
package enum RequestVerdict: Sendable, Equatable {
    /// The key is new: it belongs to the request until that is settled or abandoned.
    case new
    /// A request with this key and content was taken, with so many events.
    case taken(Int)
    /// A request with this key and content is on its way.
    case underWay
    /// Another content has this key.
    case different
    /// All keys that may be remembered belong to requests that are on their way.
    case full
}
