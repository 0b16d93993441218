/// Reads the parts of a syslog message one behind the other.
struct SyslogReader {
    private let bytes: UnsafeRawBufferPointer
    private(set) var position = 0

    init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
    }

    var isAtEnd: Bool { position == bytes.count }
    var current: UInt8? { isAtEnd ? nil : bytes[position] }
    var rest: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: bytes[position...]) }
    subscript(position: Int) -> UInt8 { bytes[position] }

    mutating func advance() { position += 1 }

    /// The digit that comes next, which is not taken.
    func digit() -> Int? {
        guard let byte = current, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else {
            return nil
        }
        return Int(byte - UInt8(ascii: "0"))
    }

    mutating func take(_ byte: UInt8) -> Bool {
        guard current == byte else { return false }
        position += 1
        return true
    }

    mutating func expect(_ byte: UInt8, _ what: String) throws(SyslogError) {
        if !take(byte) { throw SyslogError("there is no \(what)", at: position) }
    }

    /// Visible ASCII up to a space or the end; nil for `-`.
    mutating func word(_ what: String, limit: Int) throws(SyslogError) -> String? {
        try rawWord(what, limit: limit).map { String(decoding: $0, as: UTF8.self) }
    }

    mutating func rawWord(
        _ what: String, limit: Int
    ) throws(SyslogError) -> UnsafeRawBufferPointer? {
        let start = position
        while let byte = current, byte != UInt8(ascii: " ") {
            guard (33...126).contains(byte) else {
                throw SyslogError("the \(what) is not all visible ASCII", at: position)
            }
            guard position - start < limit else {
                throw SyslogError("the \(what) is longer than \(limit) bytes", at: start)
            }
            position += 1
        }
        if position == start { throw SyslogError("the \(what) is empty", at: start) }
        let word = UnsafeRawBufferPointer(rebasing: bytes[start..<position])
        return word.count == 1 && word[0] == UInt8(ascii: "-") ? nil : word
    }

    /// The name of an element or a value: visible ASCII but `=`, `]`, `"` and space.
    mutating func name(_ what: String) throws(SyslogError) -> String {
        let start = position
        while let byte = current, (33...126).contains(byte), byte != UInt8(ascii: "="),
            byte != UInt8(ascii: "]"), byte != UInt8(ascii: "\"")
        {
            guard position - start < 32 else {
                throw SyslogError("the name of a \(what) is longer than 32 bytes", at: start)
            }
            position += 1
        }
        if position == start { throw SyslogError("the name of a \(what) is empty", at: start) }
        return String(decoding: bytes[start..<position], as: UTF8.self)
    }
}
