/// An encoder that stands where one value has to be written; also the container of a single value.
struct ValueEncoder {
    let writer: Writer
    /// The number of containers around the value.
    let depth: Int32
    /// Where the value has to start.
    let slot: Int

    /// Gets ready to write the value; false if it is too late for that.
    @inline(__always)
    private func start() -> Bool {
        guard writer.isOpen else { return false }
        if writer.storage.pointee.count != slot { writer.storage.pointee.isOutOfOrder = true }
        return true
    }
}

extension ValueEncoder: Encoder {
    var codingPath: [any CodingKey] { writer.path(Int(depth)) }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        let storage = writer.storage
        let keys = storage.pointee.keyTypes.known(type, storage)
        let serial = start() ? storage.pointee.enter(.object, slot: slot, keys: keys) : 0
        // Safety: the maker is never freed, and was made for this type.
        return keys.pointee.maker._withUnsafeGuaranteedRef {
            unsafeDowncast($0, to: KeyedWriterMaker<Key>.self)
                .container(writer, keys, depth: depth, serial: serial)
        }
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        let serial =
            start() ? writer.storage.pointee.enter(.array, slot: slot, keys: nil) : 0
        return UnkeyedWriter(writer: writer, depth: depth, serial: serial)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer { self }
}

extension ValueEncoder: SingleValueEncodingContainer {
    func encodeNil() throws {
        if start() { writer.storage.pointee.writeNull() }
    }
    func encode(_ value: Bool) throws {
        if start() { writer.storage.pointee.write(value) }
    }
    func encode(_ value: String) throws {
        if start() { writer.storage.pointee.write(value) }
    }
    func encode(_ value: Double) throws {
        if start() { writer.storage.pointee.write(value) }
    }
    func encode(_ value: Float) throws {
        if start() { writer.storage.pointee.write(value) }
    }
    func encode(_ value: Int) throws {
        if start() { writer.storage.pointee.write(value) }
    }
    func encode(_ value: Int8) throws {
        if start() { writer.storage.pointee.write(value) }
    }
    func encode(_ value: Int16) throws {
        if start() { writer.storage.pointee.write(value) }
    }
    func encode(_ value: Int32) throws {
        if start() { writer.storage.pointee.write(value) }
    }
    func encode(_ value: Int64) throws {
        if start() { writer.storage.pointee.write(value) }
    }
    func encode(_ value: Int128) throws {
        if start() { writer.storage.pointee.write(value) }
    }
    func encode(_ value: UInt) throws {
        if start() { writer.storage.pointee.write(value) }
    }
    func encode(_ value: UInt8) throws {
        if start() { writer.storage.pointee.write(value) }
    }
    func encode(_ value: UInt16) throws {
        if start() { writer.storage.pointee.write(value) }
    }
    func encode(_ value: UInt32) throws {
        if start() { writer.storage.pointee.write(value) }
    }
    func encode(_ value: UInt64) throws {
        if start() { writer.storage.pointee.write(value) }
    }
    func encode(_ value: UInt128) throws {
        if start() { writer.storage.pointee.write(value) }
    }
    func encode<Value: Encodable>(_ value: Value) throws {
        if start() { try writer.write(value, slot: slot, depth: depth) }
    }
}
