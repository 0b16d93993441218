/// Hashes a key by what its `encode(to:)` writes.
///
/// A key that throws while it encodes hashes by what it wrote until then: equal keys still hash
/// equally.
@usableFromInline
@inline(never)
func hashByEncoding(_ key: any Encodable) -> UInt64 {
    hashEncodable(key, path: [])
}

private func hashEncodable(_ value: any Encodable, path: [any CodingKey]) -> UInt64 {
    if let hashing = value as? any StableHashable { return hashing.stableHashValue }
    if let unordered = value as? any UnorderedMembers { return unordered.hashMembers(path: path) }
    let node = HashNode()
    try? value.encode(to: HashingEncoder(node: node, codingPath: path))
    return node.hash
}

/// A collection whose members have no order of their own, so that their hashes are added up.
private protocol UnorderedMembers {
    func hashMembers(path: [any CodingKey]) -> UInt64
}

extension Set: UnorderedMembers where Element: Encodable {
    fileprivate func hashMembers(path: [any CodingKey]) -> UInt64 {
        hashWord(
            reduce(UInt64(count)) { sum, member in
                sum &+ hashWord(hashEncodable(member, path: path))
            })
    }
}

extension Dictionary: UnorderedMembers where Key: Encodable, Value: Encodable {
    fileprivate func hashMembers(path: [any CodingKey]) -> UInt64 {
        hashWord(
            reduce(UInt64(count)) { sum, member in
                let key = hashEncodable(member.key, path: path)
                return sum &+ foldedMultiply(key, hashEncodable(member.value, path: path) | 1)
            })
    }
}

/// What one container has written: a sum over its members, each hashed together with its name or
/// its index.
private final class HashNode {
    private var sum: UInt64 = 0x6c62_272e_07bb_0142
    private var nested: [(label: UInt64, node: HashNode)] = []

    func add(_ hash: UInt64, label: UInt64) {
        sum &+= hashWord(
            foldedMultiply(label ^ 0x589c_3b5d_7a1e_4f69, hash ^ 0x1d8e_4e27_c47d_124f))
    }

    func addNested(label: UInt64) -> HashNode {
        let node = HashNode()
        nested.append((label, node))
        return node
    }

    /// Complete only when all nested containers have been written, that is after `encode(to:)` has
    /// returned.
    var hash: UInt64 {
        for (label, node) in nested { add(node.hash, label: label) }
        nested = []
        return hashWord(sum)
    }
}

private struct HashingEncoder: Encoder {
    let node: HashNode
    let codingPath: [any CodingKey]
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        KeyedEncodingContainer(KeyedHashing(node: node, codingPath: codingPath))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        UnkeyedHashing(node: node, codingPath: codingPath)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer {
        SingleHashing(node: node, codingPath: codingPath)
    }
}

private struct KeyedHashing<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let node: HashNode
    let codingPath: [any CodingKey]

    mutating func encodeNil(forKey key: Key) {
        node.add(0, label: hashText(key.stringValue))
    }

    mutating func encode<Value: Encodable>(_ value: Value, forKey key: Key) {
        node.add(hashValue(value, path: codingPath), label: hashText(key.stringValue))
    }

    mutating func nestedContainer<Nested: CodingKey>(
        keyedBy keyType: Nested.Type, forKey key: Key
    ) -> KeyedEncodingContainer<Nested> {
        nested(key.stringValue).container(keyedBy: keyType)
    }

    mutating func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        nested(key.stringValue).unkeyedContainer()
    }

    mutating func superEncoder() -> any Encoder { nested("super") }

    mutating func superEncoder(forKey key: Key) -> any Encoder { nested(key.stringValue) }

    private func nested(_ name: String) -> HashingEncoder {
        HashingEncoder(node: node.addNested(label: hashText(name)), codingPath: codingPath)
    }
}

private struct UnkeyedHashing: UnkeyedEncodingContainer {
    let node: HashNode
    let codingPath: [any CodingKey]
    var count = 0

    mutating func encodeNil() {
        node.add(0, label: nextLabel())
    }

    mutating func encode<Value: Encodable>(_ value: Value) {
        node.add(hashValue(value, path: codingPath), label: nextLabel())
    }

    mutating func nestedContainer<Nested: CodingKey>(
        keyedBy keyType: Nested.Type
    ) -> KeyedEncodingContainer<Nested> {
        nested().container(keyedBy: keyType)
    }

    mutating func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer {
        nested().unkeyedContainer()
    }

    mutating func superEncoder() -> any Encoder { nested() }

    private mutating func nextLabel() -> UInt64 {
        defer { count += 1 }
        return UInt64(count)
    }

    private mutating func nested() -> HashingEncoder {
        HashingEncoder(node: node.addNested(label: nextLabel()), codingPath: codingPath)
    }
}

private struct SingleHashing: SingleValueEncodingContainer {
    let node: HashNode
    let codingPath: [any CodingKey]

    mutating func encodeNil() {
        node.add(0, label: 0)
    }

    mutating func encode<Value: Encodable>(_ value: Value) {
        node.add(hashValue(value, path: codingPath), label: 0)
    }
}

/// The types that the standard library encodes through themselves hash by their value.
private func hashValue<Value: Encodable>(_ value: Value, path: [any CodingKey]) -> UInt64 {
    switch value {
    case let value as Int: hashSigned(value)
    case let value as String: hashText(value)
    case let value as Int64: hashSigned(value)
    case let value as UInt64: hashWord(value)
    case let value as Double: hashNumber(value)
    case let value as Bool: hashWord(value ? 1 : 0)
    case let value as Float: hashNumber(Double(value))
    case let value as Int32: hashSigned(value)
    case let value as Int16: hashSigned(value)
    case let value as Int8: hashSigned(value)
    case let value as UInt: hashWord(UInt64(value))
    case let value as UInt32: hashWord(UInt64(value))
    case let value as UInt16: hashWord(UInt64(value))
    case let value as UInt8: hashWord(UInt64(value))
    case let value as Int128: hashWide(UInt128(bitPattern: value))
    case let value as UInt128: hashWide(value)
    default: hashEncodable(value, path: path)
    }
}

private func hashWide(_ value: UInt128) -> UInt64 {
    let high = UInt64(truncatingIfNeeded: value >> 64)
    return hashWord(foldedMultiply(high ^ 0x8ebc_6af0_9c88_c6e3, UInt64(truncatingIfNeeded: value)))
}
