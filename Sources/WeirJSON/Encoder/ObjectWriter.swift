/// An object whose members are written as they come.
struct ObjectWriter<Key: CodingKey> {
    let writer: Writer
    let depth: Int32
    let serial: UInt32

    @inline(__always)
    private func next(_ key: Key) {
        writer.next(key, in: Int(depth), serial: serial)
    }

    private func encoder(_ key: Key) -> ValueEncoder {
        next(key)
        return ValueEncoder(writer: writer, slot: writer.count, depth: depth + 1)
    }
}

extension ObjectWriter: KeyedEncodingContainerProtocol {
    var codingPath: [any CodingKey] { writer.path(Int(depth)) }

    func encodeNil(forKey key: Key) throws {
        next(key)
        writer.write("null" as StaticString)
    }
    func encode(_ value: Bool, forKey key: Key) throws {
        next(key)
        writer.write(value)
    }
    func encode(_ value: String, forKey key: Key) throws {
        next(key)
        writer.write(value)
    }
    func encode(_ value: Int, forKey key: Key) throws {
        next(key)
        writer.write(value)
    }
    func encode(_ value: Int8, forKey key: Key) throws {
        next(key)
        writer.write(value)
    }
    func encode(_ value: Int16, forKey key: Key) throws {
        next(key)
        writer.write(value)
    }
    func encode(_ value: Int32, forKey key: Key) throws {
        next(key)
        writer.write(value)
    }
    func encode(_ value: Int64, forKey key: Key) throws {
        next(key)
        writer.write(value)
    }
    func encode(_ value: Int128, forKey key: Key) throws {
        next(key)
        writer.write(value)
    }
    func encode(_ value: UInt, forKey key: Key) throws {
        next(key)
        writer.write(value)
    }
    func encode(_ value: UInt8, forKey key: Key) throws {
        next(key)
        writer.write(value)
    }
    func encode(_ value: UInt16, forKey key: Key) throws {
        next(key)
        writer.write(value)
    }
    func encode(_ value: UInt32, forKey key: Key) throws {
        next(key)
        writer.write(value)
    }
    func encode(_ value: UInt64, forKey key: Key) throws {
        next(key)
        writer.write(value)
    }
    func encode(_ value: UInt128, forKey key: Key) throws {
        next(key)
        writer.write(value)
    }
    func encode(_ value: Double, forKey key: Key) throws {
        next(key)
        try writer.write(value, depth: Int(depth) + 1)
    }
    func encode(_ value: Float, forKey key: Key) throws {
        next(key)
        try writer.write(value, depth: Int(depth) + 1)
    }
    func encode<Value: Encodable>(_ value: Value, forKey key: Key) throws {
        next(key)
        try writer.write(value, slot: writer.count, depth: depth + 1)
    }

    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type, forKey key: Key
    ) -> KeyedEncodingContainer<Nested> {
        encoder(key).container(keyedBy: type)
    }
    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        encoder(key).unkeyedContainer()
    }
    func superEncoder() -> any Encoder {
        writer.next("super", in: Int(depth), serial: serial)
        return ValueEncoder(writer: writer, slot: writer.count, depth: depth + 1)
    }
    func superEncoder(forKey key: Key) -> any Encoder { encoder(key) }
}
