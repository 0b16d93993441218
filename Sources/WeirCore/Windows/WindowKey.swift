/// A window or pane of a key: what its accumulator is kept under.
@usableFromInline
struct WindowKey<Key: Hashable & Codable & Sendable>: Hashable, Codable, Sendable {
    @usableFromInline let key: Key
    @usableFromInline let mark: Int64

    @inlinable
    init(_ key: Key, _ mark: Int64) {
        self.key = key
        self.mark = mark
    }

    /// A hash of both that stays in the key's group.
    @inlinable
    func hash(ofKey hash: UInt64) -> UInt64 { Self.hash(ofKey: hash, mark: mark) }

    @inlinable
    static func hash(ofKey hash: UInt64, mark: Int64) -> UInt64 {
        let mixed = foldedMultiply(
            UInt64(bitPattern: mark) ^ 0x8bb8_4b93_962e_acc9, hash ^ 0x4b33_a62e_d433_d4a3)
        return (mixed &>> 7) | (hash & 0xfe00_0000_0000_0000)
    }

    /// The hash under which tables have it.
    @inlinable
    static func stableHash(_ id: Self) -> UInt64 {
        id.hash(ofKey: WeirCore.stableHash(id.key))
    }

    @inlinable
    static func == (left: Self, right: Self) -> Bool {
        left.mark == right.mark && left.key == right.key
    }
}

/// How far a window has come.
@usableFromInline
enum WindowStage: UInt8, Codable, Sendable {
    /// No index knows it.
    case new
    /// It is to fire.
    case firing
    /// It has fired and is to be dropped.
    case dropping
}

/// What is known of one window.
@usableFromInline
struct WindowState<Accumulator: Sendable>: Sendable {
    @usableFromInline var value: Accumulator
    /// How many events came since the last result.
    @usableFromInline var news = 0
    /// The latest event.
    @usableFromInline var latest = Int64.min
    /// In which index it is.
    @usableFromInline var stage = WindowStage.new

    @inlinable
    init(_ value: Accumulator) {
        self.value = value
    }
}

extension WindowState: Codable where Accumulator: Codable {}
