extension KeyedTable {
    /// What an entry was before the current batch touched it for the first time.
    @usableFromInline
    struct Undo {
        @usableFromInline let key: Key
        @usableFromInline let hash: UInt64
        /// Nil if the key was absent.
        @usableFromInline let value: Value?

        @inlinable
        init(key: Key, hash: UInt64, value: Value?) {
            self.key = key
            self.hash = hash
            self.value = value
        }
    }

    /// What the table has once, beside its groups.
    @usableFromInline
    struct Shared {
        @usableFromInline var count = 0
        /// The number of the current batch, 0 outside batches and in tables that track no changes.
        @usableFromInline var activeEpoch: UInt32 = 0
        /// The epoch of the snapshot under way, 0 when there is none.
        @usableFromInline var snapshotEpoch: UInt32 = 0
        /// The larger of the two, and of the current generation in a table with cold entries:
        /// entries of an earlier epoch are recorded before they change.
        @usableFromInline var recordEpoch: UInt32 = 0
        /// The number of the current batch while all that an entry has to be recorded for is to undo
        /// that batch, and it has no deadline; else 0.
        @usableFromInline var undoEpoch: UInt32 = 0
        /// An update looks for more to do at entries of an earlier epoch: those that are not yet
        /// recorded, and all entries of a table with a time-to-live.
        @usableFromInline var attentionEpoch: UInt32
        @usableFromInline var isBusy = false
        @usableFromInline var lastEpoch: UInt32 = 0
        @usableFromInline var undo = RecordLog<Undo>()
        /// The deadlines of the records; none in a table without a time-to-live, whose records fill
        /// the caches less that way.
        @usableFromInline var undoDeadlines: ContiguousArray<Int64> = []
        @usableFromInline var touches = RecordLog<Touch>()
        /// Whether the current batch logs its touches.
        @usableFromInline var logsTouches = false
        @usableFromInline var memory = GroupMemory()
        /// What entries that have changed since the snapshot began were then, per group.
        @usableFromInline var preimages: ContiguousArray<ContiguousArray<Captured>> = []
        @usableFromInline var expired = 0
        @usableFromInline var onExpire: ((Value) -> Void)?
        @usableFromInline var expiredBefore = 0
        /// No registration is due before this time.
        @usableFromInline var nextDue = Int64.max
        @usableFromInline var sweepCursor = 0
        @usableFromInline var recency = Recency()
        /// Whether entries of the current generation are told from older ones.
        @usableFromInline let hasCold: Bool
        @usableFromInline var expiry: ContiguousArray<BinaryHeap<Registration>>
        // Safety: shared by all groups without a capacity; never written after `init`, freed with
        // the table.
        @usableFromInline let emptyTags: UnsafeMutablePointer<UInt8>
        @usableFromInline let noEntries: UnsafeMutablePointer<Entry>

        @inlinable
        init(expires: Bool, hasCold: Bool) {
            self.hasCold = hasCold
            emptyTags = .allocate(capacity: 16)
            emptyTags.initialize(repeating: 0, count: 16)
            noEntries = .allocate(capacity: 1)
            attentionEpoch = expires ? .max : hasCold ? 1 : 0
            recordEpoch = hasCold ? 1 : 0
            lastEpoch = hasCold ? 1 : 0
            expiry = expires ? .init(repeating: .init(), count: KeyGroup.count) : []
        }

        @inlinable
        func free() {
            emptyTags.deallocate()
            noEntries.deallocate()
            undo.free()
            touches.free()
        }
    }

    /// How many records of a batch a table keeps memory for from one batch to the next.
    @inlinable
    static var recordsKept: Int { 4_096 }

    /// Starts recording what ``rollbackBatch()`` needs; a batch that is open already is committed.
    ///
    /// - Complexity: O(1).
    @inlinable
    package func beginBatch() {
        guard tracksChanges else { return }
        commitBatch()
        shared.pointee.logsTouches = canLogTouches
        // The largest number stands for the future.
        setActiveEpoch(nextEpoch())
        shared.pointee.expiredBefore = shared.pointee.expired
    }

    /// Makes the changes since ``beginBatch()`` final.
    ///
    /// - Complexity: O(entries touched), to release their old values.
    @inlinable
    package func commitBatch() {
        guard shared.pointee.activeEpoch != 0 else { return }
        endBatch()
    }

