extension KeyedTable {
    @usableFromInline
    struct Entry {
        @usableFromInline var key: Key
        @usableFromInline var value: Value
        /// The low half of the key's hash: its home slot, modulo the capacity.
        @usableFromInline var hash: UInt32
        /// The batch, or the snapshot, for which the entry was last recorded as it was before.
        @usableFromInline var epoch: UInt32

        @inlinable
        init(key: Key, value: Value, hash: UInt32, epoch: UInt32) {
            self.key = key
            self.value = value
            self.hash = hash
            self.epoch = epoch
        }
    }

    /// The sub-table of one key group.
    ///
    /// A tag is 0 for a free slot, else 128 plus seven bits of the hash. The first eight tags are
    /// repeated after the last, so that eight can be loaded at any slot. At most three quarters of
    /// the slots are taken.
    @usableFromInline
    struct Group {
        // Safety: all three point into one block of `GroupMemory`: the entries at its start, then
        // the deadlines, then the tags. `tags` has capacity + 8 bytes, all initialised; an entry is
        // initialised exactly while its tag is not 0; `deadlines` exists exactly in a table with a
        // time-to-live once the group has a capacity.
        @usableFromInline var tags: UnsafeMutablePointer<UInt8>
        @usableFromInline var entries: UnsafeMutablePointer<Entry>
        @usableFromInline var deadlines: UnsafeMutablePointer<Int64>?
        @usableFromInline var mask = 0
        @usableFromInline var count = 0
        @usableFromInline var countToGrowAt = 0
        /// Which of the key groups it is; it also makes a group as big as a cache line.
        @usableFromInline let index: Int
        /// Whether a snapshot that has begun still has to capture the group.
        @usableFromInline var awaitsCapture = false

        @inlinable
        init(
            index: Int, emptyTags: UnsafeMutablePointer<UInt8>,
            noEntries: UnsafeMutablePointer<Entry>
        ) {
            self.index = index
            tags = emptyTags
            entries = noEntries
        }

        @inlinable
        func deadline(_ slot: Int) -> Int64 { deadlines?[slot] ?? .max }

        /// Whether comparing hashes first saves time; small plain keys are as quickly compared.
        @inlinable
        static var comparesHashes: Bool { !_isPOD(Key.self) || MemoryLayout<Key>.size > 8 }

        /// Where the search for this hash begins.
        @inlinable
        func home(_ hash: UInt64) -> Int { Int(UInt32(truncatingIfNeeded: hash)) & mask }

        /// The slot of `key`, or the complement of the slot where it would be inserted.
        @inlinable
        @inline(__always)
        func find(_ key: Key, _ hash: UInt64) -> Int {
            let (slot, isFound) = search(key, hash)
            return isFound ? slot : ~slot
        }

        /// The slot of `key`, or the one where it would be inserted, and which of the two it is.
        @inlinable
        @inline(__always)
        func search(_ key: Key, _ hash: UInt64) -> (slot: Int, isFound: Bool) {
            let low = UInt32(truncatingIfNeeded: hash)
            let pattern = Self.pattern(hash)
            var position = home(hash)
            while true {
                var (equal, free) = compareTags(at: position, with: pattern)
                while equal != 0 {
                    let slot = (position &+ (equal.trailingZeroBitCount &>> 3)) & mask
                    let mayBeEqual = !Self.comparesHashes || entries[slot].hash == low
                    if mayBeEqual, entries[slot].key == key { return (slot, true) }
                    // Those that differ from themselves, as not-a-number does, are one by their hash.
                    if key != key, entries[slot].hash == low, entries[slot].key != entries[slot].key
                    {
                        return (slot, true)
                    }
                    equal &= equal &- 1
                }
                if free != 0 {
                    return ((position &+ (free.trailingZeroBitCount &>> 3)) & mask, false)
                }
                position = (position &+ 8) & mask
            }
        }

        /// The high bit of each byte whose tag is equal, and of each whose slot is free, in the
        /// eight slots from `position` on; a byte above an equal one may be a false alarm.
        @inlinable
        @inline(__always)
        func compareTags(at position: Int, with pattern: UInt64) -> (equal: UInt64, free: UInt64) {
            // Safety: `tags` has eight bytes more than slots.
            let word = UInt64(
                littleEndian: UnsafeRawPointer(tags + position).loadUnaligned(as: UInt64.self))
            let difference = word ^ pattern
            let equal = (difference &- 0x0101_0101_0101_0101) & ~difference
            return (equal & 0x8080_8080_8080_8080, ~word & 0x8080_8080_8080_8080)
        }

