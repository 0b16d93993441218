extension Scanner {
    /// Reads a number, checks its grammar, and appends it with its value where that is cheap.
    @inline(__always)
    mutating func scanNumber() throws(JSONError) {
        let first = position
        var cursor = first
        let isNegative = cursor.pointee == UInt8(ascii: "-")
        if isNegative { cursor += 1 }
        var mantissa: UInt64 = 0
        let whole = cursor
        while cursor < end {
            let digit = cursor.pointee &- 0x30
            if digit > 9 { break }
            mantissa = mantissa &* 10 &+ UInt64(digit)
            cursor += 1
        }
        let wholeCount = cursor - whole
        if wholeCount == 0 || (wholeCount > 1 && whole.pointee == UInt8(ascii: "0")) {
            position = wholeCount == 0 ? cursor : whole
            throw wholeCount == 0
                ? unexpected("a digit") : failure(.invalidSyntax, .leadingZero)
        }
        let next = cursor < end ? cursor.pointee : 0
        if next == UInt8(ascii: ".") || next | 0x20 == UInt8(ascii: "e") || wholeCount > 19
            || (isNegative && mantissa == 0)
        {
            return try scanReal(first, at: cursor, mantissa, wholeCount, isNegative)
        }
        position = cursor
        tape.append(
            Token(
                isNegative ? Token.Kind.negative : Token.Kind.unsigned, offset: first - start,
                extent: cursor - first, payload: mantissa))
    }

    /// The rest of a number after its whole digits.
    private mutating func scanReal(
        _ first: UnsafePointer<UInt8>, at rest: UnsafePointer<UInt8>, _ whole: UInt64,
        _ wholeCount: Int, _ isNegative: Bool
    ) throws(JSONError) {
        var mantissa = whole
        var digits = wholeCount
        var exponent = 0
        position = rest
        if peek == UInt8(ascii: ".") {
            position += 1
            let fraction = position
            while position < end {
                let digit = position.pointee &- 0x30
                if digit > 9 { break }
                mantissa = mantissa &* 10 &+ UInt64(digit)
                position += 1
            }
            guard position > fraction else { throw unexpected("a digit after the point") }
            digits += position - fraction
            exponent = fraction - position
        }
        if peek | 0x20 == UInt8(ascii: "e") {
            position += 1
            var isNegativeExponent = false
            if peek == UInt8(ascii: "-") || peek == UInt8(ascii: "+") {
                isNegativeExponent = position.pointee == UInt8(ascii: "-")
                position += 1
            }
            let firstDigit = position
            var value = 0
            while position < end {
                let digit = position.pointee &- 0x30
                if digit > 9 { break }
                if value < 100_000 { value = value * 10 + Int(digit) }
                position += 1
            }
            guard position > firstDigit else { throw unexpected("a digit in the exponent") }
            exponent += isNegativeExponent ? -value : value
        }
        var token = Token(Token.Kind.number, offset: first - start, extent: position - first)
        // Up to 19 digits the mantissa is exact; below 2^53 it and powers of ten up to 10^22 are
        // exact as Double, so that one operation rounds once (Clinger 1990).
        if digits <= 19, mantissa <= 1 << 53, exponent >= -22, exponent <= 22 {
            var double = Double(mantissa)
            if exponent < 0 {
                double /= PowersOfTen.exact[-exponent]
            } else {
                double *= PowersOfTen.exact[exponent]
            }
            token.extentAndKind ^= Token.Kind.number ^ Token.Kind.double
            token.payload = (isNegative ? -double : double).bitPattern
        } else if digits == 20, exponent == 0, !isNegative,
            let value = Self.unsigned(first, position)
        {
            token.extentAndKind ^= Token.Kind.number ^ Token.Kind.unsigned
            token.payload = value
        }
        tape.append(token)
    }

    /// The value of a run of digits, if it has no other bytes and fits.
    private static func unsigned(
        _ first: UnsafePointer<UInt8>, _ last: UnsafePointer<UInt8>
    ) -> UInt64? {
        var value: UInt64 = 0
        var cursor = first
        while cursor < last {
            let digit = cursor.pointee &- 0x30
            guard digit <= 9 else { return nil }
            let (scaled, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = scaled.addingReportingOverflow(UInt64(digit))
            if overflow || carry { return nil }
            value = sum
            cursor += 1
        }
        return value
    }
}

enum PowersOfTen {
    /// 10^0 ... 10^22, which Double holds exactly.
    static let exact: [Double] = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
        1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
    ]
}
