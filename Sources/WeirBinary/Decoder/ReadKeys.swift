/// What a storage knows of a type of keys that it reads.
struct ReadKeys {
    let type: UInt
    let maker: Unmanaged<AnyObject>
    /// Whether keys are cases of an enum, whose byte tells their names; nil before the first key.
    var isEnum: Bool?
}

/// Makes containers without asking the runtime for their type: a class has its type parameters.
class KeyedReaderMaker<Key: CodingKey> {
    func container(
        _ document: Document, _ index: Int32, _ links: UnsafeMutablePointer<UInt16>?,
        _ keys: UnsafeMutablePointer<ReadKeys>
    ) -> KeyedDecodingContainer<Key> {
        KeyedDecodingContainer(
            KeyedReader<Key>(document: document, index: index, links: links, keys: keys))
    }
}

private protocol MadeReader: KeyedDecodingContainerProtocol {
    init(
        document: Document, index: Int32, links: UnsafeMutablePointer<UInt16>?,
        keys: UnsafeMutablePointer<ReadKeys>)
}

extension KeyedReader: MadeReader {}

private final class TypedMaker<Key, Container: MadeReader>: KeyedReaderMaker<Key>
where Container.Key == Key {
    override func container(
        _ document: Document, _ index: Int32, _ links: UnsafeMutablePointer<UInt16>?,
        _ keys: UnsafeMutablePointer<ReadKeys>
    ) -> KeyedDecodingContainer<Key> {
        KeyedDecodingContainer(
            Container(document: document, index: index, links: links, keys: keys))
    }
}

/// The types of keys that a storage has met.
struct ReadKeyTypes {
    private typealias Entry = UnsafeMutablePointer<ReadKeys>
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
    func known<Key: CodingKey>(_ keys: Key.Type) -> UnsafeMutablePointer<ReadKeys> {
        let type = UInt(bitPattern: ObjectIdentifier(keys))
        let slot = Int((type >> 3 &* 0x9E37_79B9_7F4A_7C15) >> (64 - Self.capacityLogarithm))
        if let entry = types[slot], entry.pointee.type == type { return entry }
        return search(keys, type, from: slot)
    }

    @inline(never)
    private func search<Key: CodingKey>(
        _ keys: Key.Type, _ type: UInt, from first: Int
    ) -> UnsafeMutablePointer<ReadKeys> {
        var slot = first
        for _ in 0..<Self.capacity {
            guard let entry = types[slot] else { break }
            if entry.pointee.type == type { return entry }
            slot = (slot + 1) & (Self.capacity - 1)
        }
        let entry = Entry.allocate(capacity: 1)
        let maker = TypedMaker<Key, KeyedReader<Key>>()
        entry.initialize(to: ReadKeys(type: type, maker: Unmanaged.passRetained(maker)))
        types[slot] = entry
        return entry
    }
}
