extension KeyedTable {
    /// Which entries of a table with cold ones have been used lately.
    ///
    /// An entry's epoch tells when it was last used, if a new epoch begins now and then. So a use
    /// costs nothing but the first in each of these generations.
    @usableFromInline
    struct Recency {
        /// The epochs in which the last generations began, the oldest first.
        @usableFromInline var generations: (UInt32, UInt32, UInt32, UInt32) = (1, 1, 1, 1)
        @usableFromInline var evictions = 0
        /// Where the search for an entry to evict goes on.
        @usableFromInline var group = 0
        @usableFromInline var slot = 0
        /// The time up to which cold entries have expired.
        @usableFromInline var now = Int64.min
        @usableFromInline var reads: UInt32 = 0

        @inlinable
        init() {}
    }

    /// Brings a cold entry in, as it was; returns its slot, or -1 if there is none.
    ///
    /// It changes nothing that a batch would have to undo. A snapshot under way finds it among the
    /// cold ones.
    @inlinable
    @inline(never)
    func load(
        _ key: Key, hash: UInt64, _ group: UnsafeMutablePointer<Group>, at slot: Int
    ) -> Int {
        guard let cold, let found = cold.take(key, id: Self.coldID(hash)) else { return -1 }
        return place(
            found.key, found.value, hash: hash, group, at: slot, deadline: found.deadline,
            epoch: shared.pointee.snapshotEpoch)
    }

    /// The bits of a hash that an entry keeps.
    @inlinable
    static func coldID(_ hash: UInt64) -> UInt64 { hash & 0xfe00_007f_ffff_ffff }

    /// The value of a key that is not in memory.
    ///
    /// Each fourth such read brings the entry in, so that keys that are read often end up in memory
    /// and others don't push them out.
    @inlinable
    @inline(never)
    func coldValue(
        _ key: Key, hash: UInt64, _ group: UnsafeMutablePointer<Group>, at slot: Int,
        now: EventTime
    ) -> Value? {
        shared.pointee.recency.reads &+= 1
        if refreshesOnRead || shared.pointee.recency.reads & 3 == 0 {
            let loaded = load(key, hash: hash, group, at: slot)
            return loaded < 0 ? nil : attendedValue(group, loaded, hash: hash, now: now)
        }
        guard let found = cold?.read(key, id: Self.coldID(hash)) else { return nil }
        return timeToLive != 0 && found.deadline <= now.nanoseconds ? nil : found.value
    }

    /// Between batches: expires cold entries and moves out what memory has no room for.
    ///
    /// - Complexity: O(entries moved and expired).
    @inlinable
    package func settle() {
        guard let cold else { return }
        let now = shared.pointee.recency.now
        if timeToLive != 0, now > .min {
            shared.pointee.expired += cold.sweep(
                now: now, fresh: deadline(from: now), onExpire: shared.pointee.onExpire)
        }
        if cold.wantsSample() { offerSample(cold) }
        let excess = shared.pointee.count - cold.capacity
        if excess > 0 { evict(excess, cold) }
        cold.flush()
    }

    @inlinable
    func evict(_ count: Int, _ cold: ColdEntries<Key, Value>) {
        var left = count
        // How long the least recently used entries are looked for before others have to go.
        var patience = count &* 32 &+ 1_024
        while left > 0 {
            let (group, slot) = hand()
            let isRecent =
                group.pointee.entries[slot].epoch >= shared.pointee.recency.generations.0
            if isRecent, patience > 0 {
                patience -= 1
                shared.pointee.recency.slot = slot + 1
                continue
            }
            moveOut(group, slot, cold)
            left -= 1
            shared.pointee.recency.evictions += 1
            if shared.pointee.recency.evictions >= Swift.max(1, cold.capacity / 8) {
                beginGeneration()
            }
        }
    }

    /// The next entry that might be evicted; the table must have one.
    @inlinable
    func hand() -> (UnsafeMutablePointer<Group>, Int) {
        while true {
            let group = groups + shared.pointee.recency.group
            if group.pointee.count > 0 {
                while shared.pointee.recency.slot <= group.pointee.mask {
                    let slot = shared.pointee.recency.slot
                    if group.pointee.tags[slot] != 0 { return (group, slot) }
                    shared.pointee.recency.slot = slot + 1
                }
            }
            shared.pointee.recency.slot = 0
            shared.pointee.recency.group = (shared.pointee.recency.group + 1) % KeyGroup.count
        }
    }

    @inlinable
    func moveOut(
        _ group: UnsafeMutablePointer<Group>, _ slot: Int, _ cold: ColdEntries<Key, Value>
    ) {
        let entry = group.pointee.entries + slot
        if group.pointee.awaitsCapture, entry.pointee.epoch < shared.pointee.snapshotEpoch {
            shared.pointee.preimages[group.pointee.index].append(captured(group, slot))
        }
        cold.put(
            entry.pointee.key, entry.pointee.value, deadline: group.pointee.deadline(slot),
            id: placement(group, slot))
        _ = drop(group, slot)
    }

    @inlinable
    func beginGeneration() {
        let epoch = nextEpoch()
        let (_, second, third, fourth) = shared.pointee.recency.generations
        shared.pointee.recency.generations = (second, third, fourth, epoch)
        shared.pointee.recency.evictions = 0
        setRecordEpoch()
    }

    @inlinable
    func offerSample(_ cold: ColdEntries<Key, Value>) {
        guard shared.pointee.count > 0 else { return }
        let (group, slot) = hand()
        cold.sample(group.pointee.entries[slot].key, group.pointee.entries[slot].value)
    }
}
