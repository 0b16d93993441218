/// The elements of an array or a run.
struct UnkeyedReader {
    private let document: Document
    private let array: Int32
    /// The token of the next element, or its offset in a run.
    private var next: Int
    private var index = 0
    private let elements: Int
    private let run: UInt8

    init(_ document: Document, _ place: Place) throws {
        let header = document.token(place)
        guard header.kind == .array || header.kind == .run else {
            throw document.mismatch([Any].self, at: place)
        }
        self.document = document
        array = place.token
        elements = header.elements
        let isRun = header.kind == .run
        next = isRun ? Int(header.payload >> 32) : Int(place.token) + 1
        run = isRun ? UInt8(truncatingIfNeeded: header.detail) : 0
    }

    /// The place of the next element.
    @inline(__always)
    private func element(_ type: any Any.Type) throws -> Place {
        guard !isAtEnd else { throw document.atEnd(type, of: Int(array)) }
        let place = Int32(truncatingIfNeeded: next)
        return run == 0 ? Place(token: place) : Place(token: array, element: place)
    }

    @inline(__always)
    private mutating func advance() {
        index &+= 1
        guard run != 0 else {
            next = document.next(after: next)
            return
        }
        guard document.isOpen else { return }
        if let size = Token.size(ofRun: run) {
            next &+= size
        } else {
            let storage = document.storage
            _ = Varint.read(storage.pointee.bytes, &next, end: storage.pointee.byteCount)
        }
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

extension UnkeyedReader: UnkeyedDecodingContainer {
    var codingPath: [any CodingKey] { document.path(to: Place(token: array)) }
    var count: Int? { elements }
    var isAtEnd: Bool { index >= elements }
    var currentIndex: Int { index }

    mutating func decodeNil() throws -> Bool {
        guard document.isNull(try element(Never.self)) else { return false }
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
        try take(type) { try $0.integer(type, at: $1) }
    }
    mutating func decode(_ type: Int8.Type) throws -> Int8 {
        try take(type) { try $0.integer(type, at: $1) }
    }
    mutating func decode(_ type: Int16.Type) throws -> Int16 {
        try take(type) { try $0.integer(type, at: $1) }
    }
    mutating func decode(_ type: Int32.Type) throws -> Int32 {
        try take(type) { try $0.integer(type, at: $1) }
    }
    mutating func decode(_ type: Int64.Type) throws -> Int64 {
        try take(type) { try $0.integer(type, at: $1) }
    }
    mutating func decode(_ type: Int128.Type) throws -> Int128 {
        try take(type) { try $0.integer(type, at: $1) }
    }
    mutating func decode(_ type: UInt.Type) throws -> UInt {
        try take(type) { try $0.integer(type, at: $1) }
    }
    mutating func decode(_ type: UInt8.Type) throws -> UInt8 {
        try take(type) { try $0.integer(type, at: $1) }
    }
    mutating func decode(_ type: UInt16.Type) throws -> UInt16 {
        try take(type) { try $0.integer(type, at: $1) }
    }
    mutating func decode(_ type: UInt32.Type) throws -> UInt32 {
        try take(type) { try $0.integer(type, at: $1) }
    }
    mutating func decode(_ type: UInt64.Type) throws -> UInt64 {
        try take(type) { try $0.integer(type, at: $1) }
    }
    mutating func decode(_ type: UInt128.Type) throws -> UInt128 {
        try take(type) { try $0.integer(type, at: $1) }
    }
    mutating func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
        // Not by way of `take`, whose closure would return a value of unknown size.
        let place = try element(type)
        let value = try document.value(type, at: place)
        advance()
        return value
    }

    mutating func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type
    ) throws -> KeyedDecodingContainer<Nested> {
        try take(KeyedDecodingContainer<Nested>.self) {
            try KeyedReader<Nested>.container($0, $1)
        }
    }

    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
        try take((any UnkeyedDecodingContainer).self) { try UnkeyedReader($0, $1) }
    }

    mutating func superDecoder() throws -> any Decoder {
        try take((any Decoder).self) { ValueDecoder(document: $0, place: $1) }
    }
}
