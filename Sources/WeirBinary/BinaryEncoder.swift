/// An encoder of `Encodable` values in Weir's binary format, made for state and events.
///
/// A document names the fields of each shape of value once, so that a type can get further optional
/// fields, lose fields and reorder them, and still decode what was written before. The format
/// stands in `docs/binary-format.md`.
///
/// ```swift
/// let bytes = try BinaryEncoder().encode(payment)
/// ```
public struct BinaryEncoder: Sendable {
    /// How deep containers may be nested: 128 by default, which is the decoder's default as well.
    public let maximumDepth: Int

    /// Creates an encoder.
    public init(maximumDepth: Int = 128) {
        self.maximumDepth = maximumDepth
    }

    /// Encodes a value as a document of its own: header, names, value.
    ///
    /// - Throws: ``BinaryCodingError`` with the error of a throwing `encode(to:)` as its cause.
    /// - Complexity: O(*n*) in the number of bytes, for types that fill one container after the
    ///   other.
    public func encode<Value: Encodable>(
        _ value: Value
    ) throws(BinaryCodingError) -> [UInt8] {
        let storage = WriterStorage.shared.take()
        defer {
            storage.pointee.generation &+= 1
            WriterStorage.shared.put(storage)
        }
        storage.pointee.reset(maximumDepth: maximumDepth)
        try Writer(storage).writeValue(value)
        return storage.pointee.document(of: 1)
    }
}

extension WriterStorage {
    /// The document of all values that have been written since ``reset(maximumDepth:)``.
    mutating func document(of values: Int) -> [UInt8] {
        let shapes = shapes.shapes
        let tableCount = Varint.count(UInt64(shapes.count)) + self.shapes.textCount
        let total =
            Header.bytes.count + Varint.count(UInt64(tableCount)) + tableCount
            + Varint.count(UInt64(values)) + count
        return [UInt8](unsafeUninitializedCapacity: total) { output, initialized in
            guard var end = output.baseAddress else { return }
            for byte in Header.bytes {
                end.initialize(to: byte)
                end += 1
            }
            end += Varint.write(UInt64(tableCount), to: end)
            end += Varint.write(UInt64(shapes.count), to: end)
            for shape in shapes {
                let text = self.shapes.text(of: shape)
                guard let start = text.baseAddress else { continue }
                end.update(from: start, count: text.count)
                end += text.count
            }
            end += Varint.write(UInt64(values), to: end)
            end.update(from: bytes, count: count)
            initialized = total
        }
    }
}

/// Many values that share the names of their fields: a snapshot.
package struct BinaryWriter {
    /// Gives the storage back when the writer goes.
    private final class Owner {
        let storage = WriterStorage.shared.take()
        deinit {
            storage.pointee.generation &+= 1
            WriterStorage.shared.put(storage)
        }
    }

    private let owner = Owner()
    /// How many values have been appended.
    package private(set) var count = 0
    /// How many bytes the values have, without the names of their fields.
    package var byteCount: Int { owner.storage.pointee.count }

    package init(maximumDepth: Int = 128) {
        owner.storage.pointee.reset(maximumDepth: maximumDepth)
    }

    /// Appends a value; on an error the writer is as it was before.
    package mutating func append<Value: Encodable>(
        _ value: Value
    ) throws(BinaryCodingError) {
        defer { owner.storage.pointee.generation &+= 1 }
        try Writer(owner.storage).writeValue(value)
        count += 1
    }

    /// The document of all values so far, after which the writer is empty.
    package mutating func finish() -> [UInt8] {
        let document = owner.storage.pointee.document(of: count)
        owner.storage.pointee.reset(maximumDepth: owner.storage.pointee.maximumDepth)
        count = 0
        return document
    }
}
