/// The elements of an array.
struct ArrayContainer {
    private let document: Document
    private let array: Int32
    private var next: Int32
    private var index: Int32

    init(_ document: Document, _ place: Place) throws {
        guard document.token(Int(place.token)).kind == Token.Kind.array else {
            throw document.notContainer([Any].self, "an array", at: place)
        }
        self.document = document
        array = place.token
        next = place.token + 2
        index = 0
    }

    /// The place of the next element.
    @inline(__always)
    private func element(_ type: any Any.Type) throws -> Place {
        guard !isAtEnd else {
            throw document.atEnd(type, of: Int(array), index: currentIndex)
        }
        return Place(token: next, parent: array, position: index)
    }

    @inline(__always)
    private mutating func advance() {
        next = Int32(truncatingIfNeeded: document.next(after: Int(next)))
        index += 1
    }

    @inline(__always)
    private mutating func take<Value>(
        _ type: Value.Type, _ read: (Document, Place) throws -> Value
    ) throws -> Value {
        let value = try read(document, element(type))
        advance()
        return value
    }
}

extension ArrayContainer: UnkeyedDecodingContainer {
    var codingPath: [any CodingKey] { document.path(of: Int(array)) }
    var count: Int? { document.elements(of: Int(array)) }
    var isAtEnd: Bool { Int(next) >= document.token(Int(array)).end }
    var currentIndex: Int { Int(index) }

    mutating func decodeNil() throws -> Bool {
        guard document.isNull(Int(try element(Never.self).token)) else { return false }
        advance()
        return true
    }

    mutating func decode(_ type: Bool.Type) throws -> Bool {
        try take(type) { try $0.bool(at: $1) }
    }
    mutating func decode(_ type: String.Type) throws -> String {
        try take(type) { try $0.string(at: $1) }
    }
    mutating func decode(_ type: Double.Type) throws -> Double {
        try take(type) { try $0.double(at: $1) }
    }
    mutating func decode(_ type: Float.Type) throws -> Float {
        try take(type) { try $0.float(at: $1) }
    }
    mutating func decode(_ type: Int.Type) throws -> Int {
        try take(type) { try $0.integer(Int.self, at: $1) }
    }
    mutating func decode(_ type: Int8.Type) throws -> Int8 {
        try take(type) { try $0.integer(Int8.self, at: $1) }
    }
    mutating func decode(_ type: Int16.Type) throws -> Int16 {
        try take(type) { try $0.integer(Int16.self, at: $1) }
    }
    mutating func decode(_ type: Int32.Type) throws -> Int32 {
        try take(type) { try $0.integer(Int32.self, at: $1) }
    }
    mutating func decode(_ type: Int64.Type) throws -> Int64 {
        try take(type) { try $0.integer(Int64.self, at: $1) }
    }
    mutating func decode(_ type: Int128.Type) throws -> Int128 {
        try take(type) { try $0.integer(Int128.self, at: $1) }
    }
    mutating func decode(_ type: UInt.Type) throws -> UInt {
        try take(type) { try $0.integer(UInt.self, at: $1) }
    }
    mutating func decode(_ type: UInt8.Type) throws -> UInt8 {
        try take(type) { try $0.integer(UInt8.self, at: $1) }
    }
    mutating func decode(_ type: UInt16.Type) throws -> UInt16 {
        try take(type) { try $0.integer(UInt16.self, at: $1) }
    }
    mutating func decode(_ type: UInt32.Type) throws -> UInt32 {
        try take(type) { try $0.integer(UInt32.self, at: $1) }
    }
    mutating func decode(_ type: UInt64.Type) throws -> UInt64 {
        try take(type) { try $0.integer(UInt64.self, at: $1) }
    }
    mutating func decode(_ type: UInt128.Type) throws -> UInt128 {
        try take(type) { try $0.integer(UInt128.self, at: $1) }
    }
    mutating func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
        try take(type) { try $0.value(type, at: $1) }
    }

    mutating func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type
    ) throws -> KeyedDecodingContainer<Nested> {
        try take(KeyedDecodingContainer<Nested>.self) {
            try ObjectContainer<Nested>.keyed($0, $1)
        }
    }

    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
        try take((any UnkeyedDecodingContainer).self) { try ArrayContainer($0, $1) }
    }

    mutating func superDecoder() throws -> any Decoder {
        try take((any Decoder).self) { ValueDecoder(document: $0, place: $1) }
    }
}
