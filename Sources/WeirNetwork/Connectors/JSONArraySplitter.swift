/// Finds the elements of a JSON array without looking into them: whoever decodes them is strict.
struct JSONArraySplitter {
    /// Why bytes are no array.
    struct Failure: Error {
        let offset: Int
        let description: String
    }

    private let bytes: UnsafeRawBufferPointer
    private var position = 0
    private var hasBegun = false

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    static func isSpace(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D
    }

    /// The range of the next element; `nil` behind the last, when nothing but spaces follows.
    mutating func next() throws(Failure) -> Range<Int>? {
        skipSpaces()
        if !hasBegun {
            hasBegun = true
            guard take(UInt8(ascii: "[")) else { throw failure("expected [") }
            skipSpaces()
            if take(UInt8(ascii: "]")) { return try end() }
        } else if take(UInt8(ascii: "]")) {
            return try end()
        } else if !take(UInt8(ascii: ",")) {
            throw failure("expected , or ]")
        }
        skipSpaces()
        let start = position
        try skipElement()
        guard position > start else { throw failure("expected an element") }
        return start..<position
    }

    private func failure(_ text: String) -> Failure { Failure(offset: position, description: text) }

    private mutating func end() throws(Failure) -> Range<Int>? {
        skipSpaces()
        guard position == bytes.count else { throw failure("bytes follow the array") }
        return nil
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard position < bytes.count, bytes[position] == byte else { return false }
        position += 1
        return true
    }

    private mutating func skipSpaces() {
        while position < bytes.count, Self.isSpace(bytes[position]) { position += 1 }
    }

    /// Goes behind an element: up to a comma or bracket that is not within it.
    private mutating func skipElement() throws(Failure) {
        var depth = 0
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: "\""):
                try skipString()
                continue
            case UInt8(ascii: "["), UInt8(ascii: "{"): depth += 1
            case UInt8(ascii: "]"), UInt8(ascii: "}"):
                if depth == 0 { return }
                depth -= 1
            case UInt8(ascii: ",") where depth == 0: return
            default: break
            }
            position += 1
        }
        throw failure("the array does not end")
    }

    private mutating func skipString() throws(Failure) {
        position += 1
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: "\\"): position += 2
            case UInt8(ascii: "\""):
                position += 1
                return
            default: position += 1
            }
        }
        position = bytes.count
        throw failure("a string does not end")
    }
}
