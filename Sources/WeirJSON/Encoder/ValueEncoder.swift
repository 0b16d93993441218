/// An encoder that stands where one value has to be written; also the container of a single value.
struct ValueEncoder {
    let writer: Writer
    /// Where in the text the value has to start.
    let slot: Int
    /// The number of containers around the value.
    let depth: Int32

    @inline(__always)
    private func start() {
        if writer.count != slot { writer.markOutOfOrder() }
    }
}

extension ValueEncoder: Encoder {
    var codingPath: [any CodingKey] { writer.path(Int(depth)) }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        let serial = writer.enter(isObject: true, slot: slot, keys: Key.self)
        return KeyedEncodingContainer(
            ObjectWriter<Key>(writer: writer, depth: depth, serial: serial))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        ArrayWriter(
            writer: writer, depth: depth, serial: writer.enter(isObject: false, slot: slot))
    }

    func singleValueContainer() -> any SingleValueEncodingContainer { self }
}

extension ValueEncoder: SingleValueEncodingContainer {
    func encodeNil() throws {
        start()
        writer.write("null" as StaticString)
    }
    func encode(_ value: Bool) throws {
        start()
        writer.write(value)
    }
    func encode(_ value: String) throws {
        start()
        writer.write(value)
    }
    func encode(_ value: Double) throws {
        start()
        try writer.write(value, depth: Int(depth))
    }
    func encode(_ value: Float) throws {
        start()
        try writer.write(value, depth: Int(depth))
    }
    func encode(_ value: Int) throws {
        start()
        writer.write(value)
    }
    func encode(_ value: Int8) throws {
        start()
        writer.write(value)
    }
    func encode(_ value: Int16) throws {
        start()
        writer.write(value)
    }
    func encode(_ value: Int32) throws {
        start()
        writer.write(value)
    }
    func encode(_ value: Int64) throws {
        start()
        writer.write(value)
    }
    func encode(_ value: Int128) throws {
        start()
        writer.write(value)
    }
    func encode(_ value: UInt) throws {
        start()
        writer.write(value)
    }
    func encode(_ value: UInt8) throws {
        start()
        writer.write(value)
    }
    func encode(_ value: UInt16) throws {
        start()
        writer.write(value)
    }
    func encode(_ value: UInt32) throws {
        start()
        writer.write(value)
    }
    func encode(_ value: UInt64) throws {
        start()
        writer.write(value)
    }
    func encode(_ value: UInt128) throws {
        start()
        writer.write(value)
    }
    func encode<Value: Encodable>(_ value: Value) throws {
        start()
        try writer.write(value, slot: slot, depth: depth)
    }
}

extension Writer {
    /// Writes a value of any type where the text ends.
    func write<Value: Encodable>(_ value: Value, slot: Int, depth: Int32) throws {
        // Safety: each cast is between types that have been compared.
        if Value.self == String.self { return write(unsafeBitCast(value, to: String.self)) }
        if Value.self == Int.self { return write(unsafeBitCast(value, to: Int.self)) }
        if Value.self == Double.self {
            return try write(unsafeBitCast(value, to: Double.self), depth: Int(depth))
        }
        switch FoundationEncoding(value) {
        case .string(let text): write(text)
        case .number(let text):
            guard text != "NaN" else { return try write(Double.nan, depth: Int(depth)) }
            appendVerbatim(text)
        case nil:
            do {
                try value.encode(to: ValueEncoder(writer: self, slot: slot, depth: depth))
            } catch {
                // Who catches it leaves the value out: only a tree can do that.
                markOutOfOrder()
                throw error
            }
            leave(to: Int(depth))
            if count == slot { writeEmptyObject() }
        }
    }
}
