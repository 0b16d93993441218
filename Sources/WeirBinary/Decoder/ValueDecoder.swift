/// A decoder that stands on one value; also the container of a single value.
struct ValueDecoder {
    let document: Document
    let place: Place
}

extension ValueDecoder: Decoder {
    var codingPath: [any CodingKey] { document.path(to: place) }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(
        keyedBy type: Key.Type
    ) throws -> KeyedDecodingContainer<Key> {
        try KeyedReader.container(document, place)
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        try UnkeyedReader(document, place)
    }

    func singleValueContainer() throws -> any SingleValueDecodingContainer { self }
}

extension ValueDecoder: SingleValueDecodingContainer {
    func decodeNil() -> Bool { document.isNull(place) }
    func decode(_ type: Bool.Type) throws -> Bool { try document.bool(at: place) }
    func decode(_ type: String.Type) throws -> String { try document.string(at: place) }
    func decode(_ type: Double.Type) throws -> Double { try document.double(at: place) }
    func decode(_ type: Float.Type) throws -> Float { try document.float(at: place) }
    func decode(_ type: Int.Type) throws -> Int { try document.integer(type, at: place) }
    func decode(_ type: Int8.Type) throws -> Int8 { try document.integer(type, at: place) }
    func decode(_ type: Int16.Type) throws -> Int16 { try document.integer(type, at: place) }
    func decode(_ type: Int32.Type) throws -> Int32 { try document.integer(type, at: place) }
    func decode(_ type: Int64.Type) throws -> Int64 { try document.integer(type, at: place) }
    func decode(_ type: Int128.Type) throws -> Int128 { try document.integer(type, at: place) }
    func decode(_ type: UInt.Type) throws -> UInt { try document.integer(type, at: place) }
    func decode(_ type: UInt8.Type) throws -> UInt8 { try document.integer(type, at: place) }
    func decode(_ type: UInt16.Type) throws -> UInt16 { try document.integer(type, at: place) }
    func decode(_ type: UInt32.Type) throws -> UInt32 { try document.integer(type, at: place) }
    func decode(_ type: UInt64.Type) throws -> UInt64 { try document.integer(type, at: place) }
    func decode(_ type: UInt128.Type) throws -> UInt128 { try document.integer(type, at: place) }
    func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
        try document.value(type, at: place)
    }
}
