extension KeyedTable {
    /// An entry with its deadline, as it was when a snapshot began.
    @usableFromInline
    package typealias Captured = (Key, Value, Int64)

    /// Starts a snapshot of the table as it is now, at the cost of marking 128 groups.
    ///
    /// From here on an entry is copied before its first change, so that ``captureNextGroup()`` gives
    /// every group as it was at this call, and no pause is longer than copying one group. A
    /// snapshot that is not complete is abandoned for the new one.
    ///
    /// - Precondition: No batch is open.
    @inlinable
    package func beginCapture() {
        precondition(shared.pointee.activeEpoch == 0, "A snapshot starts between batches.")
        endCapture()
        shared.pointee.snapshotEpoch = nextEpoch()
        setRecordEpoch()
        shared.pointee.preimages = .init(repeating: [], count: KeyGroup.count)
        for index in 0..<KeyGroup.count { groups[index].awaitsCapture = groups[index].count > 0 }
    }

    /// The entries of one more group as they were when the snapshot began; nil when all groups have
    /// been given.
    ///
    /// - Complexity: O(capacity of the group).
    @inlinable
    package func captureNextGroup() -> (group: Int, entries: ContiguousArray<Captured>)? {
        for index in 0..<KeyGroup.count where groups[index].awaitsCapture {
            groups[index].awaitsCapture = false
            return (index, capture(groups + index))
        }
        endCapture()
        return nil
    }

    /// Whether a snapshot has groups left to be captured.
    @inlinable
    package var isCapturing: Bool { shared.pointee.snapshotEpoch != 0 }

    @inlinable
    func endCapture() {
        if shared.pointee.snapshotEpoch == 0 { return }
        shared.pointee.snapshotEpoch = 0
        shared.pointee.preimages = []
        for index in 0..<KeyGroup.count { groups[index].awaitsCapture = false }
        setRecordEpoch()
    }

    @inlinable
    func capture(_ group: UnsafeMutablePointer<Group>) -> ContiguousArray<Captured> {
        var entries = ContiguousArray<Captured>()
        swap(&entries, &shared.pointee.preimages[group.pointee.index])
        if group.pointee.count == 0 { return entries }
        entries.reserveCapacity(entries.count + group.pointee.count)
        let epoch = shared.pointee.snapshotEpoch
        for slot in 0...group.pointee.mask where group.pointee.tags[slot] != 0 {
            guard group.pointee.entries[slot].epoch < epoch else { continue }
            entries.append(captured(group, slot))
        }
        return entries
    }

    @inlinable
    func captured(_ group: UnsafeMutablePointer<Group>, _ slot: Int) -> Captured {
        let entry = group.pointee.entries + slot
        return (entry.pointee.key, entry.pointee.value, group.pointee.deadline(slot))
    }
}
