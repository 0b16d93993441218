/// The encoder that builds a ``TreeNode``.
struct TreeEncoder: Encoder {
    let node: TreeNode
    var codingPath: [any CodingKey] { node.path }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        node.becomeObject()
        return KeyedEncodingContainer(TreeObject<Key>(node: node))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        node.becomeArray()
        return TreeArray(node: node)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer { self }
}

extension TreeEncoder: SingleValueEncodingContainer {
    func encodeNil() throws { node.content = .leaf { $0.writeNull() } }
    func encode(_ value: Bool) throws { node.content = .leaf { $0.write(value) } }
    func encode(_ value: String) throws { node.content = .leaf { $0.write(value) } }
    func encode(_ value: Double) throws { node.content = .leaf { $0.write(value) } }
    func encode(_ value: Float) throws { node.content = .leaf { $0.write(value) } }
    func encode(_ value: Int) throws { node.content = .leaf { $0.write(value) } }
    func encode(_ value: Int8) throws { node.content = .leaf { $0.write(value) } }
    func encode(_ value: Int16) throws { node.content = .leaf { $0.write(value) } }
    func encode(_ value: Int32) throws { node.content = .leaf { $0.write(value) } }
    func encode(_ value: Int64) throws { node.content = .leaf { $0.write(value) } }
    func encode(_ value: Int128) throws { node.content = .leaf { $0.write(value) } }
    func encode(_ value: UInt) throws { node.content = .leaf { $0.write(value) } }
    func encode(_ value: UInt8) throws { node.content = .leaf { $0.write(value) } }
    func encode(_ value: UInt16) throws { node.content = .leaf { $0.write(value) } }
    func encode(_ value: UInt32) throws { node.content = .leaf { $0.write(value) } }
    func encode(_ value: UInt64) throws { node.content = .leaf { $0.write(value) } }
    func encode(_ value: UInt128) throws { node.content = .leaf { $0.write(value) } }
    func encode<Value: Encodable>(_ value: Value) throws {
        if let bytes = value as? [UInt8], Value.self == [UInt8].self {
            node.content = .leaf { $0.write(bytes) }
            return
        }
        try node.checkDepth()
        try value.encode(to: self)
    }
}

/// The elements of an array of a tree.
struct TreeArray: UnkeyedEncodingContainer {
    let node: TreeNode
    var codingPath: [any CodingKey] { node.path }
    var count: Int { node.children.count }

    private func next() -> TreeEncoder { TreeEncoder(node: node.element()) }

    func encodeNil() throws { try next().encodeNil() }
    func encode(_ value: Bool) throws { try next().encode(value) }
    func encode(_ value: String) throws { try next().encode(value) }
    func encode(_ value: Double) throws { try next().encode(value) }
    func encode(_ value: Float) throws { try next().encode(value) }
    func encode(_ value: Int) throws { try next().encode(value) }
    func encode(_ value: Int8) throws { try next().encode(value) }
    func encode(_ value: Int16) throws { try next().encode(value) }
    func encode(_ value: Int32) throws { try next().encode(value) }
    func encode(_ value: Int64) throws { try next().encode(value) }
    func encode(_ value: Int128) throws { try next().encode(value) }
    func encode(_ value: UInt) throws { try next().encode(value) }
    func encode(_ value: UInt8) throws { try next().encode(value) }
    func encode(_ value: UInt16) throws { try next().encode(value) }
    func encode(_ value: UInt32) throws { try next().encode(value) }
    func encode(_ value: UInt64) throws { try next().encode(value) }
    func encode(_ value: UInt128) throws { try next().encode(value) }
    func encode<Value: Encodable>(_ value: Value) throws {
        let element = node.newElement()
        try TreeEncoder(node: element).encode(value)
        node.add(element)
    }
    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type
    ) -> KeyedEncodingContainer<Nested> {
        next().container(keyedBy: type)
    }
    func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer { next().unkeyedContainer() }
    func superEncoder() -> any Encoder { next() }
}

/// The members of a keyed value of a tree.
struct TreeObject<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let node: TreeNode
    var codingPath: [any CodingKey] { node.path }

    private func next(_ key: Key) -> TreeEncoder {
        TreeEncoder(node: node.member(key.stringValue, isFixed: WrittenKeys.isEnum(key)))
    }

    func encodeNil(forKey key: Key) throws { try next(key).encodeNil() }
    func encode(_ value: Bool, forKey key: Key) throws { try next(key).encode(value) }
    func encode(_ value: String, forKey key: Key) throws { try next(key).encode(value) }
    func encode(_ value: Double, forKey key: Key) throws { try next(key).encode(value) }
    func encode(_ value: Float, forKey key: Key) throws { try next(key).encode(value) }
    func encode(_ value: Int, forKey key: Key) throws { try next(key).encode(value) }
    func encode(_ value: Int8, forKey key: Key) throws { try next(key).encode(value) }
    func encode(_ value: Int16, forKey key: Key) throws { try next(key).encode(value) }
    func encode(_ value: Int32, forKey key: Key) throws { try next(key).encode(value) }
    func encode(_ value: Int64, forKey key: Key) throws { try next(key).encode(value) }
    func encode(_ value: Int128, forKey key: Key) throws { try next(key).encode(value) }
    func encode(_ value: UInt, forKey key: Key) throws { try next(key).encode(value) }
    func encode(_ value: UInt8, forKey key: Key) throws { try next(key).encode(value) }
    func encode(_ value: UInt16, forKey key: Key) throws { try next(key).encode(value) }
    func encode(_ value: UInt32, forKey key: Key) throws { try next(key).encode(value) }
    func encode(_ value: UInt64, forKey key: Key) throws { try next(key).encode(value) }
    func encode(_ value: UInt128, forKey key: Key) throws { try next(key).encode(value) }
    func encode<Value: Encodable>(_ value: Value, forKey key: Key) throws {
        let member = node.newMember(key.stringValue)
        try TreeEncoder(node: member).encode(value)
        node.add(member, as: key.stringValue, isFixed: WrittenKeys.isEnum(key))
    }
    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type, forKey key: Key
    ) -> KeyedEncodingContainer<Nested> {
        next(key).container(keyedBy: type)
    }
    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        next(key).unkeyedContainer()
    }
    func superEncoder() -> any Encoder {
        TreeEncoder(node: node.member("super", isFixed: true))
    }
    func superEncoder(forKey key: Key) -> any Encoder { next(key) }
}
