extension Scanner {
    /// Reads a string from its opening quote on, appends its token and gives the token's kind.
    @inline(__always)
    func scanString(
        _ position: inout Position, _ tape: inout Tape
    ) throws(JSONError) -> UInt32 {
        let content = position + 1
        var cursor = content
        var high: UInt64 = 0
        // Eight bytes at a time: the lowest marked byte is exact, as borrows only move upwards.
        while true {
            // Safety: the padding can be read, and any alignment will do; a zero ends the loop.
            let word = UInt64(
                littleEndian: UnsafeRawPointer(cursor).loadUnaligned(as: UInt64.self))
            let quote = word ^ 0x2222_2222_2222_2222
            let backslash = word ^ 0x5C5C_5C5C_5C5C_5C5C
            var stop = (quote &- 0x0101_0101_0101_0101) & ~quote
            stop |= (backslash &- 0x0101_0101_0101_0101) & ~backslash
            stop |= (word &- 0x2020_2020_2020_2020) & ~word
            stop &= 0x8080_8080_8080_8080
            if stop != 0 {
                high |= word & (stop &- 1) & ~stop
                cursor += stop.trailingZeroBitCount &>> 3
                break
            }
            high |= word
            cursor += 8
        }
        guard cursor.pointee == UInt8(ascii: "\"") else {
            return try scanRareString(content, at: cursor, &position, &tape)
        }
        position = cursor + 1
        var kind = Token.Kind.ascii
        if high & 0x8080_8080_8080_8080 != 0 {
            try validateUTF8(content, cursor)
            kind = Token.Kind.utf8
        }
        tape.append(Token(kind, offset: content - start, extent: cursor - content))
        return kind
    }

    /// A string that has an escape, or an error, at `stop`.
    @inline(__always)
    private func scanRareString(
        _ content: Position, at stop: Position, _ position: inout Position, _ tape: inout Tape
    ) throws(JSONError) -> UInt32 {
        guard stop.pointee == UInt8(ascii: "\\") else {
            if stop >= end { throw unexpected("the closing quote of a string", end) }
            throw failure(.invalidSyntax, .controlCharacter(stop.pointee), stop)
        }
        let last = try endOfEscapedString(content, from: stop)
        tape.append(Token(Token.Kind.escaped, offset: content - start, extent: last - content))
        position = last + 1
        return Token.Kind.escaped
    }

    /// Checks a string from its first escape on, and gives the position of the closing quote.
    @inline(never)
    private func endOfEscapedString(
        _ content: Position, from first: Position
    ) throws(JSONError) -> Position {
        var cursor = first
        while cursor < end {
            let byte = cursor.pointee
            if byte == UInt8(ascii: "\"") {
                try validateUTF8(content, cursor)
                return cursor
            }
            if byte == UInt8(ascii: "\\") {
                try scanEscape(&cursor)
            } else if byte < 0x20 {
                throw failure(.invalidSyntax, .controlCharacter(byte), cursor)
            } else {
                cursor += 1
            }
        }
        throw unexpected("the closing quote of a string", cursor)
    }

    private func scanEscape(_ cursor: inout Position) throws(JSONError) {
        guard end - cursor >= 2 else { throw unexpected("the rest of an escape", end) }
        switch cursor[1] {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"),
            UInt8(ascii: "f"), UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            cursor += 2
        case UInt8(ascii: "u"):
            let unit = try scanCodeUnit(&cursor)
            guard unit & 0xF800 == 0xD800 else { return }
            guard unit & 0xFC00 == 0xD800, end - cursor >= 2,
                cursor[0] == UInt8(ascii: "\\"), cursor[1] == UInt8(ascii: "u"),
                try scanCodeUnit(&cursor) & 0xFC00 == 0xDC00
            else { throw failure(.invalidSyntax, .loneSurrogate, cursor) }
        default:
            throw failure(.invalidSyntax, .unknownEscape, cursor)
        }
    }

    /// Reads `\uXXXX`.
    private func scanCodeUnit(_ cursor: inout Position) throws(JSONError) -> UInt32 {
        guard end - cursor >= 6, let unit = hexadecimal(cursor + 2) else {
            throw unexpected("four hexadecimal digits after \\u", cursor)
        }
        cursor += 6
        return unit
    }

    /// Checks that the bytes are well-formed UTF-8 (Unicode 15, table 3-7).
    @inline(never)
    private func validateUTF8(
        _ first: UnsafePointer<UInt8>, _ last: UnsafePointer<UInt8>
    ) throws(JSONError) {
        var cursor = first
        while cursor < last {
            let lead = cursor.pointee
            if lead < 0x80 {
                cursor += 1
                continue
            }
            let length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4
            var low: UInt8 = 0x80
            var high: UInt8 = 0xBF
            switch lead {
            case 0xE0: low = 0xA0
            case 0xED: high = 0x9F
            case 0xF0: low = 0x90
            case 0xF4: high = 0x8F
            default: break
            }
            var isValid = lead >= 0xC2 && lead <= 0xF4 && last - cursor >= length
            isValid = isValid && cursor[1] >= low && cursor[1] <= high
            isValid = isValid && (length < 3 || cursor[2] & 0xC0 == 0x80)
            isValid = isValid && (length < 4 || cursor[3] & 0xC0 == 0x80)
            guard isValid else {
                throw failure(.invalidUTF8, .invalidUTF8, cursor)
            }
            cursor += length
        }
    }
}

/// The value of four hexadecimal digits.
func hexadecimal(_ digits: UnsafePointer<UInt8>) -> UInt32? {
    var value: UInt32 = 0
    for index in 0..<4 {
        let byte = digits[index]
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): value = value << 4 | UInt32(byte - 0x30)
        case UInt8(ascii: "a")...UInt8(ascii: "f"): value = value << 4 | UInt32(byte - 0x57)
        case UInt8(ascii: "A")...UInt8(ascii: "F"): value = value << 4 | UInt32(byte - 0x37)
        default: return nil
        }
    }
    return value
}
