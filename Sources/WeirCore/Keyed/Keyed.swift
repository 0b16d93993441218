/// A value and the key that it belongs to.
public struct Keyed<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    /// The key.
    public let key: Key
    /// The value.
    public let value: Value

    /// Creates the pair.
    @inlinable
    public init(key: Key, value: Value) {
        self.key = key
        self.value = value
    }
}

extension Keyed: Equatable where Value: Equatable {}
extension Keyed: Hashable where Value: Hashable {}
extension Keyed: Encodable where Key: Encodable, Value: Encodable {}
extension Keyed: Decodable where Key: Decodable, Value: Decodable {}
