/// Reads the parts of a packet one behind the other.
struct MQTTReader {
    private(set) var rest: UnsafeRawBufferPointer

    init(_ bytes: UnsafeRawBufferPointer) {
        rest = bytes
    }

    var isAtEnd: Bool { rest.isEmpty }

    mutating func take(_ count: Int) throws(MQTTError) -> UnsafeRawBufferPointer {
        guard count <= rest.count else { throw .malformed("a packet is cut short") }
        defer { rest = UnsafeRawBufferPointer(rebasing: rest[count...]) }
        return UnsafeRawBufferPointer(rebasing: rest[..<count])
    }

    mutating func byte() throws(MQTTError) -> UInt8 { try take(1)[0] }

    mutating func short() throws(MQTTError) -> UInt16 {
        let bytes = try take(2)
        return UInt16(bytes[0]) << 8 | UInt16(bytes[1])
    }

    mutating func long() throws(MQTTError) -> UInt32 {
        UInt32(try short()) << 16 | UInt32(try short())
    }

    /// The number of a packet, which is never 0.
    mutating func identifier() throws(MQTTError) -> UInt16 {
        let number = try short()
        if number == 0 { throw .malformed("a packet has the number 0") }
        return number
    }

    mutating func variableLength() throws(MQTTError) -> Int {
        var value = 0
        for shift in [0, 7, 14, 21] {
            let byte = try byte()
            value |= Int(byte & 0x7F) << shift
            if byte & 0x80 == 0 {
                if shift > 0, byte == 0 { break }
                return value
            }
        }
        throw .malformed("a number of variable length is malformed")
    }

    mutating func binary() throws(MQTTError) -> UnsafeRawBufferPointer {
        try take(Int(try short()))
    }

    /// Section 1.5.4: UTF-8 without the null character.
    mutating func string() throws(MQTTError) -> String {
        let bytes = try binary()
        guard !bytes.contains(0), let text = String(validating: bytes, as: UTF8.self) else {
            throw .malformed("a string is not valid UTF-8")
        }
        return text
    }

    mutating func end(_ packet: String) throws(MQTTError) {
        if !rest.isEmpty { throw .malformed("there are bytes behind a \(packet)") }
    }
}
