/// The header lines of an HTTP message, in order; names are compared without case.
public struct HTTPHeaders: Sendable, Hashable {
    /// One header line.
    public struct Field: Sendable, Hashable {
        /// The name as it was sent.
        public let name: String
        /// The value without white space around it.
        public let value: String
    }

    /// The header lines in order.
    public private(set) var fields: [Field] = []

    /// Creates headers without a line.
    public init() {}

    /// Adds a line at the end.
    public mutating func append(_ name: String, _ value: String) {
        fields.append(Field(name: name, value: value))
    }

    /// The value of the first line of that name.
    public subscript(_ name: String) -> String? {
        fields.first { Self.areEqual($0.name, name) }?.value
    }

    /// The values of all lines of that name.
    public func values(_ name: String) -> [String] {
        fields.lazy.filter { Self.areEqual($0.name, name) }.map(\.value)
    }

    /// The comma-separated elements of all lines of that name, without white space around them.
    public func elements(_ name: String) -> [String] {
        values(name).flatMap { value in
            value.utf8.split(separator: UInt8(ascii: ",")).compactMap { element in
                let text = HTTPSyntax.trimmed(element)
                return text.isEmpty ? nil : String(text)
            }
        }
    }

    /// Whether a comma-separated list of tokens contains one, without regard to case.
    public func hasToken(_ token: String, in name: String) -> Bool {
        elements(name).contains { Self.areEqual($0, token) }
    }

    static func areEqual(_ left: String, _ right: String) -> Bool {
        left.utf8.count == right.utf8.count
            && zip(left.utf8, right.utf8).allSatisfy {
                HTTPSyntax.lower($0) == HTTPSyntax.lower($1)
            }
    }

    /// Reads the lines after the first of a head that ``HTTPHeadReader`` has found.
    init(parsing lines: UnsafeRawBufferPointer) throws(HTTPError) {
        var rest = lines[...]
        while let end = rest.firstIndex(of: 0x0D), end > rest.startIndex {
            let line = rest[..<end]
            rest = rest[(end + 2)...]
            guard line.first != 0x20, line.first != 0x09 else {
                throw HTTPError(400, "a header continues over two lines")
            }
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else {
                throw HTTPError(400, "a header line without a colon")
            }
            let name = line[..<colon]
            guard !name.isEmpty, name.allSatisfy(HTTPSyntax.isToken) else {
                throw HTTPError(400, "a header name is not a token")
            }
            let value = HTTPSyntax.trimmed(line[(colon + 1)...])
            append(String(decoding: name, as: UTF8.self), String(decoding: value, as: UTF8.self))
        }
    }
}

extension String {
    /// Makes a text of a slice of another text's UTF-8.
    init(_ slice: Substring.UTF8View.SubSequence) { self.init(decoding: slice, as: UTF8.self) }
}