        /// The tag of this hash in each of eight bytes.
        @inlinable
        @inline(__always)
        static func pattern(_ hash: UInt64) -> UInt64 {
            0x0101_0101_0101_0101 &* UInt64(tag(hash))
        }

        @inlinable
        static func tag(_ hash: UInt64) -> UInt8 {
            UInt8(truncatingIfNeeded: hash &>> 32) | 0x80
        }

        /// The first free slot for an entry with this low half of the hash.
        @inlinable
        func freeSlot(_ low: UInt32) -> Int {
            var slot = Int(low) & mask
            while tags[slot] != 0 { slot = (slot &+ 1) & mask }
            return slot
        }

        @inlinable
        func setTag(_ slot: Int, _ tag: UInt8) {
            tags[slot] = tag
            if slot < 8, mask > 0 { tags[slot &+ mask &+ 1] = tag }
        }

        /// Moves the entry out of `slot` and the entries behind it forward, so that no gap cuts a
        /// probe short.
        @inlinable
        mutating func take(_ slot: Int) -> Entry {
            let entry = (entries + slot).move()
            var hole = slot
            var next = (hole &+ 1) & mask
            while tags[next] != 0 {
                let home = Int(entries[next].hash) & mask
                if (next &- home) & mask >= (next &- hole) & mask {
                    (entries + hole).moveInitialize(from: entries + next, count: 1)
                    if let deadlines { deadlines[hole] = deadlines[next] }
                    setTag(hole, tags[next])
                    hole = next
                }
                next = (next &+ 1) & mask
            }
            setTag(hole, 0)
            count &-= 1
            return entry
        }

        /// How many bytes of a block the entries and the deadlines take, and the whole block.
        @inlinable
        static func byteCounts(
            capacity: Int, expires: Bool
        ) -> (entries: Int, deadlines: Int, block: Int) {
            let entries = (capacity * MemoryLayout<Entry>.stride + 7) & ~7
            let deadlines = expires ? capacity * MemoryLayout<Int64>.stride : 0
            return (entries, deadlines, (entries + deadlines + capacity + 8 + 63) & ~63)
        }

        @inlinable
        mutating func resize(to capacity: Int, memory: inout GroupMemory, expires: Bool) {
            let bytes = Self.byteCounts(capacity: capacity, expires: expires)
            let block = memory.allocate(byteCount: bytes.block, group: index)
            var resized = self
            // Safety: `byteCounts` leaves room for each array, aligned.
            resized.entries = block.bindMemory(to: Entry.self, capacity: capacity)
            let afterEntries = block + bytes.entries
            if expires {
                let deadlines = afterEntries.bindMemory(to: Int64.self, capacity: capacity)
                deadlines.initialize(repeating: .max, count: capacity)
                resized.deadlines = deadlines
            }
            resized.tags = (afterEntries + bytes.deadlines)
                .bindMemory(to: UInt8.self, capacity: capacity + 8)
            resized.tags.initialize(repeating: 0, count: capacity + 8)
            resized.mask = capacity - 1
            resized.countToGrowAt = capacity / 4 * 3
            if mask > 0 {
                for slot in 0...mask where tags[slot] != 0 {
                    let target = resized.freeSlot(entries[slot].hash)
                    (resized.entries + target).moveInitialize(from: entries + slot, count: 1)
                    if let deadlines { resized.deadlines?[target] = deadlines[slot] }
                    resized.setTag(target, tags[slot])
                }
                freeBlock(memory: &memory)
            }
            self = resized
        }

        @inlinable
        func freeBlock(memory: inout GroupMemory) {
            let bytes = Self.byteCounts(capacity: mask + 1, expires: deadlines != nil)
            memory.free(UnsafeMutableRawPointer(entries), byteCount: bytes.block, group: index)
        }

        @inlinable
        mutating func free(memory: inout GroupMemory) {
            guard mask > 0 else { return }
            for slot in 0...mask where tags[slot] != 0 {
                (entries + slot).deinitialize(count: 1)
            }
            freeBlock(memory: &memory)
        }
    }

