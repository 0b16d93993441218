/// The keyed state of one stage instance: an open-addressing hash table, one sub-table for each
/// ``KeyGroup``.
///
/// The caller passes the ``stableHash(_:)`` of each key, which routing has computed already. Values
/// change in place. One operation never costs more than resizing one sub-table (1/128 of the keys).
/// The order of iteration depends on the operations alone. It belongs to one actor and must not be
/// used re-entrantly from the closures it calls.
///
/// With `tracksChanges` it can undo a batch (``beginBatch()``), and with a ``StateTTL`` its entries
/// expire.
///
/// Sub-tables use linear probing over one tag byte per slot, eight slots at a time, and delete by
/// shifting back, so that no tombstones remain (Knuth, TAOCP vol. 3, 6.4, algorithm R).
@usableFromInline
package final class KeyedTable<Key: Hashable & Codable & Sendable, Value> {
    // Safety: `groups` and `shared` are allocated in `init`, initialised for the life of the table
    // and freed in `deinit`. They are pointers because every access to a stored `var` of a class
    // pays an exclusivity check; in debug builds the `isBusy` flag refuses the re-entrant use that
    // such a check would find.
    @usableFromInline let groups: UnsafeMutablePointer<Group>
    @usableFromInline let shared: UnsafeMutablePointer<Shared>
    @usableFromInline let timeToLive: Int64
    @usableFromInline let refreshesOnRead: Bool
    /// Whether reading an entry notes something.
    @usableFromInline let attendsReads: Bool
    /// What memory has no room for; nil when it has room for all.
    @usableFromInline package let cold: ColdEntries<Key, Value>?

    /// Whether batches can be rolled back; when false, the three batch methods do nothing.
    @usableFromInline package let tracksChanges: Bool
    /// How many keys the table takes, expired ones that are not yet swept included.
    @usableFromInline package let maximumKeys: Int

    /// Creates an empty table.
    ///
    /// - Parameters:
    ///   - tracksChanges: Whether batches can be rolled back (default no).
    ///   - timeToLive: When entries expire (default never).
    ///   - maximumKeys: How many keys it takes before ``StateError`` `tooManyKeys` (default: as
    ///     memory allows, since refusing a key stops the stage).
    ///   - cold: Takes what memory has no room for (default: memory has all). The owner calls
    ///     ``settle()`` after each batch.
    @inlinable
    package init(
        tracksChanges: Bool = false, timeToLive: StateTTL? = nil, maximumKeys: Int = .max,
        cold: ColdEntries<Key, Value>? = nil
    ) {
        self.tracksChanges = tracksChanges
        self.maximumKeys = maximumKeys
        self.timeToLive = timeToLive.map { Swift.max(1, $0.duration.nanosecondsClamped) } ?? 0
        self.refreshesOnRead = timeToLive?.refresh.onRead ?? false
        self.cold = cold
        attendsReads = timeToLive != nil || cold != nil
        groups = .allocate(capacity: KeyGroup.count)
        shared = .allocate(capacity: 1)
        shared.initialize(to: Shared(expires: timeToLive != nil, hasCold: cold != nil))
        for index in 0..<KeyGroup.count {
            (groups + index).initialize(
                to: Group(
                    index: index, emptyTags: shared.pointee.emptyTags,
                    noEntries: shared.pointee.noEntries))
        }
    }

    @inlinable
    deinit {
        for index in 0..<KeyGroup.count {
            groups[index].free(memory: &shared.pointee.memory)
        }
        groups.deinitialize(count: KeyGroup.count)
        groups.deallocate()
        shared.pointee.free()
        shared.deinitialize(count: 1)
        shared.deallocate()
    }

    /// How many keys the table holds, expired ones that are not yet swept included.
    @inlinable
    package var count: Int { shared.pointee.count + (cold?.count ?? 0) }

    /// How many of its keys are in memory.
    @inlinable
    package var hotCount: Int { shared.pointee.count }

    /// Changes the value of `key` in place, after storing a default value if the key is absent or
    /// has expired.
    ///
    /// What `body` changed before it threw stays changed until the batch is rolled back.
    ///
    /// - Parameters:
    ///   - hash: The ``stableHash(_:)`` of `key`.
    ///   - now: The current time of the table's time-to-live, ignored without one.
    /// - Throws: What `body` throws, or ``StateError`` `tooManyKeys`.
    /// - Complexity: O(1), amortised over the growth of one key group.
    @inlinable
    @inline(__always)
    package func update<Result>(
        _ key: Key, hash: UInt64, now: EventTime = .min,
        default makeValue: @autoclosure () -> Value,
        _ body: (inout Value) throws -> Result
    ) throws -> Result {
        let group = enter(hash)
        defer { leave() }
        var (slot, isFound) = group.pointee.search(key, hash)
        if !isFound, cold != nil {
            let loaded = load(key, hash: hash, group, at: slot)
            if loaded >= 0 { (slot, isFound) = (loaded, true) }
        }
        if isFound {
            let entry = group.pointee.entries + slot
            if entry.pointee.epoch < shared.pointee.attentionEpoch {
                if entry.pointee.epoch < shared.pointee.undoEpoch {
                    recordForUndo(entry, hash: hash)
                } else if entry.pointee.epoch < shared.pointee.recordEpoch {
                    record(group, slot, hash: hash)
                }
                if timeToLive != 0, renew(group, slot, now: now) {
                    entry.pointee.value = makeValue()
                }
            }
            if Self.logsPlaces, shared.pointee.logsTouches { touch(hash, slot, entry) }
            return try body(&entry.pointee.value)
        }
        guard count < maximumKeys else {
            throw StateError.tooManyKeys(maximumKeys)
        }
        let inserted = insertNew(
            key, makeValue(), hash: hash, group, at: slot,
            deadline: deadline(from: now.nanoseconds))
        return try body(&group.pointee.entries[inserted].value)
    }

    /// Stores `value` if `key` is absent; false, and no change, if the table has the key.
    ///
    /// Meant for tables without a time-to-live, without ``maximumKeys`` and without cold entries.
    ///
    /// - Complexity: O(1), amortised.
    @inlinable
    package func insert(_ key: Key, _ value: Value, hash: UInt64) -> Bool {
        let group = enter(hash)
        defer { leave() }
        let slot = group.pointee.find(key, hash)
        guard slot < 0 else { return false }
        insertNew(key, value, hash: hash, group, at: ~slot, deadline: .max)
        return true
    }

    /// The value of `key`, or nil if it is absent or has expired.
    ///
    /// - Complexity: O(1).
    @inlinable
    package func value(for key: Key, hash: UInt64, now: EventTime = .min) -> Value? {
        let group = enter(hash)
        defer { leave() }
        let slot = group.pointee.find(key, hash)
        guard slot >= 0 else {
            return cold == nil ? nil : coldValue(key, hash: hash, group, at: ~slot, now: now)
        }
        if attendsReads { return attendedValue(group, slot, hash: hash, now: now) }
        return group.pointee.entries[slot].value
    }

    /// The value of an entry whose reading has to be noted, or that may have expired.
    @inlinable
    func attendedValue(
        _ group: UnsafeMutablePointer<Group>, _ slot: Int, hash: UInt64, now: EventTime
    ) -> Value? {
        if timeToLive != 0, group.pointee.deadline(slot) <= now.nanoseconds { return nil }
        if cold != nil || refreshesOnRead {
            if group.pointee.entries[slot].epoch < shared.pointee.recordEpoch {
                record(group, slot, hash: hash)
            }
        }
        if refreshesOnRead { _ = renew(group, slot, now: now) }
        return group.pointee.entries[slot].value
    }

    /// Removes `key` and returns the value that it had, or nil if it was absent or had expired.
    ///
    /// - Complexity: O(1), amortised over shrinking one key group.
    @inlinable
    @discardableResult
    package func remove(_ key: Key, hash: UInt64, now: EventTime = .min) -> Value? {
        let group = enter(hash)
        defer { leave() }
        var slot = group.pointee.find(key, hash)
        if slot < 0, cold != nil { slot = load(key, hash: hash, group, at: ~slot) }
        guard slot >= 0 else { return nil }
        let isExpired = timeToLive != 0 && group.pointee.deadline(slot) <= now.nanoseconds
        let value = take(group, slot, hash: hash)
        return isExpired ? nil : value
    }

    /// Stores an entry as a snapshot has it, replacing one that is there; not part of any batch.
    ///
    /// - Parameter expiry: When the entry expires, as ``forEach(inGroup:_:)`` gave it; nil for a
    ///   time-to-live that is new since the snapshot, which then counts from the first sweep.
    @inlinable
    package func restore(_ key: Key, _ value: Value, hash: UInt64, expiry: EventTime? = nil) {
        let group = enter(hash)
        defer { leave() }
        if let cold {
            let slot = group.pointee.find(key, hash)
            if slot < 0 { _ = load(key, hash: hash, group, at: ~slot) }
            if shared.pointee.count >= cold.capacity + 64 { evict(64, cold) }
            if cold.hasManyChanges { cold.flush() }
        }
        put(key, value, hash: hash, group, deadline: expiry?.nanoseconds ?? .max)
    }

    /// Calls `body` with each entry of one key group and with the time when it expires, if the
    /// table has a TTL.
    ///
    /// Entries that have expired but are not yet swept are among them.
    ///
    /// - Complexity: O(capacity of the group and its cold entries).
    @inlinable
    package func forEach<Failure: Error>(
        inGroup index: Int, _ body: (Key, Value, EventTime?) throws(Failure) -> Void
    ) throws(Failure) {
        #if DEBUG
            let wasBusy = shared.pointee.isBusy
            shared.pointee.isBusy = true
            defer { shared.pointee.isBusy = wasBusy }
        #endif
        let group = groups + index
        if let cold {
            try cold.forEach(inGroup: index) { key, value, deadline throws(Failure) in
                try body(key, value, timeToLive == 0 ? nil : EventTime(nanoseconds: deadline))
            }
        }
        guard group.pointee.count > 0 else { return }
        for slot in 0...group.pointee.mask where group.pointee.tags[slot] != 0 {
            let entry = group.pointee.entries + slot
            let expiry =
                timeToLive == 0 ? nil : EventTime(nanoseconds: group.pointee.deadline(slot))
            try body(entry.pointee.key, entry.pointee.value, expiry)
        }
    }

    /// How many keys one key group of a table without cold entries holds.
    @inlinable
    package func count(inGroup index: Int) -> Int { groups[index].count }
}
