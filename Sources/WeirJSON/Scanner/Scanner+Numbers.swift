extension Scanner {
    /// Reads a number, checks its grammar, and appends it with its value where that is cheap.
    @inline(__always)
    func scanNumber(_ position: inout Position, _ tape: inout Tape) throws(JSONError) {
        let first = position
        var cursor = first
        let isNegative = cursor.pointee == UInt8(ascii: "-")
        if isNegative { cursor += 1 }
        var mantissa: UInt64 = 0
        let whole = cursor
        while true {
            let digit = cursor.pointee &- 0x30
            if digit > 9 { break }
            mantissa = mantissa &* 10 &+ UInt64(digit)
            cursor += 1
        }
        let digits = cursor - whole
        if digits == 0 { throw unexpected("a digit", cursor) }
        if digits > 1 && whole.pointee == UInt8(ascii: "0") {
            throw failure(.invalidSyntax, .leadingZero, whole)
        }
        let next = byte(cursor)
        if next == UInt8(ascii: ".") || next | 0x20 == UInt8(ascii: "e") || digits > 19
            || (isNegative && mantissa == 0)
        {
            let real = try scanReal(first, at: cursor, mantissa, digits, isNegative)
            tape.append(real)
            position = first + real.extent
            return
        }
        position = cursor
        tape.append(
            Token(
                isNegative ? Token.Kind.negative : Token.Kind.unsigned, offset: first - start,
                extent: cursor - first, payload: mantissa))
    }

    /// A number with a fraction or an exponent, or a long one, from what follows its digits on.
    @inline(never)
    private func scanReal(
        _ first: Position, at rest: Position, _ whole: UInt64, _ wholeDigits: Int,
        _ isNegative: Bool
    ) throws(JSONError) -> Token {
        var mantissa = whole
        var digits = wholeDigits
        var exponent = 0
        var cursor = rest
        if byte(cursor) == UInt8(ascii: ".") {
            cursor += 1
            let fraction = cursor
            while cursor < end {
                let digit = cursor.pointee &- 0x30
                if digit > 9 { break }
                mantissa = mantissa &* 10 &+ UInt64(digit)
                cursor += 1
            }
            guard cursor > fraction else { throw unexpected("a digit after the point", cursor) }
            digits += cursor - fraction
            exponent = fraction - cursor
        }
        if byte(cursor) | 0x20 == UInt8(ascii: "e") {
            cursor += 1
            exponent += try scanExponent(&cursor)
        }
        var token = Token(Token.Kind.number, offset: first - start, extent: cursor - first)
        // Up to 19 digits the mantissa is exact; below 2^53 it and powers of ten up to 10^22 are
        // exact as Double, so that one operation rounds once (Clinger 1990).
        if digits <= 19, mantissa <= 1 << 53, exponent >= -22, exponent <= 22 {
            let power = PowersOfTen.exact[abs(exponent)]
            let double = exponent < 0 ? Double(mantissa) / power : Double(mantissa) * power
            token.extentAndKind ^= Token.Kind.number ^ Token.Kind.double
            token.payload = (isNegative ? -double : double).bitPattern
        } else if digits == 20, exponent == 0, let value = Self.unsigned(first, cursor) {
            token.extentAndKind ^= Token.Kind.number ^ Token.Kind.unsigned
            token.payload = value
        }
        return token
    }

    private func scanExponent(_ cursor: inout Position) throws(JSONError) -> Int {
        let sign = byte(cursor)
        if sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") { cursor += 1 }
        let first = cursor
        var value = 0
        while cursor < end {
            let digit = cursor.pointee &- 0x30
            if digit > 9 { break }
            // Beyond this the number is zero, or out of range, or has as many digits.
            if value < 1 << 40 { value = value * 10 + Int(digit) }
            cursor += 1
        }
        guard cursor > first else { throw unexpected("a digit in the exponent", cursor) }
        return sign == UInt8(ascii: "-") ? -value : value
    }

    /// The value of a run of digits, if it has no other bytes and fits.
    private static func unsigned(
        _ first: Position, _ last: Position
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
    /// The powers from zero to 22, which Double holds exactly.
    static let exact: [Double] = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
        1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
    ]
}
