/// The single pass that validates a document (RFC 8259, strictly) and writes its tape.
///
/// It does not recurse: the tokens of the open containers are its stack.
struct Scanner {
    let start: UnsafePointer<UInt8>
    let end: UnsafePointer<UInt8>
    let maximumDepth: Int
    var position: UnsafePointer<UInt8>
    var tape: Tape

    @inline(__always)
    init(_ bytes: UnsafeRawBufferPointer, maximumDepth: Int, tape: Tape) {
        // Safety: the bytes are only read, as UInt8, within the call that owns the buffer.
        start = bytes.baseAddress.map { $0.assumingMemoryBound(to: UInt8.self) } ?? Self.nothing
        end = start + bytes.count
        position = start
        self.maximumDepth = maximumDepth
        self.tape = tape
    }

    // Safety: one byte that lives as long as the process and is never written.
    private nonisolated(unsafe) static let nothing = UnsafePointer<UInt8>(
        UnsafeMutablePointer<UInt8>.allocate(capacity: 1))

    @inline(__always) var offset: Int { position - start }

    /// The next byte, or zero (which no rule accepts) at the end.
    @inline(__always) var peek: UInt8 { position < end ? position.pointee : 0 }

    @inline(__always)
    mutating func skipSpace() {
        while position < end {
            let byte = position.pointee
            if byte > 0x20 { return }
            guard byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 else { return }
            position += 1
        }
    }

    mutating func scan() throws(JSONError) {
        skipByteOrderMark()
        var container = -1
        var isObject = false
        var count = 0
        var keys: UInt64 = 0
        var keyOrder = Token.KeyOrder.distinct
        var depth = 0

        value: while true {
            skipSpace()
            tape.reserve(4)
            var closesEmpty = false
            switch peek {
            case UInt8(ascii: "\""):
                _ = try scanString()
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                depth += 1
                if depth > maximumDepth { throw failure(.tooDeep, .depth(maximumDepth)) }
                let opensObject = position.pointee == UInt8(ascii: "{")
                if container >= 0 {
                    tape.tokens[container].payload = keys
                    tape.tokens[container + 1].extentAndKind = UInt32(truncatingIfNeeded: count)
                    tape.tokens[container + 1].payload = keyOrder
                }
                let place = isObject ? tape.count - 1 : count
                let parent = container
                container = tape.count
                tape.append(
                    Token(
                        opensObject ? Token.Kind.object : Token.Kind.array, offset: offset,
                        extent: parent))
                tape.append(
                    Token(
                        offset: UInt32(truncatingIfNeeded: place), extentAndKind: 0, payload: 0))
                isObject = opensObject
                count = 0
                keys = 0
                keyOrder = Token.KeyOrder.distinct
                position += 1
                skipSpace()
                if peek == (opensObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) {
                    closesEmpty = true
                } else {
                    if opensObject { try scanKey(&keys, &keyOrder) }
                    continue value
                }
            case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
                try scanNumber()
            case UInt8(ascii: "t"):
                try scanWord("true", Token.Kind.yes)
            case UInt8(ascii: "f"):
                try scanWord("false", Token.Kind.no)
            case UInt8(ascii: "n"):
                try scanWord("null", Token.Kind.null)
            default:
                throw unexpected("a value")
            }

            while true {
                if container < 0 { return try finish() }
                if !closesEmpty {
                    count += 1
                    skipSpace()
                    let byte = peek
                    if byte == UInt8(ascii: ",") {
                        position += 1
                        if isObject {
                            skipSpace()
                            tape.reserve(4)
                            try scanKey(&keys, &keyOrder)
                        }
                        continue value
                    }
                    guard byte == (isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) else {
                        throw unexpected(isObject ? "',' or '}'" : "',' or ']'")
                    }
                }
                closesEmpty = false
                position += 1
                depth -= 1
                let parent = tape.close(container, count: count, keyOrder: keyOrder)
                container = parent
                if parent >= 0 {
                    isObject = tape.tokens[parent].kind == Token.Kind.object
                    keys = tape.tokens[parent].payload
                    count = Int(tape.tokens[parent + 1].extentAndKind)
                    keyOrder = tape.tokens[parent + 1].payload
                }
            }
        }
    }

    /// A key with the colon after it; `keys` is a Bloom filter of the object's keys so far.
    @inline(__always)
    private mutating func scanKey(_ keys: inout UInt64, _ order: inout UInt64) throws(JSONError) {
        guard peek == UInt8(ascii: "\"") else { throw unexpected("a key in double quotes") }
        let key = tape.count
        let kind = try scanString()
        if kind == Token.Kind.ascii {
            let token = tape.tokens[key]
            let print = KeyFingerprint.of(start + Int(token.offset), token.extent, end: end)
            tape.tokens[key].payload = print
            let bit: UInt64 = 1 << ((print &* 0x9E37_79B9_7F4A_7C15) >> 58)
            if keys & bit != 0, order == Token.KeyOrder.distinct {
                order = Token.KeyOrder.unchecked
            }
            keys |= bit
        } else {
            order = Token.KeyOrder.complex
        }
        skipSpace()
        guard peek == UInt8(ascii: ":") else { throw unexpected("':' after a key") }
        position += 1
    }

    @inline(__always)
    private mutating func scanWord(_ word: StaticString, _ kind: UInt32) throws(JSONError) {
        let count = word.utf8CodeUnitCount
        guard end - position >= count else { throw unexpected("true, false or null") }
        for index in 1..<count where position[index] != word.utf8Start[index] {
            throw unexpected("true, false or null")
        }
        tape.append(Token(kind, offset: offset, extent: count))
        position += count
    }

    private mutating func finish() throws(JSONError) {
        skipSpace()
        guard position == end else { throw failure(.trailingBytes, .trailing) }
    }

    private mutating func skipByteOrderMark() {
        if end - position >= 3, position[0] == 0xEF, position[1] == 0xBB, position[2] == 0xBF {
            position += 3
        }
    }

    @inline(never)
    func unexpected(_ expected: StaticString) -> JSONError {
        failure(.invalidSyntax, .unexpected(expected, position < end ? position.pointee : nil))
    }

    @inline(never)
    func failure(_ code: JSONError.Code, _ reason: JSONError.Reason) -> JSONError {
        JSONError(code, reason, byteOffset: offset)
    }
}
