extension Writer {
    func write(_ value: Bool) {
        write(value ? "true" : "false" as StaticString)
    }

    @inline(__always)
    func write<Value: FixedWidthInteger>(_ value: Value) {
        if Value.bitWidth > 64 { return appendVerbatim(value.description) }
        if value < 0 { append(UInt8(ascii: "-")) }
        write(UInt64(truncatingIfNeeded: value.magnitude))
    }

    private func write(_ magnitude: UInt64) {
        var rest = magnitude
        var digits = 1
        var limit: UInt64 = 10
        while digits < 20, rest >= limit {
            digits += 1
            limit = digits < 20 ? limit &* 10 : .max
        }
        reserve(digits)
        writeDigits(digits) { _ in
            let digit = UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
            return digit + 0x30
        }
    }

    /// Writes a number so that it is read back as the same: the shortest text of that kind.
    ///
    /// - Throws: ``JSONError`` for what JSON has no number for.
    func write<Value: BinaryFloatingPoint & LosslessStringConvertible>(
        _ value: Value, depth: Int
    ) throws {
        guard value.isFinite else {
            // As where `encode(to:)` throws.
            markOutOfOrder()
            throw JSONError(
                .dataCorrupted,
                .text("JSON has no number for \(value); leave it out or send a string"),
                codingPath: path(depth).map(PathKey.text))
        }
        if value.magnitude < 0x1p24, let whole = Int64(exactly: value) {
            if whole == 0, value.sign == .minus { append(UInt8(ascii: "-")) }
            write(whole)
        } else {
            appendVerbatim(value.description)
        }
    }
}
