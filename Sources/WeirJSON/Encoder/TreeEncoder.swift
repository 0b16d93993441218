/// The encoder that builds a ``TreeNode``.
struct TreeEncoder: Encoder {
    let node: TreeNode
    var codingPath: [any CodingKey] { node.path }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        if case .object = node.content {} else { node.content = .object([:], order: []) }
        return KeyedEncodingContainer(TreeObject<Key>(node: node))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        if case .array = node.content {} else { node.content = .array([]) }
        return TreeArray(node: node)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer { self }
}

extension TreeEncoder: SingleValueEncodingContainer {
    func encodeNil() throws { node.content = .text(Array("null".utf8)) }
    func encode(_ value: Bool) throws { try leaf { $0.write(value) } }
    func encode(_ value: String) throws { try leaf { $0.write(value) } }
    func encode(_ value: Double) throws { try leaf { try $0.write(value, depth: 0) } }
    func encode(_ value: Float) throws { try leaf { try $0.write(value, depth: 0) } }
    func encode(_ value: Int) throws { try leaf { $0.write(value) } }
    func encode(_ value: Int8) throws { try leaf { $0.write(value) } }
    func encode(_ value: Int16) throws { try leaf { $0.write(value) } }
    func encode(_ value: Int32) throws { try leaf { $0.write(value) } }
    func encode(_ value: Int64) throws { try leaf { $0.write(value) } }
    func encode(_ value: Int128) throws { try leaf { $0.write(value) } }
    func encode(_ value: UInt) throws { try leaf { $0.write(value) } }
    func encode(_ value: UInt8) throws { try leaf { $0.write(value) } }
    func encode(_ value: UInt16) throws { try leaf { $0.write(value) } }
    func encode(_ value: UInt32) throws { try leaf { $0.write(value) } }
    func encode(_ value: UInt64) throws { try leaf { $0.write(value) } }
    func encode(_ value: UInt128) throws { try leaf { $0.write(value) } }
    func encode<Value: Encodable>(_ value: Value) throws {
        if Value.self == String.self || FoundationEncoding(value) != nil {
            return try leaf { try $0.write(value, slot: 0, depth: 0) }
        }
        try value.encode(to: self)
    }

    private func leaf(_ write: (Writer) throws -> Void) throws {
        let writer = Writer(capacity: 32)
        do {
            try write(writer)
        } catch var error as JSONError {
            error.codingPath = node.path.map(PathKey.text)
            throw error
        }
        node.content = .text(Array(writer.text))
    }
}

struct TreeArray: UnkeyedEncodingContainer {
    let node: TreeNode
    var codingPath: [any CodingKey] { node.path }
    var count: Int {
        if case .array(let elements) = node.content { return elements.count }
        return 0
    }

    private var next: TreeEncoder { TreeEncoder(node: node.element()) }

    /// Adds an element once it has been encoded.
    private func add(_ encode: (TreeEncoder) throws -> Void) throws {
        let element = node.newElement()
        try encode(TreeEncoder(node: element))
        node.add(element)
    }

    func encodeNil() throws { try next.encodeNil() }
    func encode<Value: Encodable>(_ value: Value) throws { try add { try $0.encode(value) } }
    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type
    ) -> KeyedEncodingContainer<Nested> { next.container(keyedBy: type) }
    func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer { next.unkeyedContainer() }
    func superEncoder() -> any Encoder { next }
    func encode(_ value: Bool) throws {
        try next.encode(value)
    }
    func encode(_ value: String) throws {
        try next.encode(value)
    }
    func encode(_ value: Double) throws {
        try add { try $0.encode(value) }
    }
    func encode(_ value: Float) throws {
        try add { try $0.encode(value) }
    }
    func encode(_ value: Int) throws {
        try next.encode(value)
    }
    func encode(_ value: Int8) throws {
        try next.encode(value)
    }
    func encode(_ value: Int16) throws {
        try next.encode(value)
    }
    func encode(_ value: Int32) throws {
        try next.encode(value)
    }
    func encode(_ value: Int64) throws {
        try next.encode(value)
    }
    func encode(_ value: Int128) throws {
        try next.encode(value)
    }
    func encode(_ value: UInt) throws {
        try next.encode(value)
    }
    func encode(_ value: UInt8) throws {
        try next.encode(value)
    }
    func encode(_ value: UInt16) throws {
        try next.encode(value)
    }
    func encode(_ value: UInt32) throws {
        try next.encode(value)
    }
    func encode(_ value: UInt64) throws {
        try next.encode(value)
    }
    func encode(_ value: UInt128) throws {
        try next.encode(value)
    }
}

struct TreeObject<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let node: TreeNode
    var codingPath: [any CodingKey] { node.path }

    private func next(_ key: any CodingKey) -> TreeEncoder { TreeEncoder(node: node.member(key)) }

    /// Adds a member once it has been encoded.
    private func add(_ key: Key, _ encode: (TreeEncoder) throws -> Void) throws {
        let member = node.newMember(key)
        try encode(TreeEncoder(node: member))
        node.add(member, as: key)
    }

    func encodeNil(forKey key: Key) throws { try next(key).encodeNil() }
    func encode<Value: Encodable>(_ value: Value, forKey key: Key) throws {
        try add(key) { try $0.encode(value) }
    }
    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type, forKey key: Key
    ) -> KeyedEncodingContainer<Nested> { next(key).container(keyedBy: type) }
    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        next(key).unkeyedContainer()
    }
    func superEncoder() -> any Encoder { next(PathKey.name("super")) }
    func superEncoder(forKey key: Key) -> any Encoder { next(key) }
    func encode(_ value: Bool, forKey key: Key) throws {
        try next(key).encode(value)
    }
    func encode(_ value: String, forKey key: Key) throws {
        try next(key).encode(value)
    }
    func encode(_ value: Double, forKey key: Key) throws {
        try add(key) { try $0.encode(value) }
    }
    func encode(_ value: Float, forKey key: Key) throws {
        try add(key) { try $0.encode(value) }
    }
    func encode(_ value: Int, forKey key: Key) throws {
        try next(key).encode(value)
    }
    func encode(_ value: Int8, forKey key: Key) throws {
        try next(key).encode(value)
    }
    func encode(_ value: Int16, forKey key: Key) throws {
        try next(key).encode(value)
    }
    func encode(_ value: Int32, forKey key: Key) throws {
        try next(key).encode(value)
    }
    func encode(_ value: Int64, forKey key: Key) throws {
        try next(key).encode(value)
    }
    func encode(_ value: Int128, forKey key: Key) throws {
        try next(key).encode(value)
    }
    func encode(_ value: UInt, forKey key: Key) throws {
        try next(key).encode(value)
    }
    func encode(_ value: UInt8, forKey key: Key) throws {
        try next(key).encode(value)
    }
    func encode(_ value: UInt16, forKey key: Key) throws {
        try next(key).encode(value)
    }
    func encode(_ value: UInt32, forKey key: Key) throws {
        try next(key).encode(value)
    }
    func encode(_ value: UInt64, forKey key: Key) throws {
        try next(key).encode(value)
    }
    func encode(_ value: UInt128, forKey key: Key) throws {
        try next(key).encode(value)
    }
}
