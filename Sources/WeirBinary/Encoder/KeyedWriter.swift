/// A keyed value whose members are written as they come.
struct KeyedWriter<Key: CodingKey> {
    let writer: Writer
    let depth: Int32
    let serial: UInt32
    let keys: UnsafeMutablePointer<WrittenKeys>

    @inline(__always)
    private func next(_ key: Key) -> Bool {
        guard writer.isOpen else { return false }
        writer.storage.pointee.nextMember(key, in: Int(depth), serial: serial)
        return true
    }

    private func skip(_ key: Key) {
        guard writer.isOpen else { return }
        writer.storage.pointee.skipMember(key, in: Int(depth), serial: serial)
    }

    private func encoder(_ key: Key) -> ValueEncoder {
        _ = next(key)
        return ValueEncoder(writer: writer, depth: depth + 1, slot: writer.storage.pointee.count)
    }
}

extension KeyedWriter: KeyedEncodingContainerProtocol {
    var codingPath: [any CodingKey] { writer.path(Int(depth)) }

    func encodeNil(forKey key: Key) throws {
        if next(key) { writer.storage.pointee.writeNull() }
    }
    func encode(_ value: Bool, forKey key: Key) throws {
        if next(key) { writer.storage.pointee.write(value) }
    }
    func encode(_ value: String, forKey key: Key) throws {
        if next(key) { writer.storage.pointee.write(value) }
    }
    func encode(_ value: Double, forKey key: Key) throws {
        if next(key) { writer.storage.pointee.write(value) }
    }
    func encode(_ value: Float, forKey key: Key) throws {
        if next(key) { writer.storage.pointee.write(value) }
    }
    func encode(_ value: Int, forKey key: Key) throws {
        if next(key) { writer.storage.pointee.write(value) }
    }
    func encode(_ value: Int8, forKey key: Key) throws {
        if next(key) { writer.storage.pointee.write(value) }
    }
    func encode(_ value: Int16, forKey key: Key) throws {
        if next(key) { writer.storage.pointee.write(value) }
    }
    func encode(_ value: Int32, forKey key: Key) throws {
        if next(key) { writer.storage.pointee.write(value) }
    }
    func encode(_ value: Int64, forKey key: Key) throws {
        if next(key) { writer.storage.pointee.write(value) }
    }
    func encode(_ value: Int128, forKey key: Key) throws {
        if next(key) { writer.storage.pointee.write(value) }
    }
    func encode(_ value: UInt, forKey key: Key) throws {
        if next(key) { writer.storage.pointee.write(value) }
    }
    func encode(_ value: UInt8, forKey key: Key) throws {
        if next(key) { writer.storage.pointee.write(value) }
    }
    func encode(_ value: UInt16, forKey key: Key) throws {
        if next(key) { writer.storage.pointee.write(value) }
    }
    func encode(_ value: UInt32, forKey key: Key) throws {
        if next(key) { writer.storage.pointee.write(value) }
    }
    func encode(_ value: UInt64, forKey key: Key) throws {
        if next(key) { writer.storage.pointee.write(value) }
    }
    func encode(_ value: UInt128, forKey key: Key) throws {
        if next(key) { writer.storage.pointee.write(value) }
    }
    func encode<Value: Encodable>(_ value: Value, forKey key: Key) throws {
        guard next(key) else { return }
        try writer.write(value, slot: writer.storage.pointee.count, depth: depth + 1)
    }

    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type, forKey key: Key
    ) -> KeyedEncodingContainer<Nested> {
        encoder(key).container(keyedBy: type)
    }
    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        encoder(key).unkeyedContainer()
    }
    func superEncoder(forKey key: Key) -> any Encoder { encoder(key) }

    func superEncoder() -> any Encoder {
        if writer.isOpen { writer.storage.pointee.nextSuper(in: Int(depth), serial: serial) }
        return ValueEncoder(writer: writer, depth: depth + 1, slot: writer.storage.pointee.count)
    }
}

/// Optional members; those that are nil keep their place in the shape.
extension KeyedWriter {
    func encodeIfPresent(_ value: Bool?, forKey key: Key) throws {
        if let value { try encode(value, forKey: key) } else { skip(key) }
    }
    func encodeIfPresent(_ value: String?, forKey key: Key) throws {
        if let value { try encode(value, forKey: key) } else { skip(key) }
    }
    func encodeIfPresent(_ value: Double?, forKey key: Key) throws {
        if let value { try encode(value, forKey: key) } else { skip(key) }
    }
    func encodeIfPresent(_ value: Float?, forKey key: Key) throws {
        if let value { try encode(value, forKey: key) } else { skip(key) }
    }
    func encodeIfPresent(_ value: Int?, forKey key: Key) throws {
        if let value { try encode(value, forKey: key) } else { skip(key) }
    }
    func encodeIfPresent(_ value: Int8?, forKey key: Key) throws {
        if let value { try encode(value, forKey: key) } else { skip(key) }
    }
    func encodeIfPresent(_ value: Int16?, forKey key: Key) throws {
        if let value { try encode(value, forKey: key) } else { skip(key) }
    }
    func encodeIfPresent(_ value: Int32?, forKey key: Key) throws {
        if let value { try encode(value, forKey: key) } else { skip(key) }
    }
    func encodeIfPresent(_ value: Int64?, forKey key: Key) throws {
        if let value { try encode(value, forKey: key) } else { skip(key) }
    }
    func encodeIfPresent(_ value: Int128?, forKey key: Key) throws {
        if let value { try encode(value, forKey: key) } else { skip(key) }
    }
    func encodeIfPresent(_ value: UInt?, forKey key: Key) throws {
        if let value { try encode(value, forKey: key) } else { skip(key) }
    }
    func encodeIfPresent(_ value: UInt8?, forKey key: Key) throws {
        if let value { try encode(value, forKey: key) } else { skip(key) }
    }
    func encodeIfPresent(_ value: UInt16?, forKey key: Key) throws {
        if let value { try encode(value, forKey: key) } else { skip(key) }
    }
    func encodeIfPresent(_ value: UInt32?, forKey key: Key) throws {
        if let value { try encode(value, forKey: key) } else { skip(key) }
    }
    func encodeIfPresent(_ value: UInt64?, forKey key: Key) throws {
        if let value { try encode(value, forKey: key) } else { skip(key) }
    }
    func encodeIfPresent(_ value: UInt128?, forKey key: Key) throws {
        if let value { try encode(value, forKey: key) } else { skip(key) }
    }
    func encodeIfPresent<Value: Encodable>(_ value: Value?, forKey key: Key) throws {
        if let value { try encode(value, forKey: key) } else { skip(key) }
    }
}
