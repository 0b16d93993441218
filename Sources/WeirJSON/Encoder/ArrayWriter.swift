/// An array whose elements are written as they come.
struct ArrayWriter {
    let writer: Writer
    let depth: Int32
    let serial: UInt32

    @inline(__always)
    private func next() { writer.next(in: Int(depth), serial: serial) }
}

extension ArrayWriter: UnkeyedEncodingContainer {
    var codingPath: [any CodingKey] { writer.path(Int(depth)) }
    var count: Int { writer.elements(in: Int(depth), serial: serial) }

    func encodeNil() throws {
        next()
        writer.write("null" as StaticString)
    }
    func encode(_ value: Bool) throws {
        next()
        writer.write(value)
    }
    func encode(_ value: String) throws {
        next()
        writer.write(value)
    }
    func encode(_ value: Int) throws {
        next()
        writer.write(value)
    }
    func encode(_ value: Int8) throws {
        next()
        writer.write(value)
    }
    func encode(_ value: Int16) throws {
        next()
        writer.write(value)
    }
    func encode(_ value: Int32) throws {
        next()
        writer.write(value)
    }
    func encode(_ value: Int64) throws {
        next()
        writer.write(value)
    }
    func encode(_ value: Int128) throws {
        next()
        writer.write(value)
    }
    func encode(_ value: UInt) throws {
        next()
        writer.write(value)
    }
    func encode(_ value: UInt8) throws {
        next()
        writer.write(value)
    }
    func encode(_ value: UInt16) throws {
        next()
        writer.write(value)
    }
    func encode(_ value: UInt32) throws {
        next()
        writer.write(value)
    }
    func encode(_ value: UInt64) throws {
        next()
        writer.write(value)
    }
    func encode(_ value: UInt128) throws {
        next()
        writer.write(value)
    }
    func encode(_ value: Double) throws {
        next()
        try writer.write(value, depth: Int(depth) + 1)
    }
    func encode(_ value: Float) throws {
        next()
        try writer.write(value, depth: Int(depth) + 1)
    }
    func encode<Value: Encodable>(_ value: Value) throws {
        next()
        try writer.write(value, slot: writer.count, depth: depth + 1)
    }

    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type
    ) -> KeyedEncodingContainer<Nested> {
        encoderOfNext().container(keyedBy: type)
    }
    func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer {
        encoderOfNext().unkeyedContainer()
    }
    func superEncoder() -> any Encoder { encoderOfNext() }

    private func encoderOfNext() -> ValueEncoder {
        next()
        return ValueEncoder(writer: writer, slot: writer.count, depth: depth + 1)
    }
}
