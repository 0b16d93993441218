/// The names of the keys of one enum, by the byte that tells its cases apart.
///
/// Synthesized keys are enums of one byte. A name is asked of its key once for each storage and
/// then known by the byte: comparing it with the document takes a few instructions, where asking
/// takes two dynamic calls and a string. Other types of keys are asked every time.
struct KeyNames {
    /// A name in ASCII, with all that a key's token has of an equal key.
    private struct Name {
        let start: UnsafeMutablePointer<UInt8>
        let extentAndKind: UInt32
        let print: UInt64
    }

    private let names: UnsafeMutablePointer<Name?>

    /// The bytes that may have a name; a type with more cases asks for the names of the others.
    private static let bytesMaximum = 64

    init() {
        names = .allocate(capacity: Self.bytesMaximum)
        names.initialize(repeating: nil, count: Self.bytesMaximum)
    }

    /// Whether keys of this type can be told apart by a byte.
    @inline(__always)
    static func suit<Key>(_ type: Key.Type) -> Bool { MemoryLayout<Key>.size == 1 }

    @inline(__always)
    private func name<Key>(of key: Key) -> Name? {
        // Safety: names are only there for types of this size, as ``suit(_:)`` says.
        let byte = Int(unsafeBitCast(key, to: UInt8.self))
        return byte < Self.bytesMaximum ? names[byte] : nil
    }

    /// Whether a key's token, of ASCII in the document at `bytes`, is known to be this key.
    @inline(__always)
    func match<Key>(_ key: Key, _ token: Token, _ bytes: UnsafeMutablePointer<UInt8>) -> Bool {
        guard let name = name(of: key), name.print == token.payload,
            name.extentAndKind == token.extentAndKind
        else { return false }
        // A fingerprint is all of a short name.
        return token.extent < 8
            || KeyFingerprint.equal(name.start, bytes + Int(token.offset), token.extent)
    }

    /// The bytes of a key's name, if it is known or can be from now on.
    func bytes(of key: some CodingKey) -> UnsafeBufferPointer<UInt8>? {
        guard let name = name(of: key) ?? learn(key), name.extentAndKind != 0 else { return nil }
        return UnsafeBufferPointer(start: name.start, count: Int(name.extentAndKind >> 4))
    }

    @inline(never)
    private func learn(_ key: some CodingKey) -> Name? {
        // Safety: as in ``name(of:)``.
        let byte = Int(unsafeBitCast(key, to: UInt8.self))
        guard byte < Self.bytesMaximum else { return nil }
        let text = Array(key.stringValue.utf8)
        let isEnum = Mirror(reflecting: key).displayStyle == .enum
        let isPlain = isEnum && text.count < 1 << 16 && text.allSatisfy { $0 < 0x80 }
        // Safety: never freed, as a container that outlives its call still points here.
        let start = UnsafeMutablePointer<UInt8>.allocate(capacity: text.count + 1)
        start.initialize(from: text, count: text.count)
        let print = KeyFingerprint.of(UnsafeBufferPointer(start: start, count: text.count))
        let token = Token(Token.Kind.ascii, offset: 0, extent: text.count)
        // No key's token has the kind zero: such a name matches none.
        names[byte] = Name(
            start: start, extentAndKind: isPlain ? token.extentAndKind : 0, print: print)
        return names[byte]
    }
}

/// What a storage knows of a type of keys.
struct KnownKeys {
    let type: UInt
    let names: KeyNames
    private let maker: Unmanaged<AnyObject>

    init<Key: CodingKey>(_ type: UInt, _ keys: Key.Type) {
        self.type = type
        names = KeyNames()
        let maker = TypedContainerMaker<Key, ObjectContainer<Key>>()
        self.maker = Unmanaged.passRetained(maker)
    }

    /// A container of the members of the object at `index`; `Key` is the type this was made for.
    @inline(__always)
    func container<Key: CodingKey>(
        _ keys: Key.Type, _ document: Document, _ index: Int32
    ) -> KeyedDecodingContainer<Key> {
        // Safety: the maker is never freed, and was made for this type.
        maker._withUnsafeGuaranteedRef {
            unsafeDowncast($0, to: ContainerMaker<Key>.self).container(document, index, names)
        }
    }
}

/// Makes containers without asking the runtime for their type: a class has its type parameters.
private class ContainerMaker<Key: CodingKey> {
    func container(
        _ document: Document, _ index: Int32, _ names: KeyNames
    ) -> KeyedDecodingContainer<Key> {
        KeyedDecodingContainer(ObjectContainer<Key>(document, index, names))
    }
}

private final class TypedContainerMaker<Key, Container: MemberContainer>: ContainerMaker<Key>
where Container.Key == Key {
    override func container(
        _ document: Document, _ index: Int32, _ names: KeyNames
    ) -> KeyedDecodingContainer<Key> {
        KeyedDecodingContainer(Container(document, index, names))
    }
}

/// The names that a storage has learned, by the type of the keys.
struct KeyNamesTable {
    private let types: UnsafeMutablePointer<KnownKeys?>

    private static let capacityLogarithm: UInt = 8
    private static let capacity = 1 << capacityLogarithm
    /// How many slots are looked at; a type that finds none free does without.
    private static let probesMaximum = 4

    init() {
        types = .allocate(capacity: Self.capacity)
        types.initialize(repeating: nil, count: Self.capacity)
    }

    /// The names of a type's keys, if they can be known.
    @inline(__always)
    func known<Key: CodingKey>(_ keys: Key.Type) -> KnownKeys? {
        guard KeyNames.suit(keys) else { return nil }
        let type = UInt(bitPattern: ObjectIdentifier(keys))
        let slot = Int((type >> 3 &* 0x9E37_79B9_7F4A_7C15) >> (64 - Self.capacityLogarithm))
        if let entry = types[slot], entry.type == type { return entry }
        return searched(type, keys, from: slot)
    }

    @inline(never)
    private func searched<Key: CodingKey>(
        _ type: UInt, _ keys: Key.Type, from first: Int
    ) -> KnownKeys? {
        for probe in 0..<Self.probesMaximum {
            let slot = (first + probe) & (Self.capacity - 1)
            guard let entry = types[slot] else {
                let known = KnownKeys(type, keys)
                types[slot] = known
                return known
            }
            if entry.type == type { return entry }
        }
        return nil
    }
}
