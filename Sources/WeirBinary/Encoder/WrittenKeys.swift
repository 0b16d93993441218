/// What a storage knows of a type of keys that it writes.
struct WrittenKeys {
    enum Mode {
        /// Not known before the first key.
        case unknown
        /// Cases of an enum: their names are in a shape, once for a document.
        case shape
        /// Names that are written with each value; those of a Dictionary are known to differ.
        case dictionary, names
    }

    let type: UInt
    let maker: Unmanaged<AnyObject>
    var mode = Mode.unknown
    let root: UInt32
    /// How many bytes the last header took.
    var header: UInt8 = 1

    /// What tells the cases of an enum apart.
    @inline(__always)
    static func byte<Key>(of key: Key) -> UInt8 {
        // Safety: the size has been compared.
        MemoryLayout<Key>.size == 1 ? unsafeBitCast(key, to: UInt8.self) : 0
    }

    @inline(never)
    static func mode(of key: some CodingKey) -> Mode {
        if isEnum(key) { return .shape }
        return String(reflecting: Swift.type(of: key)) == "Swift._DictionaryCodingKey"
            ? .dictionary : .names
    }

    /// Whether a key is a case of an enum of one byte, so that the byte tells its name.
    static func isEnum<Key: CodingKey>(_ key: Key) -> Bool {
        MemoryLayout<Key>.size <= 1 && Mirror(reflecting: key).displayStyle == .enum
    }
}

/// Makes containers without asking the runtime for their type: a class has its type parameters.
class KeyedWriterMaker<Key: CodingKey> {
    func container(
        _ writer: Writer, _ keys: UnsafeMutablePointer<WrittenKeys>, depth: Int32, serial: UInt32
    ) -> KeyedEncodingContainer<Key> {
        KeyedEncodingContainer(
            KeyedWriter<Key>(writer: writer, depth: depth, serial: serial, keys: keys))
    }
}

private protocol MadeWriter: KeyedEncodingContainerProtocol {
    init(writer: Writer, depth: Int32, serial: UInt32, keys: UnsafeMutablePointer<WrittenKeys>)
}

extension KeyedWriter: MadeWriter {}

private final class TypedMaker<Key, Container: MadeWriter>: KeyedWriterMaker<Key>
where Container.Key == Key {
    override func container(
        _ writer: Writer, _ keys: UnsafeMutablePointer<WrittenKeys>, depth: Int32, serial: UInt32
    ) -> KeyedEncodingContainer<Key> {
        KeyedEncodingContainer(
            Container(writer: writer, depth: depth, serial: serial, keys: keys))
    }
}

/// The types of keys that a storage has met.
struct WrittenKeyTypes {
    private typealias Entry = UnsafeMutablePointer<WrittenKeys>
    private let types: UnsafeMutablePointer<Entry?>
    private static let capacityLogarithm: UInt = 10
    private static let capacity = 1 << capacityLogarithm

    init() {
        types = .allocate(capacity: Self.capacity)
        types.initialize(repeating: nil, count: Self.capacity)
    }

    /// What is known of a type.
    ///
    /// Entries are never freed; one that is displaced is made anew.
    @inline(__always)
    func known<Key: CodingKey>(
        _ keys: Key.Type, _ storage: UnsafeMutablePointer<WriterStorage>
    ) -> UnsafeMutablePointer<WrittenKeys> {
        let type = UInt(bitPattern: ObjectIdentifier(keys))
        let slot = Int((type >> 3 &* 0x9E37_79B9_7F4A_7C15) >> (64 - Self.capacityLogarithm))
        if let entry = types[slot], entry.pointee.type == type { return entry }
        return search(keys, type, from: slot, storage)
    }

    @inline(never)
    private func search<Key: CodingKey>(
        _ keys: Key.Type, _ type: UInt, from first: Int,
        _ storage: UnsafeMutablePointer<WriterStorage>
    ) -> UnsafeMutablePointer<WrittenKeys> {
        var slot = first
        for _ in 0..<Self.capacity {
            guard let entry = types[slot] else { break }
            if entry.pointee.type == type { return entry }
            slot = (slot + 1) & (Self.capacity - 1)
        }
        let entry = Entry.allocate(capacity: 1)
        entry.initialize(
            to: WrittenKeys(
                type: type, maker: Unmanaged.passRetained(TypedMaker<Key, KeyedWriter<Key>>()),
                root: storage.pointee.shapes.makeRoot()))
        types[slot] = entry
        return entry
    }
}
