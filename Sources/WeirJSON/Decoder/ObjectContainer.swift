/// A container that can be made of an object whose token is at an index.
protocol MemberContainer: KeyedDecodingContainerProtocol {
    init(_ document: Document, _ index: Int32, _ names: KeyNames?)
}

/// The members of an object.
struct ObjectContainer<Key: CodingKey> {
    private let document: Document
    private let index: Int32
    private let names: KeyNames?

    init(_ document: Document, _ index: Int32, _ names: KeyNames?) {
        self.document = document
        self.index = index
        self.names = names
    }

    /// A container of the members of the object at a place.
    @inline(__always)
    static func keyed(
        _ document: Document, _ place: Place
    ) throws -> KeyedDecodingContainer<Key> {
        guard document.token(Int(place.token)).kind == Token.Kind.object else {
            throw document.notContainer([String: Any].self, "an object", at: place)
        }
        if let known = document.storage.pointee.keyNames.known(Key.self) {
            return known.container(Key.self, document, place.token)
        }
        return KeyedDecodingContainer(ObjectContainer(document, place.token, nil))
    }

    /// The index of the object's token.
    @inline(__always) private var object: Int { Int(index) }

    @inline(__always)
    private func place(ofKey key: Int) -> Place {
        Place(
            token: Int32(truncatingIfNeeded: key + 1),
            parent: Int32(truncatingIfNeeded: object), position: Int32(truncatingIfNeeded: key))
    }

    /// The index of a key's token.
    @inline(__always)
    private func index(of key: Key) throws -> Int {
        let index = document.find(key, names, in: object)
        guard index >= 0 else { throw document.keyNotFound(key, in: object) }
        return index
    }

    @inline(__always)
    private func member(_ key: Key) throws -> Place { place(ofKey: try index(of: key)) }

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

extension ObjectContainer: MemberContainer {
    var codingPath: [any CodingKey] { document.path(of: object) }
    var allKeys: [Key] { document.names(of: object).compactMap { Key(stringValue: $0) } }

    func contains(_ key: Key) -> Bool { document.find(key, names, in: object) >= 0 }

    func decodeNil(forKey key: Key) throws -> Bool {
        document.isNull(Int(try member(key).token))
    }

    func decode(_ type: Bool.Type, forKey key: Key) throws -> Bool {
        let index = try index(of: key)
        let kind = document.foundValue(index).kind
        if kind == Token.Kind.yes { return true }
        if kind == Token.Kind.no { return false }
        return try document.bool(at: place(ofKey: index))
    }
    func decode(_ type: String.Type, forKey key: Key) throws -> String {
        let index = try index(of: key)
        let token = document.foundValue(index)
        if token.kind == Token.Kind.ascii { return document.asciiString(of: token) }
        return try document.string(at: place(ofKey: index))
    }
    func decode(_ type: Double.Type, forKey key: Key) throws -> Double {
        let index = try index(of: key)
        let token = document.foundValue(index)
        if token.kind == Token.Kind.double { return Double(bitPattern: token.payload) }
        return try document.double(at: place(ofKey: index))
    }
    func decode(_ type: Float.Type, forKey key: Key) throws -> Float {
        try document.float(at: member(key))
    }
    func decode(_ type: Int.Type, forKey key: Key) throws -> Int {
        let index = try index(of: key)
        let token = document.foundValue(index)
        if token.kind == Token.Kind.unsigned, let value = Int(exactly: token.payload) {
            return value
        }
        return try document.integer(type, at: place(ofKey: index))
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
        try ObjectContainer<Nested>.keyed(document, member(key))
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
