/// Returns a 64-bit hash of `key` that is the same in every process, on every machine and in every
/// run.
///
/// It places keys in key groups, in tables and on parallel instances, so it is part of the
/// checkpoint format. Integers of every width, `String`, `Bool`, `Double`, `Float` and
/// ``EventTime`` take a fast path that is resolved when the call is specialised; types that conform
/// to ``StableHashable`` hash themselves; every other key is hashed through its `encode(to:)`. For
/// these, equal keys must encode equally: keyed containers hash independently of the order in which
/// their fields are written, unkeyed containers in order, sets and dictionaries independently of
/// the order of their members. A type whose `==` ignores something that it encodes must conform to
/// ``StableHashable``.
///
/// The hash has no secret. A peer that chooses keys freely can make many of them collide.
///
/// - Complexity: O(size of the key).
@inlinable
public func stableHash<Key: Hashable & Codable>(_ key: Key) -> UInt64 {
    if Key.self == Int.self { return hashWord(UInt64(bitPattern: Int64(same(key, Int.self)))) }
    if Key.self == String.self { return hashText(same(key, String.self)) }
    if Key.self == Int64.self { return hashWord(UInt64(bitPattern: same(key, Int64.self))) }
    if Key.self == UInt64.self { return hashWord(same(key, UInt64.self)) }
    if Key.self == Int32.self { return hashSigned(same(key, Int32.self)) }
    if Key.self == UInt32.self { return hashWord(UInt64(same(key, UInt32.self))) }
    if Key.self == UInt.self { return hashWord(UInt64(same(key, UInt.self))) }
    if Key.self == Int16.self { return hashSigned(same(key, Int16.self)) }
    if Key.self == UInt16.self { return hashWord(UInt64(same(key, UInt16.self))) }
    if Key.self == Int8.self { return hashSigned(same(key, Int8.self)) }
    if Key.self == UInt8.self { return hashWord(UInt64(same(key, UInt8.self))) }
    if Key.self == Bool.self { return hashWord(same(key, Bool.self) ? 1 : 0) }
    if Key.self == Double.self { return hashNumber(same(key, Double.self)) }
    if Key.self == Float.self { return hashNumber(Double(same(key, Float.self))) }
    if Key.self == EventTime.self { return hashSigned(same(key, EventTime.self).nanoseconds) }
    if let hashing = key as? any StableHashable { return hashing.stableHashValue }
    return hashByEncoding(key)
}

/// A key that says itself how it is hashed, for speed or because its `==` ignores part of what it
/// encodes.
///
/// A key of several fields hashes faster this way than through its `encode(to:)`, which needs an
/// encoder.
///
/// ```swift
/// struct CardKey: Hashable, Codable, Sendable, StableHashable {
///     var bank: Int
///     var card: String
///     func stableHash(into hasher: inout StableHasher) {
///         hasher.combine(bank)
///         hasher.combine(card)
///     }
/// }
/// ```
public protocol StableHashable {
    /// Combines everything that `==` compares, always in the same order.
    func stableHash(into hasher: inout StableHasher)
}

extension StableHashable {
    @inlinable
    var stableHashValue: UInt64 {
        var hasher = StableHasher()
        stableHash(into: &hasher)
        return hasher.finalize()
    }
}

/// Combines the fields of a key into one hash that is the same in every process.
@frozen
public struct StableHasher: Sendable {
    @usableFromInline var state: UInt64

    /// Creates a hasher that has combined nothing yet.
    @inlinable
    public init() {
        state = 0x9ae1_6a3b_2f90_404f
    }

    /// Combines `value`; the order of the calls matters.
    @inlinable
    public mutating func combine<Value: Hashable & Codable>(_ value: Value) {
        state = foldedMultiply(state ^ stableHash(value), 0xc3a5_c85c_97cb_3127)
    }

    /// Returns the hash of everything combined so far.
    @inlinable
    public func finalize() -> UInt64 {
        hashWord(state)
    }
}

/// The high half of the product xored with the low half: every bit of the result depends on every
/// bit of both.
///
/// The mixing step of Wang Yi's wyhash.
@inlinable
@inline(__always)
func foldedMultiply(_ left: UInt64, _ right: UInt64) -> UInt64 {
    let product = left.multipliedFullWidth(by: right)
    return product.high ^ product.low
}

@inlinable
@inline(__always)
func hashWord(_ word: UInt64) -> UInt64 {
    // One round leaves words that follow each other too regular for HyperLogLog.
    let mixed = foldedMultiply(word ^ 0x2d35_8dcc_aa6c_78a5, 0x9e37_79b9_7f4a_7c15)
    return foldedMultiply(mixed ^ 0x8bb8_4b93_962e_acc9, 0xd6e8_feb8_6659_fd93)
}

@inlinable
@inline(__always)
func hashSigned(_ value: some SignedInteger) -> UInt64 {
    hashWord(UInt64(bitPattern: Int64(value)))
}

/// Equal numbers hash equally: both zeros alike, and every NaN alike.
@inlinable
func hashNumber(_ value: Double) -> UInt64 {
    if value == 0 { return hashWord(0) }
    return hashWord(value.isNaN ? Double.nan.bitPattern : value.bitPattern)
}

/// `key` as the type that it is known to have.
@inlinable
@inline(__always)
func same<Key, Known>(_ key: Key, _ type: Known.Type) -> Known {
    // Safety: every caller has just checked that Key and Known are the same type.
    unsafeBitCast(key, to: Known.self)
}

/// Whether two values that are not equal to themselves (NaN) are to be taken for the same one.
@inlinable
func isSameUnequal<Value: Hashable & Codable>(_ left: Value, _ right: Value) -> Bool {
    left != left && right != right && stableHash(left) == stableHash(right)
}
