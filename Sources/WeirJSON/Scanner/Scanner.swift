/// The single pass that validates a document (RFC 8259, strictly) and writes its tape.
///
/// The bytes are followed by ``padding`` zeros, which no rule accepts: most steps need not look
/// for the end. It does not recurse: the tokens of the open containers are its stack. The
/// hot functions are inlined into ``scan(into:)`` and the others do not touch its variables, so
/// that those stay in registers.
struct Scanner {
    let start: UnsafePointer<UInt8>
    let end: UnsafePointer<UInt8>
    let maximumDepth: Int
    let memory: KeyMemory

    typealias Position = UnsafePointer<UInt8>

    @inline(__always)
    init(
        _ start: UnsafePointer<UInt8>, count: Int, maximumDepth: Int, memory: KeyMemory
    ) {
        self.start = start
        end = start + count
        self.maximumDepth = maximumDepth
        self.memory = memory
    }

    /// How many zeros have to follow the document.
    static let padding = 32

    /// The byte at a position, or zero at the end.
    @inline(__always)
    func byte(_ position: Position) -> UInt8 { position.pointee }

    @inline(__always)
    func skipSpace(_ position: inout Position) {
        while position.pointee <= 0x20 {
            let byte = position.pointee
            guard byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 else { return }
            position += 1
        }
    }

    @inline(never)
    func scan(into result: inout Tape) throws(JSONError) {
        var tape = result
        defer { result = tape }
        var position = afterByteOrderMark()
        var open = OpenContainer()
        var depth = 0
        var takesKey = false
        var keys = 0

        value: while true {
            skipSpace(&position)
            tape.reserve()
            if takesKey {
                if byte(position) == UInt8(ascii: "\""),
                    let key = memory.match(keys, position + 1)
                {
                    tape.append(
                        Token(
                            Token.Kind.ascii, offset: position + 1 - start, extent: key.count,
                            payload: key.print))
                    open.addKey(key.print, tape)
                    position += key.count &+ 3
                } else {
                    let after = try scanKey(AfterKey(position, tape, open), ordinal: keys)
                    (position, tape, open) = (after.position, after.tape, after.open)
                }
                keys &+= 1
                skipSpace(&position)
            }
            var closesEmpty = false
            switch byte(position) {
            case UInt8(ascii: "\""):
                _ = try scanString(&position, &tape)
            case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
                try scanNumber(&position, &tape)
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                depth += 1
                if depth > maximumDepth {
                    throw failure(.tooDeep, .depth(maximumDepth), position)
                }
                let opensObject = position.pointee == UInt8(ascii: "{")
                open.enter(opensObject, offset: position - start, &tape)
                position += 1
                skipSpace(&position)
                let bracket = opensObject ? UInt8(ascii: "}") : UInt8(ascii: "]")
                guard byte(position) == bracket else {
                    takesKey = opensObject
                    continue value
                }
                closesEmpty = true
            case UInt8(ascii: "t"):
                try scanWord("true", Token.Kind.yes, &position, &tape)
            case UInt8(ascii: "f"):
                try scanWord("false", Token.Kind.no, &position, &tape)
            case UInt8(ascii: "n"):
                try scanWord("null", Token.Kind.null, &position, &tape)
            default:
                throw unexpected("a value", position)
            }

            while true {
                if open.index < 0 {
                    skipSpace(&position)
                    if position == end { return }
                    throw failure(.trailingBytes, .trailing, position)
                }
                if !closesEmpty {
                    open.count += 1
                    skipSpace(&position)
                    let byte = byte(position)
                    if byte == UInt8(ascii: ",") {
                        position += 1
                        takesKey = open.isObject
                        continue value
                    }
                    guard byte == (open.isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) else {
                        throw unexpected(open.isObject ? "',' or '}'" : "',' or ']'", position)
                    }
                }
                closesEmpty = false
                position += 1
                depth -= 1
                open.leave(tape)
            }
        }
    }

    /// What ``scan(into:)`` has in registers, and so does not give away by reference.
    private struct AfterKey {
        var position: Position
        var tape: Tape
        var open: OpenContainer

        @inline(__always)
        init(_ position: Position, _ tape: Tape, _ open: OpenContainer) {
            self.position = position
            self.tape = tape
            self.open = open
        }
    }

    /// A key that is not the one remembered, with the colon after it.
    @inline(never)
    private func scanKey(
        _ before: AfterKey, ordinal: Int
    ) throws(JSONError) -> AfterKey {
        var (position, tape, open) = (before.position, before.tape, before.open)
        guard byte(position) == UInt8(ascii: "\"") else {
            throw unexpected("a key in double quotes", position)
        }
        let content = position + 1
        if try scanString(&position, &tape) == Token.Kind.ascii {
            let key = tape.tokens + (tape.count - 1)
            let count = key.pointee.extent
            let print = KeyFingerprint.ofPadded(content, count)
            key.pointee.payload = print
            memory.remember(ordinal, content, count, print: print)
            open.addKey(print, tape)
        } else {
            open.addRareKey()
        }
        skipSpace(&position)
        guard byte(position) == UInt8(ascii: ":") else {
            throw unexpected("':' after a key", position)
        }
        return AfterKey(position + 1, tape, open)
    }

    @inline(__always)
    private func scanWord(
        _ word: StaticString, _ kind: UInt32, _ position: inout Position, _ tape: inout Tape
    ) throws(JSONError) {
        let count = word.utf8CodeUnitCount
        for index in 1..<count where position[index] != word.utf8Start[index] {
            throw unexpected("true, false or null", position)
        }
        tape.append(Token(kind, offset: position - start, extent: count))
        position += count
    }

    private func afterByteOrderMark() -> Position {
        let hasMark = end - start >= 3 && start[0] == 0xEF && start[1] == 0xBB && start[2] == 0xBF
        return hasMark ? start + 3 : start
    }

    @inline(never)
    func unexpected(_ expected: StaticString, _ position: Position) -> JSONError {
        failure(
            .invalidSyntax, .unexpected(expected, position < end ? position.pointee : nil),
            position)
    }

    @inline(never)
    func failure(
        _ code: JSONError.Code, _ reason: JSONError.Reason, _ position: Position
    ) -> JSONError {
        JSONError(code, reason, byteOffset: position - start)
    }
}
