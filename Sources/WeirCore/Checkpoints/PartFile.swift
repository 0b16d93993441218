import WeirJournal

/// A piece of a checkpoint's file: portions of state, one behind the other, each with a checksum.
///
/// Layout, little endian: length of the body (4 bytes), CRC-32C of the body (4), and the body:
/// length of the state's name (2), the name in UTF-8, key group (2, 0xFFFF for none), the portion.
///
/// A file that is encrypted begins with `WPE1` and 16 random bytes; each body there is the number of
/// the key (2) and the sealed body.
package struct PartSection: Sendable {
    package let id: String
    package let group: Int
    package let bytes: [UInt8]

    package init(id: String, group: Int, bytes: [UInt8]) {
        self.id = id
        self.group = group
        self.bytes = bytes
    }

    func append(to file: inout [UInt8]) {
        Self.append(body, to: &file)
    }

    /// Appends the section, sealed.
    func append(to file: inout [UInt8], sealer: inout PartSealer) throws {
        if sealer.count == 0 { file.append(contentsOf: sealer.header) }
        Self.append(try sealer.seal(body), to: &file)
    }

    private static func append(_ body: [UInt8], to file: inout [UInt8]) {
        file.appendNumber(UInt32(body.count))
        file.appendNumber(body.withUnsafeBytes { Checksum.of($0) })
        file.append(contentsOf: body)
    }

    private var body: [UInt8] {
        var body: [UInt8] = []
        body.reserveCapacity(bytes.count + id.utf8.count + 4)
        body.appendNumber(UInt16(id.utf8.count))
        body.append(contentsOf: id.utf8)
        body.appendNumber(UInt16(truncatingIfNeeded: group))
        body.append(contentsOf: bytes)
        return body
    }

    /// The section that has this body; nil when the body is too short for its name.
    init?(body: [UInt8]) {
        guard body.count >= 4 else { return nil }
        let nameLength = Int(body.number(UInt16.self, at: 0))
        guard nameLength + 4 <= body.count else { return nil }
        self.init(
            id: String(decoding: body[2..<(2 + nameLength)], as: UTF8.self),
            group: Int(Int16(bitPattern: body.number(UInt16.self, at: 2 + nameLength))),
            bytes: Array(body[(4 + nameLength)...]))
    }
}

extension [UInt8] {
    mutating func appendNumber(_ number: some FixedWidthInteger) {
        Swift.withUnsafeBytes(of: number.littleEndian) { append(contentsOf: $0) }
    }

    func number<Number: FixedWidthInteger>(_ type: Number.Type, at offset: Int) -> Number {
        withUnsafeBytes {
            Number(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: Number.self))
        }
    }
}

extension UInt8 {
    /// Whether it is a letter or a digit of ASCII.
    var isASCIIAlphanumeric: Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(self)
            || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(self)
            || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(self)
    }
}
