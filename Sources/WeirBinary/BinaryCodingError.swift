/// Why a binary document could not be decoded, or a value not encoded.
public struct BinaryCodingError: Error, Sendable {
    /// The kind of an error.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        /// The code's name, as ``BinaryCodingError/description`` shows it.
        public let description: String

        private init(_ description: String) { self.description = description }

        /// The bytes are not a document of this format, or one of another version.
        public static let invalidHeader = Code("invalid header")
        /// The bytes end within a value, or have what the format does not know.
        public static let malformed = Code("malformed")
        /// A string has bytes that are not UTF-8.
        public static let invalidUTF8 = Code("invalid UTF-8")
        /// A value is of another kind than the type that is decoded.
        public static let typeMismatch = Code("type mismatch")
        /// A keyed value has no member of the name that the type requires.
        public static let missingKey = Code("missing key")
        /// A value that the type requires is null, or the array has no more elements.
        public static let missingValue = Code("missing value")
        /// A number does not fit the type.
        public static let numberOutOfRange = Code("number out of range")
        /// Containers are nested deeper than the limit.
        public static let tooDeep = Code("too deep")
        /// The document has more bytes than the limit.
        public static let tooLarge = Code("too large")
        /// A value is well-formed but not valid for its type.
        public static let dataCorrupted = Code("data corrupted")
        /// A value cannot be encoded, or its `encode(to:)` threw; see ``BinaryCodingError/cause``.
        public static let encodingFailed = Code("encoding failed")
    }

    /// The kind of the error.
    public let code: Code
    /// What is wrong, without the place.
    public let message: String
    /// Where in the document the error is, counted in bytes from its start, if known.
    public let byteOffset: Int?
    /// The keys and array indexes that lead to the value, from the outside in.
    public internal(set) var codingPath: [String] = []
    /// The error that led to this one, where there is one.
    public internal(set) var cause: (any Error)?
    var place: Place?

    init(
        _ code: Code, _ message: String, byteOffset: Int? = nil, place: Place? = nil,
        codingPath: [String] = [], cause: (any Error)? = nil
    ) {
        self.code = code
        self.message = message
        self.byteOffset = byteOffset
        self.place = place
        self.codingPath = codingPath
        self.cause = cause
    }
}

extension BinaryCodingError: CustomStringConvertible {
    /// The code, the place (byte offset and coding path) and the message, in one line.
    public var description: String {
        var text = code.description
        if let byteOffset { text += " at byte \(byteOffset)" }
        if !codingPath.isEmpty { text += " in \(codingPath.joined(separator: "."))" }
        return text + ": " + message
    }
}

/// A key of a coding path.
enum PathKey: CodingKey {
    case name(String)
    case index(Int)

    init(stringValue: String) { self = .name(stringValue) }
    init(intValue: Int) { self = .index(intValue) }

    var stringValue: String {
        switch self {
        case .name(let name): name
        case .index(let index): "Index \(index)"
        }
    }

    var intValue: Int? {
        switch self {
        case .name: nil
        case .index(let index): index
        }
    }

    /// What an error shows: the name, or the index in brackets.
    static func text(of key: any CodingKey) -> String {
        if let key = key as? PathKey, case .name(let name) = key { return name }
        return key.intValue.map { "[\($0)]" } ?? key.stringValue
    }
}
