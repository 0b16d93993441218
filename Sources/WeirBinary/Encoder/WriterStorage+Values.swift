extension WriterStorage {
    @inline(__always)
    mutating func writeNull() { append(Tag.null) }

    @inline(__always)
    mutating func write(_ value: Bool) { append(value ? Tag.yes : Tag.no) }

    @inline(__always)
    mutating func write<Value: FixedWidthInteger>(_ value: Value) {
        if Value.bitWidth > 64 { return writeWide(value) }
        if value < 0 {
            reserve(1 + Varint.countMaximum)
            bytes[count] = Tag.negative
            count &+= 1
            appendVarint(~UInt64(truncatingIfNeeded: value))
        } else if value < 64 {
            append(Tag.smallUnsigned | UInt8(truncatingIfNeeded: value))
        } else {
            reserve(1 + Varint.countMaximum)
            bytes[count] = Tag.unsigned
            count &+= 1
            count &+= Varint.write(UInt64(truncatingIfNeeded: value), to: bytes + count)
        }
    }

    private mutating func writeWide<Value: FixedWidthInteger>(_ value: Value) {
        if let value = Int64(exactly: value) { return write(value) }
        if let value = UInt64(exactly: value) { return write(value) }
        append(Value.isSigned ? Tag.wideSigned : Tag.wideUnsigned)
        append(littleEndian: UInt128(truncatingIfNeeded: value))
    }

    @inline(__always)
    mutating func write(_ value: Double) {
        append(Tag.double)
        append(littleEndian: value.bitPattern)
    }

    @inline(__always)
    mutating func write(_ value: Float) {
        append(Tag.float)
        append(littleEndian: value.bitPattern)
    }

    @inline(__always)
    mutating func write(_ value: String) {
        var value = value
        value.withUTF8 { text in
            reserve(text.count &+ 1 &+ Varint.countMaximum)
            if text.count < 32 {
                bytes[count] = Tag.shortString | UInt8(truncatingIfNeeded: text.count)
                count &+= 1
            } else {
                bytes[count] = Tag.string
                count &+= 1
                count &+= Varint.write(UInt64(truncatingIfNeeded: text.count), to: bytes + count)
            }
            guard let start = text.baseAddress else { return }
            (bytes + count).update(from: start, count: text.count)
            count &+= text.count
        }
    }

    // MARK: Whole runs

    mutating func write(_ values: [UInt8]) {
        append(Tag.bytes)
        appendVarint(UInt64(values.count))
        values.withUnsafeBufferPointer { append($0) }
    }

    mutating func write(_ values: [Double]) {
        guard !values.isEmpty else { return writeEmptyArray() }
        append(Tag.doubleRun)
        appendVarint(UInt64(values.count))
        reserve(values.count * 8)
        for value in values { append(littleEndian: value.bitPattern) }
    }

    mutating func write(_ values: [Int]) {
        guard !values.isEmpty else { return writeEmptyArray() }
        append(Tag.signedRun)
        appendVarint(UInt64(values.count))
        for value in values { appendVarint(Varint.zigzag(Int64(value))) }
    }

    private mutating func writeEmptyArray() {
        append(Tag.array)
        append(0)
    }
}
