/// A decoder of JSON documents (RFC 8259) into `Decodable` values, made for many small events.
///
/// It validates the whole document in one pass before it decodes. A valid document gives the
/// value that Foundation's `JSONDecoder` gives with its default strategies: of equal keys the
/// first counts, `1.0` is an `Int`, a number that overflows or vanishes is an error. It is
/// stricter where that one is lenient: trailing commas, and what no property reads, are refused
/// if they are not JSON; the document has to be UTF-8.
///
/// Code in `init(from:)` meets failures as `DecodingError`, and callers as ``JSONError``; errors
/// of other types pass unchanged. A decoder or container is of no use after the call that made it.
///
/// ```swift
/// let payment = try JSONEventDecoder().decode(Payment.self, from: #"{"id":1,"amount":12.5}"#)
/// ```
public struct JSONEventDecoder: Sendable {
    /// What a document may ask of the decoder.
    public struct Limits: Sendable {
        /// How deep arrays and objects may be nested: 128 by default.
        ///
        /// A recursive type takes stack for each level: raise the limit with that in mind.
        public var maximumDepth: Int
        /// How many bytes a document may have: 16 MiB by default, 128 MiB at most.
        public var maximumBytes: Int

        /// Creates limits.
        public init(maximumDepth: Int = 128, maximumBytes: Int = 16 << 20) {
            self.maximumDepth = maximumDepth
            self.maximumBytes = maximumBytes
        }
    }

    /// What a document may ask of this decoder.
    public let limits: Limits

    /// Creates a decoder with the limits given.
    public init(limits: Limits = .init()) {
        self.limits = limits
    }

    /// Decodes a value from the bytes of one document, which are only read during the call.
    ///
    /// - Throws: ``JSONError`` or what `Value.init(from:)` throws.
    /// - Complexity: O(*n*) in the number of bytes, for types that read each member once.
    public func decode<Value: Decodable>(
        _ type: Value.Type, from bytes: UnsafeRawBufferPointer
    ) throws -> Value {
        guard bytes.count <= min(limits.maximumBytes, Self.bytesMaximum) else {
            throw tooLarge(bytes.count)
        }
        let storage = DocumentPool.shared.take()
        defer { DocumentPool.shared.put(storage) }
        let document = Document(bytes, in: storage)
        defer { document.close() }
        try document.scan(bytes.count, maximumDepth: limits.maximumDepth)
        do {
            return try document.value(type, at: .root)
        } catch {
            throw document.resolve(error)
        }
    }

    /// Decodes a value from the bytes of one document.
    ///
    /// - Throws: ``JSONError`` or what `Value.init(from:)` throws.
    /// - Complexity: O(*n*) in the number of bytes, for types that read each member once.
    @inlinable
    public func decode<Value: Decodable>(
        _ type: Value.Type, from bytes: some Sequence<UInt8>
    ) throws -> Value {
        let value = try bytes.withContiguousStorageIfAvailable {
            try decode(type, from: UnsafeRawBufferPointer($0))
        }
        if let value { return value }
        let copy = Array(bytes.prefix(min(limits.maximumBytes, Self.bytesMaximum) + 1))
        return try copy.withUnsafeBytes { try decode(type, from: $0) }
    }

    /// Decodes a value from the bytes of one document.
    ///
    /// - Throws: ``JSONError`` or what `Value.init(from:)` throws.
    /// - Complexity: O(*n*) in the number of bytes, for types that read each member once.
    @inlinable
    public func decode<Value: Decodable>(
        _ type: Value.Type, from bytes: [UInt8]
    ) throws -> Value {
        try bytes.withUnsafeBytes { try decode(type, from: $0) }
    }

    /// Decodes a value from the text of one document.
    ///
    /// - Throws: ``JSONError`` or what `Value.init(from:)` throws.
    /// - Complexity: O(*n*) in the number of bytes, for types that read each member once.
    @inlinable
    public func decode<Value: Decodable>(
        _ type: Value.Type, from text: String
    ) throws -> Value {
        var text = text
        return try text.withUTF8 { try decode(type, from: UnsafeRawBufferPointer($0)) }
    }

    /// What 28 bits of a token can index: every byte makes two tokens at most.
    @usableFromInline static let bytesMaximum = (1 << 27) - 1

    @inline(never)
    private func tooLarge(_ count: Int) -> JSONError {
        let limit = min(limits.maximumBytes, Self.bytesMaximum)
        return JSONError(.tooLarge, .size(count, limit: limit))
    }
}