    /// Restores every entry to what it was at ``beginBatch()``.
    ///
    /// - Complexity: O(entries touched).
    @inlinable
    package func rollbackBatch() {
        guard shared.pointee.activeEpoch != 0 else { return }
        undoTouches()
        // What follows is the undoing, not the batch.
        setActiveEpoch(0)
        for index in (0..<shared.pointee.undo.count).reversed() {
            let undo = shared.pointee.undo[index]
            let group = groups + KeyGroup.keyGroup(ofHash: undo.hash)
            if let value = undo.value {
                let deadline = timeToLive == 0 ? .max : shared.pointee.undoDeadlines[index]
                put(undo.key, value, hash: undo.hash, group, deadline: deadline)
            } else {
                let slot = group.pointee.find(undo.key, undo.hash)
                if slot >= 0 { _ = drop(group, slot) }
            }
        }
        shared.pointee.expired = shared.pointee.expiredBefore
        endBatch()
    }

    @inlinable
    func endBatch() {
        shared.pointee.logsTouches = false
        setActiveEpoch(0)
        shared.pointee.touches.removeAll(keeping: Self.recordsKept)
        shared.pointee.undo.removeAll(keeping: Self.recordsKept)
        if shared.pointee.undoDeadlines.capacity > Self.recordsKept {
            shared.pointee.undoDeadlines = []
        } else if timeToLive != 0 {
            shared.pointee.undoDeadlines.removeAll(keepingCapacity: true)
        }
    }

    @inlinable
    func setActiveEpoch(_ epoch: UInt32) {
        shared.pointee.activeEpoch = epoch
        setRecordEpoch()
    }

    @inlinable
    func setRecordEpoch() {
        var epoch = Swift.max(shared.pointee.activeEpoch, shared.pointee.snapshotEpoch)
        if shared.pointee.hasCold {
            epoch = Swift.max(epoch, shared.pointee.recency.generations.3)
        }
        shared.pointee.recordEpoch = epoch
        if timeToLive != 0 { return }
        shared.pointee.attentionEpoch = shared.pointee.logsTouches ? 0 : epoch
        shared.pointee.undoEpoch =
            shared.pointee.snapshotEpoch == 0 ? shared.pointee.activeEpoch : 0
    }

    @inlinable
    func nextEpoch() -> UInt32 {
        if shared.pointee.lastEpoch == .max - 1 { restartEpochs() }
        shared.pointee.lastEpoch &+= 1
        return shared.pointee.lastEpoch
    }

    /// Saves an entry before its first change in the current batch, or since the snapshot began.
    @inlinable
    func record(_ group: UnsafeMutablePointer<Group>, _ slot: Int, hash: UInt64) {
        let entry = group.pointee.entries + slot
        if group.pointee.awaitsCapture, entry.pointee.epoch < shared.pointee.snapshotEpoch {
            shared.pointee.preimages[group.pointee.index].append(captured(group, slot))
        }
        if entry.pointee.epoch < shared.pointee.activeEpoch {
            shared.pointee.undo.append(
                Undo(key: entry.pointee.key, hash: hash, value: entry.pointee.value))
            if timeToLive != 0 {
                shared.pointee.undoDeadlines.append(group.pointee.deadline(slot))
            }
        }
        entry.pointee.epoch = shared.pointee.recordEpoch
    }

    /// The same where nothing else is to be done: what most first changes in a batch need.
    @inlinable
    @inline(__always)
    func recordForUndo(_ entry: UnsafeMutablePointer<Entry>, hash: UInt64) {
        shared.pointee.undo.append(
            Undo(key: entry.pointee.key, hash: hash, value: entry.pointee.value))
        entry.pointee.epoch = shared.pointee.undoEpoch
    }

    /// The bits of an entry's hash that decide its place, put back together.
    @inlinable
    func placement(_ group: UnsafeMutablePointer<Group>, _ slot: Int) -> UInt64 {
        UInt64(group.pointee.index) &<< 57
            | UInt64(group.pointee.tags[slot] & 0x7f) &<< 32
            | UInt64(group.pointee.entries[slot].hash)
    }

    /// Lets the epochs count from 1 again, once in four billion batches.
    @inlinable
    @inline(never)
    func restartEpochs() {
        let snapshot = shared.pointee.snapshotEpoch
        for index in 0..<KeyGroup.count where groups[index].count > 0 {
            for slot in 0...groups[index].mask where groups[index].tags[slot] != 0 {
                let isRecorded = snapshot != 0 && groups[index].entries[slot].epoch >= snapshot
                groups[index].entries[slot].epoch = isRecorded ? 1 : 0
            }
        }
        shared.pointee.snapshotEpoch = snapshot == 0 ? 0 : 1
        shared.pointee.lastEpoch = 1
        shared.pointee.recency.generations = (1, 1, 1, 1)
    }
}
