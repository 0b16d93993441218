extension KeyedTable {
    /// A note to look, at `deadline`, at the entries with this hash.
    ///
    /// An entry has one from its insertion on. Prolonging its life leaves the note as it is; when
    /// the note falls due it moves to the entry's new deadline. So an entry is looked at about once
    /// per time-to-live.
    @usableFromInline
    struct Registration: Comparable {
        @usableFromInline let deadline: Int64
        @usableFromInline let hash: UInt64

        @inlinable
        init(deadline: Int64, hash: UInt64) {
            self.deadline = deadline
            self.hash = hash
        }

        @inlinable
        static func < (left: Self, right: Self) -> Bool {
            left.deadline < right.deadline
        }
    }

    /// How many entries have expired since the table was created; rolled back with the batch.
    ///
    /// An entry counts when it is swept, or when an update finds it expired and starts afresh.
    @inlinable
    package var expiredCount: Int { shared.pointee.expired }

    /// Has each value given to a closure that goes because its time is over.
    ///
    /// What the closure counts has to be rolled back with the batch, as ``expiredCount`` is.
    @inlinable
    package func onExpire(_ body: @escaping (Value) -> Void) { shared.pointee.onExpire = body }

    /// How many notes about entries to look at the table keeps: at most two per entry and 64 per
    /// group.
    package var expiryNoteCount: Int { shared.pointee.expiry.reduce(0) { $0 + $1.count } }

    /// Removes entries that have expired at `now`, looking at no more than `limit`.
    ///
    /// The caller goes on calling it from batch to batch; it resumes where it stopped. Cold entries
    /// follow when the batch is done.
    ///
    /// - Returns: How many entries were removed.
    /// - Complexity: O(limit · log n) at most, O(1) while nothing is due, whatever the size of the
    ///   table.
    @inlinable
    @discardableResult
    package func sweep(now: EventTime, limit: Int = 1_024) -> Int {
        guard timeToLive != 0, now > .min else { return 0 }
        shared.pointee.recency.now = now.nanoseconds
        guard shared.pointee.nextDue <= now.nanoseconds else { return 0 }
        assert(!shared.pointee.isBusy, "Keyed state is used inside its own closure.")
        var removed = 0
        var budget = limit
        for _ in 0..<KeyGroup.count {
            let index = shared.pointee.sweepCursor
            while let first = shared.pointee.expiry[index].min, first.deadline <= now.nanoseconds {
                guard budget > 0 else { return removed }
                budget -= 1
                _ = shared.pointee.expiry[index].popMin()
                removed += visit(first, groups + index, now: now.nanoseconds)
            }
            shared.pointee.sweepCursor = (index + 1) % KeyGroup.count
        }
        var nextDue = Int64.max
        for heap in shared.pointee.expiry {
            if let first = heap.min { nextDue = Swift.min(nextDue, first.deadline) }
        }
        shared.pointee.nextDue = nextDue
        return removed
    }

    /// Removes the entries with the note's hash that have expired, and moves the note on if others
    /// are left.
    @inlinable
    func visit(
        _ note: Registration, _ group: UnsafeMutablePointer<Group>, now: Int64
    ) -> Int {
        var removed = 0
        var next: Int64?
        let low = UInt32(truncatingIfNeeded: note.hash)
        let tag = Group.tag(note.hash)
        var slot = Int(low) & group.pointee.mask
        while group.pointee.tags[slot] != 0 {
            if group.pointee.tags[slot] == tag, group.pointee.entries[slot].hash == low {
                // Written before any time was known: the life of the entry starts now.
                if group.pointee.deadline(slot) == .max {
                    group.pointee.deadlines?[slot] = deadline(from: now)
                }
                let deadline = group.pointee.deadline(slot)
                if deadline <= now {
                    let value = take(group, slot, hash: note.hash)
                    shared.pointee.onExpire?(value)
                    removed += 1
                    // Removing has shifted other entries, or has shrunk the group: look again from
                    // the start.
                    slot = Int(low) & group.pointee.mask
                    next = nil
                    continue
                }
                next = Swift.min(next ?? .max, deadline)
            }
            slot = (slot &+ 1) & group.pointee.mask
        }
        if let next { register(group, hash: note.hash, deadline: next) }
        shared.pointee.expired += removed
        return removed
    }

    /// When an entry that is used at `now` expires; never, until a sweep, if `now` is not known
    /// yet.
    @inlinable
    func deadline(from now: Int64) -> Int64 {
        if now == .min { return .max }
        let (sum, overflow) = now.addingReportingOverflow(timeToLive)
        return overflow ? .max : sum
    }

    /// Prolongs the life of an entry that is used at `now`; true if it has expired and must start
    /// afresh.
    @inlinable
    func renew(_ group: UnsafeMutablePointer<Group>, _ slot: Int, now: EventTime) -> Bool {
        guard let deadlines = group.pointee.deadlines else { return false }
        let fresh = deadline(from: now.nanoseconds)
        if deadlines[slot] <= now.nanoseconds {
            deadlines[slot] = fresh
            shared.pointee.expired &+= 1
            shared.pointee.onExpire?(group.pointee.entries[slot].value)
            return true
        }
        // A use that is late in event time does not shorten the life of the entry.
        if fresh != .max { deadlines[slot] = Swift.max(fresh, settled(deadlines[slot])) }
        return false
    }

    /// A deadline, or the earliest time instead of one that waits for the first known time.
    @inlinable
    func settled(_ deadline: Int64) -> Int64 { deadline == .max ? .min : deadline }

    @inlinable
    @inline(never)
    func register(_ group: UnsafeMutablePointer<Group>, hash: UInt64, deadline: Int64) {
        let index = group.pointee.index
        shared.pointee.expiry[index].insert(Registration(deadline: deadline, hash: hash))
        shared.pointee.nextDue = Swift.min(shared.pointee.nextDue, deadline)
        // Keys that come and go leave notes behind; they must not outgrow the group.
        guard shared.pointee.expiry[index].count > 2 * group.pointee.count + 64 else { return }
        var notes = ContiguousArray<Registration>()
        for slot in 0...group.pointee.mask where group.pointee.tags[slot] != 0 {
            notes.append(
                Registration(
                    deadline: settled(group.pointee.deadline(slot)), hash: placement(group, slot)))
        }
        shared.pointee.expiry[index] = BinaryHeap(notes)
    }
}
