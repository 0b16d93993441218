import WeirJournal

/// A piece of a checkpoint's file: portions of state, one behind the other, each with a checksum.
///
/// Layout, little endian: length of the body (4 bytes), CRC-32C of the body (4), and the body:
/// length of the state's name (2), the name in UTF-8, key group (2, 0xFFFF for none), the portion.
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
        var body: [UInt8] = []
        body.reserveCapacity(bytes.count + id.utf8.count + 4)
        body.appendNumber(UInt16(id.utf8.count))
        body.append(contentsOf: id.utf8)
        body.appendNumber(UInt16(truncatingIfNeeded: group))
        body.append(contentsOf: bytes)
        file.appendNumber(UInt32(body.count))
        file.appendNumber(body.withUnsafeBytes { Checksum.of($0) })
        file.append(contentsOf: body)
    }

    /// The sections of a file.
    ///
    /// - Throws: ``ManifestProblem`` that says at which offset the file is damaged.
    package static func read(_ file: [UInt8]) throws(ManifestProblem) -> [PartSection] {
        var sections: [PartSection] = []
        var offset = 0
        while offset < file.count {
            guard file.count - offset >= 8 else { throw damaged(offset) }
            let length = Int(file.number(UInt32.self, at: offset))
            let sum = file.number(UInt32.self, at: offset + 4)
            guard length >= 4, length <= file.count - offset - 8 else { throw damaged(offset) }
            let start = offset + 8
            let isWhole = file.withUnsafeBytes {
                Checksum.of(UnsafeRawBufferPointer(rebasing: $0[start..<(start + length)])) == sum
            }
            let nameLength = Int(file.number(UInt16.self, at: start))
            guard isWhole, nameLength + 4 <= length else { throw damaged(offset) }
            let name = file[(start + 2)..<(start + 2 + nameLength)]
            let group = Int(
                Int16(bitPattern: file.number(UInt16.self, at: start + 2 + nameLength)))
            sections.append(
                PartSection(
                    id: String(decoding: name, as: UTF8.self), group: group,
                    bytes: Array(file[(start + 4 + nameLength)..<(start + length)])))
            offset = start + length
        }
        return sections
    }

    private static func damaged(_ offset: Int) -> ManifestProblem {
        ManifestProblem(description: "it is damaged at offset \(offset)")
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
