/// The members of a keyed value.
struct KeyedReader<Key: CodingKey> {
    let document: Document
    let index: Int32
    /// Where the members of the shape are found by the byte of a key, if it is known that they are.
    let links: UnsafeMutablePointer<UInt16>?
    let keys: UnsafeMutablePointer<ReadKeys>

    /// A container of the members of the keyed value at a place.
    @inline(__always)
    static func container(
        _ document: Document, _ place: Place
    ) throws -> KeyedDecodingContainer<Key> {
        let header = document.token(place)
        guard header.kind == .object || header.kind == .map else {
            throw document.mismatch([String: Any].self, at: place)
        }
        let keys = document.storage.pointee.keyTypes.known(Key.self)
        var links: UnsafeMutablePointer<UInt16>?
        if header.kind == .object, MemoryLayout<Key>.size <= 1, keys.pointee.isEnum != false {
            links = document.storage.pointee.table?.links(
                of: header.shape, for: keys.pointee.type)
        }
        // Safety: the maker is never freed, and was made for this type.
        return keys.pointee.maker._withUnsafeGuaranteedRef {
            unsafeDowncast($0, to: KeyedReaderMaker<Key>.self)
                .container(document, place.token, links, keys)
        }
    }

    /// The index of the token of a member, or −1.
    @inline(__always)
    private func find(_ key: Key) -> Int {
        // Safety: links are of the table of the document, which is there while it is open.
        if let links, document.isOpen {
            let link = links[Int(WrittenKeys.byte(of: key))]
            if link == ShapeTable.absentLink { return -1 }
            if link != 0 { return document.member(Int(link) &- 1, of: Int(index)) }
        }
        return findByName(key)
    }

    @inline(never)
    private func findByName(_ key: Key) -> Int {
        let name = key.stringValue
        if let links, document.isOpen {
            let isEnum = keys.pointee.isEnum ?? WrittenKeys.isEnum(key)
            keys.pointee.isEnum = isEnum
            if isEnum {
                let shape = document.token(Int(index)).shape
                let field = document.storage.pointee.table?.field(name, of: shape)
                links[Int(WrittenKeys.byte(of: key))] =
                    field.map { UInt16(truncatingIfNeeded: $0 + 1) } ?? ShapeTable.absentLink
            }
        }
        return document.find(name, in: Int(index))
    }

    @inline(__always)
    private func member(_ key: Key) throws -> Place {
        let token = find(key)
        guard token >= 0 else { throw document.keyNotFound(key, in: Int(index)) }
        return Place(token: Int32(truncatingIfNeeded: token))
    }

    @inline(__always)
    private func memberIfPresent(_ key: Key) -> Place? {
        let token = find(key)
        guard token >= 0, document.token(token).kind != .null else { return nil }
        return Place(token: Int32(truncatingIfNeeded: token))
    }
}

extension KeyedReader: KeyedDecodingContainerProtocol {
    var codingPath: [any CodingKey] { document.path(to: Place(token: index)) }

    var allKeys: [Key] {
        var keys: [Key] = []
        let header = document.token(Int(index))
        if header.kind == .map { keys.reserveCapacity(header.elements) }
        document.forEachName(of: Int(index)) { name, _ in
            if let key = Key(stringValue: name) { keys.append(key) }
        }
        return keys
    }

    func contains(_ key: Key) -> Bool { find(key) >= 0 }

    func decodeNil(forKey key: Key) throws -> Bool { document.isNull(try member(key)) }

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
        try KeyedReader<Nested>.container(document, member(key))
    }

    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
        try UnkeyedReader(document, member(key))
    }

    func superDecoder(forKey key: Key) throws -> any Decoder {
        ValueDecoder(document: document, place: try member(key))
    }

    func superDecoder() throws -> any Decoder {
        let token = document.find("super", in: Int(index))
        let place = token < 0 ? Place.absent : Place(token: Int32(truncatingIfNeeded: token))
        return ValueDecoder(document: document, place: place)
    }
}

/// Members that may be absent, each found with one look-up.
extension KeyedReader {
    func decodeIfPresent(_ type: Bool.Type, forKey key: Key) throws -> Bool? {
        try memberIfPresent(key).map { try document.bool(at: $0) }
    }
    func decodeIfPresent(_ type: String.Type, forKey key: Key) throws -> String? {
        try memberIfPresent(key).map { try document.string(at: $0) }
    }
    func decodeIfPresent(_ type: Double.Type, forKey key: Key) throws -> Double? {
        try memberIfPresent(key).map { try document.double(at: $0) }
    }
    func decodeIfPresent(_ type: Float.Type, forKey key: Key) throws -> Float? {
        try memberIfPresent(key).map { try document.float(at: $0) }
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
        guard let place = memberIfPresent(key) else { return nil }
        return try document.value(type, at: place)
    }
}
