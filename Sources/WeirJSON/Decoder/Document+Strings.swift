extension Document {
    @inline(__always)
    func string(at place: Place) throws -> String {
        let token = token(Int(place.token))
        guard token.kind >= Token.Kind.ascii, token.kind <= Token.Kind.escaped else {
            throw mismatch(String.self, at: place)
        }
        return string(of: token)
    }

    /// The text of a string's token; the scanner has checked its UTF-8 and its escapes.
    @inline(__always)
    func string(of token: Token) -> String {
        switch token.kind {
        case Token.Kind.ascii, Token.Kind.utf8:
            return unescapedString(text(of: token), isASCII: token.kind == Token.Kind.ascii)
        case Token.Kind.escaped:
            return unescaped(text(of: token))
        default:
            return ""
        }
    }

    /// A string of ASCII without escapes.
    @inline(__always)
    func asciiString(of token: Token) -> String {
        if token.extent <= SmallString.countMaximum, storage.pointee.smallStrings {
            return SmallString.ascii(storage.pointee.bytes + Int(token.offset), token.extent)
        }
        return unescapedString(text(of: token), isASCII: true)
    }

    @inline(__always)
    private func unescapedString(
        _ text: UnsafeBufferPointer<UInt8>, isASCII: Bool
    ) -> String {
        if #available(macOS 26, iOS 26, tvOS 26, watchOS 26, visionOS 26, *) {
            // Safety: the scanner has checked that the bytes are UTF-8, and ASCII if it says so.
            let span = unsafe UTF8Span(unchecked: text.span, isKnownASCII: isASCII)
            return String(copying: span)
        }
        return String(decoding: text, as: UTF8.self)
    }

    @inline(never)
    private func unescaped(_ text: UnsafeBufferPointer<UInt8>) -> String {
        guard let base = text.baseAddress else { return "" }
        return String(unsafeUninitializedCapacity: text.count) { output in
            var input = 0
            var count = 0
            while input < text.count {
                let byte = text[input]
                if byte != UInt8(ascii: "\\") {
                    output[count] = byte
                    count += 1
                    input += 1
                    continue
                }
                let escape = text[input + 1]
                input += 2
                switch escape {
                case UInt8(ascii: "b"): output[count] = 0x08
                case UInt8(ascii: "f"): output[count] = 0x0C
                case UInt8(ascii: "n"): output[count] = 0x0A
                case UInt8(ascii: "r"): output[count] = 0x0D
                case UInt8(ascii: "t"): output[count] = 0x09
                case UInt8(ascii: "u"):
                    var scalar = hexadecimal(base + input) ?? 0xFFFD
                    input += 4
                    if scalar & 0xFC00 == 0xD800 {
                        let low = hexadecimal(base + input + 2) ?? 0xDC00
                        scalar = 0x10000 + (scalar & 0x3FF) << 10 + (low & 0x3FF)
                        input += 6
                    }
                    let utf8 = UTF8.encode(Unicode.Scalar(scalar) ?? "\u{FFFD}")
                    for unit in utf8 ?? UTF8.encodedReplacementCharacter {
                        output[count] = unit
                        count += 1
                    }
                    continue
                default: output[count] = escape
                }
                count += 1
            }
            return count
        }
    }
}
