/// A decoder of documents in Weir's binary format into `Decodable` values.
///
/// It checks the whole document before it decodes. Members are found by name: further optional
/// properties are nil, members without a property are ignored, and their order does not matter.
///
/// Code in `init(from:)` meets failures as `DecodingError`, and callers as ``BinaryCodingError``;
/// errors of other types pass unchanged. A decoder or container is of no use after its call.
///
/// ```swift
/// let payment = try BinaryDecoder().decode(Payment.self, from: bytes)
/// ```
public struct BinaryDecoder: Sendable {
    /// What a document may ask of the decoder.
    public struct Limits: Sendable {
        /// How deep containers may be nested: 128 by default.
        ///
        /// A recursive type takes stack for each level: raise the limit with that in mind.
        public var maximumDepth: Int
        /// How many bytes a document may have: 1 GiB by default, a byte less than 2 GiB at most.
        public var maximumBytes: Int

        /// Creates limits.
        public init(maximumDepth: Int = 128, maximumBytes: Int = 1 << 30) {
            self.maximumDepth = maximumDepth
            self.maximumBytes = maximumBytes
        }

        func check(_ count: Int) throws(BinaryCodingError) {
            let limit = min(maximumBytes, Int(Int32.max))
            guard count <= limit else {
                throw BinaryCodingError(
                    .tooLarge,
                    "\(count) bytes are more than \(limit); raise limits.maximumBytes")
            }
        }
    }

    /// What a document may ask of this decoder.
    public let limits: Limits

    /// Creates a decoder with the limits given.
    public init(limits: Limits = .init()) {
        self.limits = limits
    }

    /// Decodes a value from the bytes of one document, as ``BinaryEncoder`` makes it.
    ///
    /// - Throws: ``BinaryCodingError`` or what `Value.init(from:)` throws.
    /// - Complexity: O(*n*) in the number of bytes, for types that read each member once.
    public func decode<Value: Decodable>(
        _ type: Value.Type, from bytes: [UInt8]
    ) throws -> Value {
        try bytes.withUnsafeBufferPointer { try decode(type, from: $0) }
    }

    /// Decodes a value from the bytes of one document, which are only read during the call.
    ///
    /// - Throws: ``BinaryCodingError`` or what `Value.init(from:)` throws.
    /// - Complexity: O(*n*) in the number of bytes, for types that read each member once.
    public func decode<Value: Decodable>(
        _ type: Value.Type, from bytes: UnsafeBufferPointer<UInt8>
    ) throws -> Value {
        try limits.check(bytes.count)
        let storage = ReaderStorage.shared.take()
        defer {
            storage.pointee.close()
            ReaderStorage.shared.put(storage)
        }
        storage.pointee.begin(bytes)
        let (start, values) = try storage.pointee.readHeader()
        guard values == 1 else {
            throw BinaryCodingError(
                .typeMismatch, "the document has \(values) values, not one", byteOffset: start)
        }
        let document = Document(storage)
        do {
            let end = try storage.pointee.scan(from: start, maximumDepth: limits.maximumDepth)
            guard end == bytes.count else { throw Document.trailing(end) }
            return try document.value(type, at: .root)
        } catch {
            throw document.resolve(error)
        }
    }
}

extension Document {
    static func trailing(_ offset: Int) -> BinaryCodingError {
        BinaryCodingError(.malformed, "bytes follow the last value", byteOffset: offset)
    }
}

/// Reads the values of a snapshot one by one.
package struct BinaryReader {
    /// Gives the storage back when the reader goes.
    private final class Owner {
        let storage = ReaderStorage.shared.take()
        deinit {
            storage.pointee.close()
            ReaderStorage.shared.put(storage)
        }
    }

    private let owner = Owner()
    private let bytes: [UInt8]
    private let limits: BinaryDecoder.Limits
    private var offset: Int
    private var read = 0
    /// How many values the document has.
    package let count: Int

    package init(
        _ bytes: [UInt8], limits: BinaryDecoder.Limits = .init()
    ) throws(BinaryCodingError) {
        try limits.check(bytes.count)
        self.bytes = bytes
        self.limits = limits
        let storage = owner.storage
        let header = bytes.withUnsafeBufferPointer { bytes in
            storage.pointee.begin(bytes)
            defer { storage.pointee.close() }
            return Result { () throws(BinaryCodingError) in try storage.pointee.readHeader() }
        }
        (offset, count) = try header.get()
    }

    /// Decodes the next value; nil after the last one.
    ///
    /// A value that does not fit the type is skipped by the next call; after an error in the bytes
    /// themselves every call throws that error.
    package mutating func next<Value: Decodable>(_ type: Value.Type) throws -> Value? {
        guard read < count else {
            guard offset == bytes.count else { throw Document.trailing(offset) }
            return nil
        }
        let (storage, start, limits) = (owner.storage, offset, limits)
        var end = start
        defer {
            if end > start {
                offset = end
                read += 1
            }
        }
        return try bytes.withUnsafeBufferPointer { bytes in
            storage.pointee.begin(bytes)
            defer { storage.pointee.close() }
            let document = Document(storage)
            do {
                end = try storage.pointee.scan(from: start, maximumDepth: limits.maximumDepth)
                return try document.value(type, at: .root)
            } catch {
                throw document.resolve(error)
            }
        }
    }
}
