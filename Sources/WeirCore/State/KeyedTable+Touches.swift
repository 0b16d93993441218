/// The log of touches: what undoes the changes of small plain values in place.
///
/// Every change is logged, also of an entry that has been changed before: two words cost less
/// than to find that out. Undone from the last to the first, entries end as they were.
/// Places change when a group is resized or an entry removed: before that the log becomes undo
/// records, so it is always newer than those.
extension KeyedTable {
    /// What an entry's value was before a change in the current batch, by the entry's place.
    @usableFromInline
    struct Touch {
        /// The group in the high half, the slot in the low one.
        @usableFromInline let place: UInt64
        @usableFromInline let value: Value

        @inlinable
        init(group: Int, slot: Int, value: Value) {
            place = UInt64(truncatingIfNeeded: group) &<< 32 | UInt64(truncatingIfNeeded: slot)
            self.value = value
        }

        @inlinable var group: Int { Int(truncatingIfNeeded: place &>> 32) }
        @inlinable var slot: Int { Int(truncatingIfNeeded: place & 0xFFFF_FFFF) }
    }

    /// Whether the changes of a batch can be logged by place.
    @inlinable
    static var logsPlaces: Bool { _isPOD(Value.self) && MemoryLayout<Value>.size <= 16 }

    /// Whether the batch that begins logs its touches: nothing else is to be noted of a change.
    @inlinable
    var canLogTouches: Bool {
        Self.logsPlaces && timeToLive == 0 && cold == nil && shared.pointee.snapshotEpoch == 0
    }

    /// Logs an entry that is about to change.
    @inlinable
    @inline(__always)
    func touch(_ hash: UInt64, _ slot: Int, _ entry: UnsafeMutablePointer<Entry>) {
        shared.pointee.touches.append(
            Touch(group: KeyGroup.keyGroup(ofHash: hash), slot: slot, value: entry.pointee.value))
    }

    /// Makes undo records of the touches, because places are about to change.
    @inlinable
    func fileTouches() {
        guard shared.pointee.touches.count > 0 else { return }
        for index in 0..<shared.pointee.touches.count {
            let touch = shared.pointee.touches[index]
            let group = groups + touch.group
            shared.pointee.undo.append(
                Undo(
                    key: group.pointee.entries[touch.slot].key, hash: placement(group, touch.slot),
                    value: touch.value))
        }
        shared.pointee.touches.removeAll(keeping: .max)
    }

    /// Puts the values of all touches back, the last one first.
    @inlinable
    func undoTouches() {
        for index in (0..<shared.pointee.touches.count).reversed() {
            let touch = shared.pointee.touches[index]
            groups[touch.group].entries[touch.slot].value = touch.value
        }
        shared.pointee.touches.removeAll(keeping: .max)
    }
}
