import WeirCore

/// Reads messages of RFC 5424; a value without I/O.
///
/// Strict: each length and set of characters of the RFC's grammar is checked, and the error tells
/// the place.
struct SyslogParser {
    /// Elements, and values of one element, that are taken at most.
    static let elementsMax = 256

    private var reader: SyslogReader

    private init(_ bytes: UnsafeRawBufferPointer) {
        reader = SyslogReader(bytes)
    }

    /// Reads one message.
    static func parse(_ bytes: UnsafeRawBufferPointer) throws(SyslogError) -> SyslogMessage {
        var parser = SyslogParser(bytes)
        return try parser.message()
    }

    /// Reads what is between `<` and `>` at the beginning.
    static func priority(_ reader: inout SyslogReader) throws(SyslogError) -> Int {
        try reader.expect(UInt8(ascii: "<"), "a priority in angle brackets")
        let start = reader.position
        var value = 0
        while let digit = reader.digit(), reader.position - start < 3 {
            value = value * 10 + digit
            reader.advance()
        }
        let length = reader.position - start
        guard length > 0, value <= 191, length == 1 || reader[start] != UInt8(ascii: "0") else {
            throw SyslogError("the priority is no number from 0 to 191", at: start)
        }
        try reader.expect(UInt8(ascii: ">"), "'>' behind the priority")
        return value
    }

    private mutating func message() throws(SyslogError) -> SyslogMessage {
        let priority = try Self.priority(&reader)
        guard reader.take(UInt8(ascii: "1")) else {
            throw SyslogError("the version of the protocol is not 1", at: reader.position)
        }
        var message = SyslogMessage(
            facility: priority / 8, severity: SyslogSeverity(rawValue: priority % 8) ?? .debug)
        try space("the version")
        message.timestamp = try timestamp()
        try space("the time")
        message.hostName = try reader.word("host name", limit: 255)
        try space("the host name")
        message.appName = try reader.word("application's name", limit: 48)
        try space("the application's name")
        message.processID = try reader.word("process", limit: 128)
        try space("the process")
        message.messageID = try reader.word("message's name", limit: 32)
        try space("the message's name")
        message.structuredData = try structuredData()
        if reader.isAtEnd { return message }
        try space("the structured data")
        message.text = try text()
        return message
    }

    private mutating func space(_ place: String) throws(SyslogError) {
        try reader.expect(UInt8(ascii: " "), "a space behind \(place)")
    }

    /// RFC 5424 section 6.2.3: RFC 3339 in capitals, at most microseconds, no leap second.
    private mutating func timestamp() throws(SyslogError) -> EventTime? {
        let start = reader.position
        guard let bytes = try reader.rawWord("time", limit: 32) else { return nil }
        let text = bytes.bindMemory(to: UInt8.self)
        guard let time = EventTime(rfc3339: text), text[10] == UInt8(ascii: "T"),
            text[17] != UInt8(ascii: "6"), text.last != UInt8(ascii: "z"),
            Self.fractionLength(text) <= 6
        else {
            throw SyslogError(
                "the time is none such as 2003-10-11T22:14:15.003Z", at: start)
        }
        return time
    }

    private static func fractionLength(_ text: UnsafeBufferPointer<UInt8>) -> Int {
        guard text.count > 20, text[19] == UInt8(ascii: ".") else { return 0 }
        return text[20...].prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }.count
    }

    private mutating func structuredData() throws(SyslogError) -> [SyslogElement] {
        if reader.take(UInt8(ascii: "-")) { return [] }
        var elements: [SyslogElement] = []
        while reader.take(UInt8(ascii: "[")) {
            let start = reader.position
            guard elements.count < Self.elementsMax else {
                throw SyslogError("there are more than \(Self.elementsMax) elements", at: start)
            }
            let id = try reader.name("element")
            // RFC 5424 section 6.3.2: once in a message.
            guard !elements.contains(where: { $0.id == id }) else {
                throw SyslogError("the element '\(id)' comes twice", at: start)
            }
            var element = SyslogElement(id: id)
            while reader.take(UInt8(ascii: " ")) {
                guard element.values.count < Self.elementsMax else {
                    throw SyslogError(
                        "an element has more than \(Self.elementsMax) values", at: reader.position)
                }
                let name = try reader.name("value")
                try reader.expect(UInt8(ascii: "="), "'=' behind the name of a value")
                try reader.expect(UInt8(ascii: "\""), "a value in quotation marks")
                element.values.append(SyslogElement.Value(name: name, value: try value()))
            }
            try reader.expect(UInt8(ascii: "]"), "']' behind an element")
            elements.append(element)
        }
        if elements.isEmpty {
            throw SyslogError("there is no structured data, nor '-'", at: reader.position)
        }
        return elements
    }

    /// A value up to its closing mark; `"`, `\` and `]` are escaped, any other `\` is itself.
    private mutating func value() throws(SyslogError) -> String {
        let start = reader.position
        var bytes: [UInt8] = []
        while let byte = reader.current {
            reader.advance()
            switch byte {
            case UInt8(ascii: "\""):
                guard let value = String(validating: bytes, as: UTF8.self) else {
                    throw SyslogError("a value is not valid UTF-8", at: start)
                }
                return value
            case UInt8(ascii: "]"):
                throw SyslogError("a ']' in a value has no '\\' before it", at: reader.position - 1)
            case UInt8(ascii: "\\"):
                if let next = reader.current,
                    [UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "]")].contains(next)
                {
                    bytes.append(next)
                    reader.advance()
                } else {
                    bytes.append(byte)
                }
            default: bytes.append(byte)
            }
        }
        throw SyslogError("a value has no end", at: start)
    }

    private mutating func text() throws(SyslogError) -> String {
        let rest = reader.rest
        if rest.starts(with: [0xEF, 0xBB, 0xBF]) {
            // With the mark it has to be UTF-8, without it may be anything.
            guard let text = String(validating: rest.dropFirst(3), as: UTF8.self) else {
                throw SyslogError("the text is marked as UTF-8 and is none", at: reader.position)
            }
            return text
        }
        return String(decoding: rest, as: UTF8.self)
    }
}

/// Why bytes are no syslog message.
public struct SyslogError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What is wrong.
    public let reason: String
    /// The number of bytes before the place.
    public let offset: Int

    init(_ reason: String, at offset: Int) {
        self.reason = reason
        self.offset = offset
    }

    /// The reason and the place.
    public var description: String { "\(reason) (at byte \(offset))" }
}
