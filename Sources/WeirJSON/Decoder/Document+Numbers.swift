extension Document {
    @inline(__always)
    func bool(at place: Place) throws -> Bool {
        let kind = token(Int(place.token)).kind
        if kind == Token.Kind.yes { return true }
        guard kind == Token.Kind.no else { throw mismatch(Bool.self, at: place) }
        return false
    }

    @inline(__always)
    func integer<Value: FixedWidthInteger>(_ type: Value.Type, at place: Place) throws -> Value {
        let token = token(Int(place.token))
        if token.kind == Token.Kind.unsigned {
            if let value = Value(exactly: token.payload) { return value }
        } else if token.kind == Token.Kind.negative {
            let negated = 0 &- Int64(truncatingIfNeeded: token.payload)
            if token.payload <= 1 << 63, let value = Value(exactly: negated) { return value }
        }
        return try convertedInteger(type, at: place)
    }

    /// An integer from a number in another notation, such as 1.0 or 1e2, or a longer one.
    @inline(never)
    private func convertedInteger<Value: FixedWidthInteger>(
        _ type: Value.Type, at place: Place
    ) throws -> Value {
        let token = token(Int(place.token))
        guard token.kind >= Token.Kind.unsigned, token.kind <= Token.Kind.number else {
            throw mismatch(type, at: place)
        }
        let text = String(decoding: text(of: token), as: UTF8.self)
        if let value = Value(text) { return value }
        // As JSONDecoder has it: beyond 2^53, where Double is not exact, the digits decide.
        if let double = Double(text), let value = Value(exactly: double) {
            if double.magnitude < 0x1p53 { return value }
            if let exact = WholeNumber(text.utf8)?.value(as: type) { return exact }
        }
        throw outOfRange(type, at: place)
    }

    @inline(__always)
    func double(at place: Place) throws -> Double {
        let token = token(Int(place.token))
        switch token.kind {
        case Token.Kind.double: return Double(bitPattern: token.payload)
        case Token.Kind.unsigned: return Double(token.payload)
        case Token.Kind.negative: return -Double(token.payload)
        default: return try parsed(Double.self, at: place)
        }
    }

    func float(at place: Place) throws -> Float {
        let token = token(Int(place.token))
        switch token.kind {
        case Token.Kind.double:
            let double = Double(bitPattern: token.payload)
            if double == 0 { return Float(double) }
            let float = Float(double)
            // Rounding twice goes wrong only where the double lies half-way between two floats.
            if float.isNormal, token.payload & 0x1FFF_FFFF != 0x1000_0000 { return float }
            return try parsed(Float.self, at: place)
        case Token.Kind.unsigned: return Float(token.payload)
        case Token.Kind.negative: return -Float(token.payload)
        default: return try parsed(Float.self, at: place)
        }
    }

    /// A number from its text, rounded correctly; what overflows or vanishes is an error.
    @inline(never)
    private func parsed<Value: BinaryFloatingPoint & LosslessStringConvertible>(
        _ type: Value.Type, at place: Place
    ) throws -> Value {
        let token = token(Int(place.token))
        guard token.kind >= Token.Kind.double, token.kind <= Token.Kind.number else {
            throw mismatch(type, at: place)
        }
        let text = text(of: token)
        guard let value = Value(String(decoding: text, as: UTF8.self)), value.isFinite else {
            throw outOfRange(type, at: place)
        }
        if value == 0, !Self.isZero(text) { throw outOfRange(type, at: place) }
        return value
    }

    private static func isZero(_ number: UnsafeBufferPointer<UInt8>) -> Bool {
        for byte in number {
            if byte | 0x20 == UInt8(ascii: "e") { return true }
            if byte >= UInt8(ascii: "1"), byte <= UInt8(ascii: "9") { return false }
        }
        return true
    }
}

/// A decimal number without a fraction, though it may be written with one: 12.50e2.
struct WholeNumber {
    private var digits: [UInt8] = []
    private var isNegative = false
    private var zeros = 0

    /// More digits or zeros than any integer type has.
    private static let digitsMaximum = 64

    init?(_ text: String.UTF8View) {
        var fraction = 0
        var isFraction = false
        var rest = text[...]
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "-"): isNegative = true
            case UInt8(ascii: "."): isFraction = true
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                if isFraction { fraction += 1 }
                if !digits.isEmpty || byte != UInt8(ascii: "0") { digits.append(byte - 0x30) }
            default:
                guard let exponent = Int(Substring(rest)) else { return nil }
                zeros = exponent
                rest = text[text.endIndex...]
            }
        }
        guard zeros.magnitude < 1 << 32 else { return nil }
        zeros -= fraction
        while zeros < 0, digits.last == 0 {
            digits.removeLast()
            zeros += 1
        }
        if digits.isEmpty { zeros = 0 }
        guard zeros >= 0, digits.count + zeros <= Self.digitsMaximum else { return nil }
    }

    func value<Value: FixedWidthInteger>(as type: Value.Type) -> Value? {
        var value: Value = 0
        for index in 0..<(digits.count + zeros) {
            let digit = index < digits.count ? digits[index] : 0
            let (scaled, overflow) = value.multipliedReportingOverflow(by: 10)
            guard !overflow, let step = Value(exactly: digit) else { return nil }
            let (sum, carry) =
                isNegative
                ? scaled.subtractingReportingOverflow(step) : scaled.addingReportingOverflow(step)
            guard !carry else { return nil }
            value = sum
        }
        return value
    }
}
