/// The results of the last look-ups: of at most a fixed number of keys, each for a limited time; the key that has not
/// been asked for longest gives way.
package struct LookUpCache<Key: Hashable, Value> {
    private struct Entry {
        let key: Key
        var value: Value
        var expiry: EventTime
        var newer: Int
        var older: Int
    }

    private static var none: Int { -1 }

    private let capacity: Int
    private let lifetime: Duration
    private var positions: [Key: Int] = [:]
    private var entries: [Entry] = []
    private var newest = -1
    private var oldest = -1

    /// - Parameters:
    ///   - capacity: How many keys it keeps, at least 1.
    ///   - lifetime: How long a result counts.
    package init(capacity: Int, lifetime: Duration) {
        self.capacity = max(1, capacity)
        self.lifetime = lifetime
    }

    package var count: Int { entries.count }

    /// The value of a key that is not too old; the key counts as used.
    ///
    /// - Complexity: O(1).
    package mutating func value(for key: Key, at now: EventTime) -> Value? {
        guard let position = positions[key], entries[position].expiry > now else { return nil }
        unlink(position)
        linkAsNewest(position)
        return entries[position].value
    }

    /// Keeps a value.
    ///
    /// - Complexity: O(1).
    package mutating func insert(_ value: Value, for key: Key, at now: EventTime) {
        let expiry = now.advanced(by: lifetime)
        if let position = positions[key] {
            entries[position].value = value
            entries[position].expiry = expiry
            unlink(position)
            linkAsNewest(position)
            return
        }
        let entry = Entry(
            key: key, value: value, expiry: expiry, newer: Self.none, older: Self.none)
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

    private mutating func unlink(_ position: Int) {
        let (newer, older) = (entries[position].newer, entries[position].older)
        if newer == Self.none { newest = older } else { entries[newer].older = older }
        if older == Self.none { oldest = newer } else { entries[older].newer = newer }
    }

    private mutating func linkAsNewest(_ position: Int) {
        entries[position].newer = Self.none
        entries[position].older = newest
        if newest != Self.none { entries[newest].newer = position }
        newest = position
        if oldest == Self.none { oldest = position }
    }
}
