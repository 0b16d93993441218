import WeirBinary

/// Entries as bytes, laid out as in a checkpoint: key, value and deadline, one entry after the
/// other.
struct BucketCoder<Key: Hashable & Codable & Sendable, Value>: Sendable {
    typealias Stored = (key: Key, value: Value, deadline: Int64)

    struct CutShort: Error, CustomStringConvertible {
        var description: String { "an entry of keyed state is cut short" }
    }

    let codec: StateCodec<Value>

    /// The ids whose top seven bits are the group.
    static func ids(ofGroup group: Int) -> ClosedRange<UInt64> {
        let first = UInt64(group) << 57
        return first...(first | (1 << 57 - 1))
    }

    func encode(_ entries: [Stored]) throws -> [UInt8] {
        var writer = BinaryWriter()
        for entry in entries { try append(entry, to: &writer) }
        return writer.finish()
    }

    private func append(_ entry: Stored, to writer: inout BinaryWriter) throws {
        try writer.append(entry.key)
        try codec.write(entry.value, &writer)
        try writer.append(entry.deadline)
    }

    func decode(_ bytes: [UInt8]) throws -> [Stored] {
        var reader = try BinaryReader(bytes)
        var entries: [Stored] = []
        while let key = try reader.next(Key.self) {
            guard let value = try codec.read(&reader), let deadline = try reader.next(Int64.self)
            else { throw CutShort() }
            entries.append((key, value, deadline))
        }
        return entries
    }

    /// How many bytes of values make a section of a checkpoint.
    private static var sectionBytes: Int { 256 << 10 }

    /// Copies a snapshot into sections of a checkpoint, none of which is big.
    func copy(_ snapshot: any ColdSnapshot, _ emit: (Int, [UInt8]) throws -> Void) throws {
        for group in 0..<KeyGroup.count {
            var writer = BinaryWriter()
            try snapshot.forEach(Self.ids(ofGroup: group)) { _, bytes in
                for entry in try decode(bytes) { try append(entry, to: &writer) }
                if writer.byteCount >= Self.sectionBytes { try emit(group, writer.finish()) }
            }
            if writer.count > 0 { try emit(group, writer.finish()) }
        }
    }
}
