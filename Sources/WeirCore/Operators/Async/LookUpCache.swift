/// The results of the last look-ups: of at most a fixed number of keys, each for a limited time; the key that has not
/// been asked for longest gives way.
@usableFromInline
package struct LookUpCache<Key: Hashable, Value> {
    @usableFromInline
    struct Entry {
        @usableFromInline let key: Key
        @usableFromInline var value: Value
        @usableFromInline var expiry: EventTime
        @usableFromInline var newer: Int
        @usableFromInline var older: Int

        @inlinable
        init(key: Key, value: Value, expiry: EventTime) {
            self.key = key
            self.value = value
            self.expiry = expiry
            newer = LookUpCache.none
            older = LookUpCache.none
        }
    }

    @inlinable static var none: Int { -1 }

    @usableFromInline let capacity: Int
    @usableFromInline let lifetime: Duration
    @usableFromInline var positions: [Key: Int] = [:]
    @usableFromInline var entries: [Entry] = []
    @usableFromInline var newest = -1
    @usableFromInline var oldest = -1

    /// - Parameters:
    ///   - capacity: How many keys it keeps, at least 1.
    ///   - lifetime: How long a result counts.
    @inlinable
    package init(capacity: Int, lifetime: Duration) {
        self.capacity = max(1, capacity)
        self.lifetime = lifetime
    }

    @inlinable
    package var count: Int { entries.count }

    /// The value of a key that is not too old; the key counts as used.
    ///
    /// - Complexity: O(1).
    @inlinable
    package mutating func value(for key: Key, at now: EventTime) -> Value? {
        guard let position = positions[key], entries[position].expiry > now else { return nil }
        unlink(position)
        linkAsNewest(position)
        return entries[position].value
    }

    /// Keeps a value, unless its key is not equal to itself (NaN) and would not be found again.
    ///
    /// - Complexity: O(1).
    @inlinable
    package mutating func insert(_ value: Value, for key: Key, at now: EventTime) {
        guard key == key else { return }
        let expiry = now.advanced(by: lifetime)
        if let position = positions[key] {
            entries[position].value = value
            entries[position].expiry = expiry
            unlink(position)
            linkAsNewest(position)
            return
        }
        let entry = Entry(key: key, value: value, expiry: expiry)
        let position: Int
        if entries.count < capacity {
            position = entries.count
            entries.append(entry)
        } else {
            position = oldest
            positions[entries[position].key] = nil
            unlink(position)
            entries[position] = entry
        }
        positions[key] = position
        linkAsNewest(position)
    }

    @inlinable
    mutating func unlink(_ position: Int) {
        let (newer, older) = (entries[position].newer, entries[position].older)
        if newer == Self.none { newest = older } else { entries[newer].older = older }
        if older == Self.none { oldest = newer } else { entries[older].newer = newer }
    }

    @inlinable
    mutating func linkAsNewest(_ position: Int) {
        entries[position].newer = Self.none
        entries[position].older = newest
        if newest != Self.none { entries[newest].newer = position }
        newest = position
        if oldest == Self.none { oldest = position }
    }
}
