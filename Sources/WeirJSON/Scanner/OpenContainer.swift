/// The innermost array or object that the scanner is in; those around it wait in their tokens.
struct OpenContainer {
    /// The index of its first token, or -1 outside of all.
    private(set) var index = -1
    private(set) var isObject = false
    /// The number of its elements so far.
    var count = 0
    /// A Bloom filter of its keys so far.
    private var keys: UInt64 = 0
    private var keyOrder = Token.KeyOrder.distinct

    /// Up to how many keys are compared with those before them as they come.
    private static let comparedKeysMaximum = 24

    @inline(__always)
    mutating func enter(_ opensObject: Bool, offset: Int, _ tape: inout Tape) {
        let place = isObject ? tape.count - 1 : count
        if index >= 0 {
            tape.tokens[index].payload = keys
            tape.tokens[index + 1].extentAndKind = UInt32(truncatingIfNeeded: count)
            tape.tokens[index + 1].payload = keyOrder
        }
        let parent = index
        index = tape.count
        tape.append(
            Token(
                opensObject ? Token.Kind.object : Token.Kind.array, offset: offset,
                extent: parent))
        tape.append(
            Token(offset: UInt32(truncatingIfNeeded: place), extentAndKind: 0, payload: 0))
        isObject = opensObject
        count = 0
        keys = 0
        keyOrder = Token.KeyOrder.distinct
    }

    @inline(__always)
    mutating func leave(_ tape: Tape) {
        let parent = tape.tokens[index].extent
        tape.tokens[index].payload = UInt64(tape.count) | UInt64(index + 2) << 32
        tape.tokens[index + 1].extentAndKind = UInt32(truncatingIfNeeded: count)
        tape.tokens[index + 1].payload = keyOrder
        if parent == Tape.noParent {
            index = -1
            return
        }
        index = parent
        isObject = tape.tokens[parent].kind == Token.Kind.object
        keys = tape.tokens[parent].payload
        count = Int(tape.tokens[parent + 1].extentAndKind)
        keyOrder = tape.tokens[parent + 1].payload
    }

    /// Notes a key that is not in ASCII or has escapes.
    @inline(__always)
    mutating func addRareKey() { keyOrder = Token.KeyOrder.complex }

    /// Notes the key that is the last token by its fingerprint: it may equal one before it.
    @inline(__always)
    mutating func addKey(_ print: UInt64, _ tape: Tape) {
        let bit: UInt64 = 1 << ((print &* 0x9E37_79B9_7F4A_7C15) >> 58)
        if keys & bit != 0, keyOrder == Token.KeyOrder.distinct {
            keyOrder = Self.order(index, count, tape, print)
        }
        keys |= bit
    }

    @inline(never)
    private static func order(
        _ object: Int, _ count: Int, _ tape: Tape, _ print: UInt64
    ) -> UInt64 {
        guard count <= comparedKeysMaximum else { return Token.KeyOrder.unchecked }
        var key = object + 2
        for _ in 0..<count {
            if tape.tokens[key].payload == print { return Token.KeyOrder.complex }
            let value = tape.tokens[key + 1]
            key = value.isContainer ? value.end : key + 2
        }
        return Token.KeyOrder.distinct
    }
}
