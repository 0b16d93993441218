/// An encoder of `Encodable` values as JSON documents (RFC 8259), made for many small events.
///
/// It writes members in the order in which they are encoded, or sorted. Data is Base64, a date the
/// number of seconds that `Date` encodes, as `JSONEncoder` has it by default. Numbers are the
/// shortest that are read back as the same value.
///
/// ```swift
/// var line: [UInt8] = []
/// try JSONEventEncoder().encode(alert, into: &line)
/// ```
public struct JSONEventEncoder: Sendable {
    /// Whether the members of objects are sorted by their names.
    public let sortedKeys: Bool

    /// Creates an encoder; sorting keys makes it slower and is off by default.
    public init(sortedKeys: Bool = false) {
        self.sortedKeys = sortedKeys
    }

    /// Encodes a value as one document.
    ///
    /// - Throws: ``JSONError`` for a NaN or an infinity, or what `encode(to:)` throws.
    /// - Complexity: O(*n*) in the number of bytes.
    public func encode<Value: Encodable>(_ value: Value) throws -> [UInt8] {
        var bytes: [UInt8] = []
        try encode(value, into: &bytes)
        return bytes
    }

    /// Appends a value as one document, without a newline; nothing is appended on an error.
    ///
    /// - Throws: ``JSONError`` for a NaN or an infinity, or what `encode(to:)` throws.
    /// - Complexity: O(*n*) in the number of bytes.
    public func encode<Value: Encodable>(_ value: Value, into bytes: inout [UInt8]) throws {
        do {
            if !sortedKeys {
                let writer = Writer()
                try writer.write(value, slot: 0, depth: 0)
                if !writer.isOutOfOrder {
                    bytes.append(contentsOf: writer.text)
                    return
                }
            }
            let root = TreeNode([])
            try TreeEncoder(node: root).encode(value)
            let writer = Writer()
            root.write(to: writer, sortedKeys: sortedKeys)
            bytes.append(contentsOf: writer.text)
        } catch EncodingError.invalidValue(_, let context) {
            throw JSONError(
                .dataCorrupted, .text(context.debugDescription),
                codingPath: context.codingPath.map(PathKey.text))
        }
    }
}
