/// An array whose elements are written as they come.
struct UnkeyedWriter {
    let writer: Writer
    let depth: Int32
    let serial: UInt32

    @inline(__always)
    private func next() -> Bool {
        guard writer.isOpen else { return false }
        writer.storage.pointee.nextElement(in: Int(depth), serial: serial)
        return true
    }

    /// Gets ready for an element of a run; false if it has to be written with its tag.
    @inline(__always)
    private func next(_ run: UInt8) -> Bool {
        writer.storage.pointee.nextElement(ofRun: run, in: Int(depth), serial: serial)
    }

    @inline(__always)
    private func encode<Value: FixedWidthInteger>(integer value: Value) {
        guard writer.isOpen else { return }
        let storage = writer.storage
        if !next(Value.isSigned ? Tag.signedRun : Tag.unsignedRun) {
            storage.pointee.write(value)
        } else if Value.isSigned {
            storage.pointee.appendVarint(Varint.zigzag(Int64(truncatingIfNeeded: value)))
        } else {
            storage.pointee.appendVarint(UInt64(truncatingIfNeeded: value))
        }
    }

    private func encoder() -> ValueEncoder {
        _ = next()
        return ValueEncoder(writer: writer, depth: depth + 1, slot: writer.storage.pointee.count)
    }
}

extension UnkeyedWriter: UnkeyedEncodingContainer {
    var codingPath: [any CodingKey] { writer.path(Int(depth)) }
    var count: Int {
        guard writer.isOpen, Int(depth) < writer.storage.pointee.openCount else { return 0 }
        let container = writer.storage.pointee.open[Int(depth)]
        return container.serial == serial ? container.count : 0
    }

    func encodeNil() throws {
        if next() { writer.storage.pointee.writeNull() }
    }
    func encode(_ value: Bool) throws {
        guard writer.isOpen else { return }
        let storage = writer.storage
        if next(Tag.boolRun) {
            storage.pointee.append(value ? 1 : 0)
        } else {
            storage.pointee.write(value)
        }
    }
    func encode(_ value: String) throws {
        if next() { writer.storage.pointee.write(value) }
    }
    func encode(_ value: Double) throws {
        guard writer.isOpen else { return }
        let storage = writer.storage
        if next(Tag.doubleRun) {
            storage.pointee.append(littleEndian: value.bitPattern)
        } else {
            storage.pointee.write(value)
        }
    }
    func encode(_ value: Float) throws {
        guard writer.isOpen else { return }
        let storage = writer.storage
        if next(Tag.floatRun) {
            storage.pointee.append(littleEndian: value.bitPattern)
        } else {
            storage.pointee.write(value)
        }
    }
    func encode(_ value: Int) throws { encode(integer: value) }
    func encode(_ value: Int8) throws { encode(integer: value) }
    func encode(_ value: Int16) throws { encode(integer: value) }
    func encode(_ value: Int32) throws { encode(integer: value) }
    func encode(_ value: Int64) throws { encode(integer: value) }
    func encode(_ value: Int128) throws {
        if next() { writer.storage.pointee.write(value) }
    }
    func encode(_ value: UInt) throws { encode(integer: value) }
    func encode(_ value: UInt8) throws {
        guard writer.isOpen else { return }
        let storage = writer.storage
        if next(Tag.bytes) {
            storage.pointee.append(value)
        } else {
            storage.pointee.write(value)
        }
    }
    func encode(_ value: UInt16) throws { encode(integer: value) }
    func encode(_ value: UInt32) throws { encode(integer: value) }
    func encode(_ value: UInt64) throws { encode(integer: value) }
    func encode(_ value: UInt128) throws {
        if next() { writer.storage.pointee.write(value) }
    }
    func encode<Value: Encodable>(_ value: Value) throws {
        // Safety: each cast is between types that have been compared.
        if Value.self == UInt8.self { return try encode(unsafeBitCast(value, to: UInt8.self)) }
        if Value.self == Int.self { return try encode(unsafeBitCast(value, to: Int.self)) }
        if Value.self == Double.self { return try encode(unsafeBitCast(value, to: Double.self)) }
        try encodeOther(value)
    }

    /// Arrays encode their elements as values of any type, so numbers are told apart here.
    private func encodeOther<Value: Encodable>(_ value: Value) throws {
        // Safety: as above.
        if Value.self == Float.self { return try encode(unsafeBitCast(value, to: Float.self)) }
        if Value.self == Bool.self { return try encode(unsafeBitCast(value, to: Bool.self)) }
        if Value.self == Int8.self { return try encode(unsafeBitCast(value, to: Int8.self)) }
        if Value.self == Int16.self { return try encode(unsafeBitCast(value, to: Int16.self)) }
        if Value.self == Int32.self { return try encode(unsafeBitCast(value, to: Int32.self)) }
        if Value.self == Int64.self { return try encode(unsafeBitCast(value, to: Int64.self)) }
        if Value.self == UInt.self { return try encode(unsafeBitCast(value, to: UInt.self)) }
        if Value.self == UInt16.self { return try encode(unsafeBitCast(value, to: UInt16.self)) }
        if Value.self == UInt32.self { return try encode(unsafeBitCast(value, to: UInt32.self)) }
        if Value.self == UInt64.self { return try encode(unsafeBitCast(value, to: UInt64.self)) }
        guard next() else { return }
        try writer.write(value, slot: writer.storage.pointee.count, depth: depth + 1)
    }

    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type
    ) -> KeyedEncodingContainer<Nested> {
        encoder().container(keyedBy: type)
    }
    func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer {
        encoder().unkeyedContainer()
    }
    func superEncoder() -> any Encoder { encoder() }
}
