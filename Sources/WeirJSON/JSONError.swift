/// Why a document could not be decoded, or a value not encoded.
public struct JSONError: Error, Sendable {
    /// The kind of an error.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        /// The code's name, as ``JSONError/description`` shows it.
        public let description: String

        private init(_ description: String) { self.description = description }

        /// The bytes are not JSON (RFC 8259).
        public static let invalidSyntax = Code("invalid syntax")
        /// A string has bytes that are not UTF-8.
        public static let invalidUTF8 = Code("invalid UTF-8")
        /// A value is of another kind than the type that is decoded.
        public static let typeMismatch = Code("type mismatch")
        /// An object has no member of the name that the type requires.
        public static let missingKey = Code("missing key")
        /// A value that the type requires is null, or the array has no more elements.
        public static let missingValue = Code("missing value")
        /// A number does not fit the type, or has a fraction where the type has none.
        public static let numberOutOfRange = Code("number out of range")
        /// Arrays and objects are nested deeper than the limit.
        public static let tooDeep = Code("too deep")
        /// The document has more bytes than the limit.
        public static let tooLarge = Code("too large")
        /// A value is well-formed but not valid for its type, or a value cannot be encoded.
        public static let dataCorrupted = Code("data corrupted")
        /// Something other than white space follows the document.
        public static let trailingBytes = Code("trailing bytes")
    }

    /// What an error is about, kept apart from its text so that making it is cheap.
    enum Reason: Sendable {
        case unexpected(StaticString, UInt8?)
        case controlCharacter(UInt8)
        case leadingZero, loneSurrogate, unknownEscape, invalidUTF8, trailing
        case depth(Int)
        case size(Int, limit: Int)
        case mismatch(expected: any Any.Type, found: Token)
        case container(expected: StaticString, found: Token)
        case key(String)
        case null(any Any.Type)
        case end(any Any.Type)
        case number(any Any.Type)
        case text(String)
    }

    /// The kind of the error.
    public let code: Code
    /// Where in the document the error is, counted in bytes from its start, if known.
    public let byteOffset: Int?
    /// The keys and array indexes that lead to the value, from the outside in.
    public internal(set) var codingPath: [String] = []
    let reason: Reason
    var place: Place?

    init(
        _ code: Code, _ reason: Reason, byteOffset: Int? = nil, place: Place? = nil,
        codingPath: [String] = []
    ) {
        self.code = code
        self.reason = reason
        self.byteOffset = byteOffset
        self.place = place
        self.codingPath = codingPath
    }

    /// What is wrong and what to do about it, without the place.
    public var message: String {
        switch reason {
        case .unexpected(let expected, let byte):
            let found = byte.map(Self.name) ?? "the end of the document"
            return "expected \(expected) but found \(found); send JSON as RFC 8259 defines it"
        case .controlCharacter(let byte):
            return "a string has the control character \(Self.name(byte)); escape it"
        case .leadingZero: return "a number starts with a needless zero; drop it"
        case .loneSurrogate:
            return "an escape is half of a surrogate pair; send both halves or neither"
        case .unknownEscape: return "a backslash is followed by what is no escape; double it"
        case .invalidUTF8: return "a string is not UTF-8; encode the document as UTF-8"
        case .trailing: return "bytes follow the document; send one document at a time"
        case .depth(let limit):
            return "nested deeper than \(limit) levels; flatten it or raise limits.maximumDepth"
        case .size(let count, let limit):
            return
                "\(count) bytes are more than \(limit); split it or raise limits.maximumBytes"
        case .mismatch(let type, let found):
            return "expected \(type) but found \(found.name); correct the document or the type"
        case .container(let expected, let found):
            return "expected \(expected) but found \(found.name); correct the document or the type"
        case .key(let key):
            return "the object has no \"\(key)\"; send it or make the property optional"
        case .null(let type):
            return "expected \(type) but found null; send a value or make it optional"
        case .end(let type):
            return "expected \(type) but the array has no more elements; send as many as needed"
        case .number(let type):
            return "the number does not fit \(type); send one that does or use a wider type"
        case .text(let text): return text
        }
    }

    private static func name(_ byte: UInt8) -> String {
        byte > 0x20 && byte < 0x7F
            ? "'\(Unicode.Scalar(byte))'" : "byte 0x\(String(byte, radix: 16, uppercase: true))"
    }
}

extension JSONError: CustomStringConvertible {
    /// The code, the place (byte offset and coding path) and the message, in one line.
    public var description: String {
        var text = code.description
        if let byteOffset { text += " at byte \(byteOffset)" }
        if !codingPath.isEmpty { text += " in \(codingPath.joined(separator: "."))" }
        return text + ": " + message
    }
}
