/// The members of an object.
struct ObjectContainer<Key: CodingKey> {
    private let document: Document
    private let index: Int32
    private let names: KeyNames?

    init(_ document: Document, _ place: Place) throws {
        guard document.token(Int(place.token)).kind == Token.Kind.object else {
            throw document.notContainer([String: Any].self, "an object", at: place)
        }
        self.document = document
        index = place.token
        names = document.storage.pointee.keyNames.names(of: Key.self)
    }

    /// The index of the object's token.
    @inline(__always) private var object: Int { Int(index) }

    @inline(__always)
    private func place(ofKey key: Int) -> Place {
        Place(
            token: Int32(truncatingIfNeeded: key + 1),
            parent: Int32(truncatingIfNeeded: object), position: Int32(truncatingIfNeeded: key))
    }

    @inline(__always)
    private func member(_ key: Key) throws -> Place {
        let index = document.find(key, names, in: object)
        guard index >= 0 else { throw document.keyNotFound(key, in: object) }
        return place(ofKey: index)
    }

    @inline(__always)
    private func memberIfPresent(_ key: Key) -> Place? {
        let index = document.find(key, names, in: object)
        return index < 0 || document.isNull(index + 1) ? nil : place(ofKey: index)
    }

    private func superDecoder(_ name: String) -> ValueDecoder {
        let index = document.find(name, in: object)
        let absent = Place(
            token: -1, parent: document.place(of: object).parent,
            position: document.place(of: object).position)
        return ValueDecoder(
            document: document, place: index < 0 ? absent : place(ofKey: index))
    }
}

extension ObjectContainer: KeyedDecodingContainerProtocol {
    var codingPath: [any CodingKey] { document.path(of: object) }
    var allKeys: [Key] { document.names(of: object).compactMap { Key(stringValue: $0) } }

    func contains(_ key: Key) -> Bool { document.find(key, names, in: object) >= 0 }

    func decodeNil(forKey key: Key) throws -> Bool {
        document.isNull(Int(try member(key).token))
    }

    func decode(_ type: Bool.Type, forKey key: Key) throws -> Bool {
        try document.bool(at: member(key))
    }
    func decode(_ type: String.Type, forKey key: Key) throws -> String {
        try document.string(at: member(key))
    }
    func decode(_ type: Double.Type, forKey key: Key) throws -> Double {
        try document.double(at: member(key))
    }
    func decode(_ type: Float.Type, forKey key: Key) throws -> Float {
        try document.float(at: member(key))
    }
    func decode(_ type: Int.Type, forKey key: Key) throws -> Int {
        try document.integer(type, at: member(key))
    }
    func decode(_ type: Int8.Type, forKey key: Key) throws -> Int8 {
        try document.integer(type, at: member(key))
    }
    func decode(_ type: Int16.Type, forKey key: Key) throws -> Int16 {
        try document.integer(type, at: member(key))
    }
    func decode(_ type: Int32.Type, forKey key: Key) throws -> Int32 {
        try document.integer(type, at: member(key))
    }
    func decode(_ type: Int64.Type, forKey key: Key) throws -> Int64 {
        try document.integer(type, at: member(key))
    }
    func decode(_ type: Int128.Type, forKey key: Key) throws -> Int128 {
        try document.integer(type, at: member(key))
    }
    func decode(_ type: UInt.Type, forKey key: Key) throws -> UInt {
        try document.integer(type, at: member(key))
    }
    func decode(_ type: UInt8.Type, forKey key: Key) throws -> UInt8 {
        try document.integer(type, at: member(key))
    }
    func decode(_ type: UInt16.Type, forKey key: Key) throws -> UInt16 {
        try document.integer(type, at: member(key))
    }
    func decode(_ type: UInt32.Type, forKey key: Key) throws -> UInt32 {
        try document.integer(type, at: member(key))
    }
    func decode(_ type: UInt64.Type, forKey key: Key) throws -> UInt64 {
        try document.integer(type, at: member(key))
    }
    func decode(_ type: UInt128.Type, forKey key: Key) throws -> UInt128 {
        try document.integer(type, at: member(key))
    }
    func decode<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value {
        try document.value(type, at: member(key))
    }

    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type, forKey key: Key
    ) throws -> KeyedDecodingContainer<Nested> {
        KeyedDecodingContainer(try ObjectContainer<Nested>(document, member(key)))
    }

    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
        try ArrayContainer(document, member(key))
    }

    func superDecoder() throws -> any Decoder { superDecoder("super") }
    func superDecoder(forKey key: Key) throws -> any Decoder {
        ValueDecoder(document: document, place: try member(key))
    }
}

/// Members that may be absent, each found with one look-up.
extension ObjectContainer {
    func decodeIfPresent(_ type: Bool.Type, forKey key: Key) throws -> Bool? {
        try memberIfPresent(key).map(document.bool)
    }
    func decodeIfPresent(_ type: String.Type, forKey key: Key) throws -> String? {
        try memberIfPresent(key).map(document.string)
    }
    func decodeIfPresent(_ type: Double.Type, forKey key: Key) throws -> Double? {
        try memberIfPresent(key).map(document.double)
    }
    func decodeIfPresent(_ type: Float.Type, forKey key: Key) throws -> Float? {
        try memberIfPresent(key).map(document.float)
    }
    func decodeIfPresent(_ type: Int.Type, forKey key: Key) throws -> Int? {
        try memberIfPresent(key).map { try document.integer(type, at: $0) }
    }
    func decodeIfPresent(_ type: Int8.Type, forKey key: Key) throws -> Int8? {
        try memberIfPresent(key).map { try document.integer(type, at: $0) }
    }
    func decodeIfPresent(_ type: Int16.Type, forKey key: Key) throws -> Int16? {
        try memberIfPresent(key).map { try document.integer(type, at: $0) }
    }
    func decodeIfPresent(_ type: Int32.Type, forKey key: Key) throws -> Int32? {
        try memberIfPresent(key).map { try document.integer(type, at: $0) }
    }
    func decodeIfPresent(_ type: Int64.Type, forKey key: Key) throws -> Int64? {
        try memberIfPresent(key).map { try document.integer(type, at: $0) }
    }
    func decodeIfPresent(_ type: Int128.Type, forKey key: Key) throws -> Int128? {
        try memberIfPresent(key).map { try document.integer(type, at: $0) }
    }
    func decodeIfPresent(_ type: UInt.Type, forKey key: Key) throws -> UInt? {
        try memberIfPresent(key).map { try document.integer(type, at: $0) }
    }
    func decodeIfPresent(_ type: UInt8.Type, forKey key: Key) throws -> UInt8? {
        try memberIfPresent(key).map { try document.integer(type, at: $0) }
    }
    func decodeIfPresent(_ type: UInt16.Type, forKey key: Key) throws -> UInt16? {
        try memberIfPresent(key).map { try document.integer(type, at: $0) }
    }
    func decodeIfPresent(_ type: UInt32.Type, forKey key: Key) throws -> UInt32? {
        try memberIfPresent(key).map { try document.integer(type, at: $0) }
    }
    func decodeIfPresent(_ type: UInt64.Type, forKey key: Key) throws -> UInt64? {
        try memberIfPresent(key).map { try document.integer(type, at: $0) }
    }
    func decodeIfPresent(_ type: UInt128.Type, forKey key: Key) throws -> UInt128? {
        try memberIfPresent(key).map { try document.integer(type, at: $0) }
    }
    func decodeIfPresent<Value: Decodable>(
        _ type: Value.Type, forKey key: Key
    ) throws -> Value? {
        try memberIfPresent(key).map { try document.value(type, at: $0) }
    }
}