    /// The smallest capacity of a group that has entries.
    @inlinable
    static var capacityMin: Int { 16 }

    /// Claims the table for one operation on the group of `hash`.
    @inlinable
    @inline(__always)
    func enter(_ hash: UInt64) -> UnsafeMutablePointer<Group> {
        claim()
        return groups + KeyGroup.keyGroup(ofHash: hash)
    }

    /// Claims the table for one operation; only debug builds take note.
    @inlinable
    @inline(__always)
    func claim() {
        #if DEBUG
            precondition(!shared.pointee.isBusy, "Keyed state is used inside its own closure.")
            shared.pointee.isBusy = true
        #endif
    }

    /// Ends an operation.
    @inlinable
    @inline(__always)
    func leave() {
        #if DEBUG
            shared.pointee.isBusy = false
        #endif
    }

    /// Stores an entry whose key is absent, recorded for undo.
    @inlinable
    @inline(never)
    @discardableResult
    func insertNew(
        _ key: Key, _ value: Value, hash: UInt64, _ group: UnsafeMutablePointer<Group>,
        at slot: Int, deadline: Int64
    ) -> Int {
        if shared.pointee.activeEpoch != 0 {
            shared.pointee.undo.append(Undo(key: key, hash: hash, value: nil))
            if timeToLive != 0 { shared.pointee.undoDeadlines.append(.max) }
        }
        return place(
            key, value, hash: hash, group, at: slot, deadline: deadline,
            epoch: shared.pointee.recordEpoch)
    }

    @inlinable
    func place(
        _ key: Key, _ value: Value, hash: UInt64, _ group: UnsafeMutablePointer<Group>,
        at preferred: Int, deadline: Int64, epoch: UInt32
    ) -> Int {
        let low = UInt32(truncatingIfNeeded: hash)
        var slot = preferred
        if group.pointee.count == group.pointee.countToGrowAt {
            let capacity = group.pointee.mask > 0 ? (group.pointee.mask + 1) * 2 : Self.capacityMin
            resize(group, to: capacity)
            slot = group.pointee.freeSlot(low)
        }
        (group.pointee.entries + slot).initialize(
            to: Entry(key: key, value: value, hash: low, epoch: epoch))
        group.pointee.setTag(slot, Group.tag(hash))
        group.pointee.count &+= 1
        shared.pointee.count &+= 1
        if timeToLive != 0 {
            group.pointee.deadlines?[slot] = deadline
            register(group, hash: hash, deadline: deadline == .max ? .min : deadline)
        }
        return slot
    }

    /// Stores an entry outside every batch, as one whose past the snapshot under way knows.
    @inlinable
    func put(
        _ key: Key, _ value: Value, hash: UInt64, _ group: UnsafeMutablePointer<Group>,
        deadline: Int64
    ) {
        let slot = group.pointee.find(key, hash)
        if slot >= 0 {
            group.pointee.entries[slot].value = value
            group.pointee.entries[slot].epoch = shared.pointee.snapshotEpoch
            group.pointee.deadlines?[slot] = deadline
        } else {
            _ = place(
                key, value, hash: hash, group, at: ~slot, deadline: deadline,
                epoch: shared.pointee.snapshotEpoch)
        }
    }

    /// Removes the entry in `slot`, recorded for undo.
    @inlinable
    func take(_ group: UnsafeMutablePointer<Group>, _ slot: Int, hash: UInt64) -> Value {
        fileTouches()
        if group.pointee.entries[slot].epoch < shared.pointee.recordEpoch {
            record(group, slot, hash: hash)
        }
        return drop(group, slot)
    }

    @inlinable
    func drop(_ group: UnsafeMutablePointer<Group>, _ slot: Int) -> Value {
        let entry = group.pointee.take(slot)
        shared.pointee.count &-= 1
        let capacity = group.pointee.mask + 1
        if capacity > Self.capacityMin, group.pointee.count < capacity / 8 {
            resize(group, to: capacity / 2)
        }
        return entry.value
    }

    @inlinable
    func resize(_ group: UnsafeMutablePointer<Group>, to capacity: Int) {
        fileTouches()
        group.pointee.resize(
            to: capacity, memory: &shared.pointee.memory, expires: timeToLive != 0)
    }
}
