/// What one batch has noted, in its order.
///
/// No array, because hot changes append to it: here an append is one comparison and one store.
@usableFromInline
struct RecordLog<Record> {
    // Safety: `base` has room for `capacity` records, of which the first `count` are initialised; its
    // one owner calls `free()` at its end.
    @usableFromInline var base: UnsafeMutablePointer<Record>
    @usableFromInline var count = 0
    @usableFromInline var capacity = 0

    @inlinable
    init() {
        base = .allocate(capacity: 0)
    }

    @inlinable
    subscript(index: Int) -> Record { base[index] }

    @inlinable
    @inline(__always)
    mutating func append(_ record: consuming Record) {
        if count == capacity { move(toCapacity: max(64, count * 2)) }
        (base + count).initialize(to: record)
        count &+= 1
    }

    /// Forgets all records; of their room only that for `limit` is kept.
    @inlinable
    mutating func removeAll(keeping limit: Int) {
        base.deinitialize(count: count)
        count = 0
        if capacity > limit { move(toCapacity: limit) }
    }

    @inlinable
    @inline(never)
    mutating func move(toCapacity capacity: Int) {
        let moved = UnsafeMutablePointer<Record>.allocate(capacity: capacity)
        moved.moveInitialize(from: base, count: count)
        base.deallocate()
        base = moved
        self.capacity = capacity
    }

    @inlinable
    func free() {
        base.deinitialize(count: count)
        base.deallocate()
    }
}
