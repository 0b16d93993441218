/// A window of a key, or whatever else of it is due at some time.
@usableFromInline
struct WindowEntry<Key: Hashable & Codable & Sendable>: Sendable {
    @usableFromInline let key: Key
    @usableFromInline let hash: UInt64
    /// What of the key is meant; its meaning is the engine's.
    @usableFromInline let mark: Int64

    @inlinable
    init(key: Key, hash: UInt64, mark: Int64) {
        self.key = key
        self.hash = hash
        self.mark = mark
    }
}

/// All that is due at one time, in the order in which it was entered.
@usableFromInline
final class WindowBucket<Key: Hashable & Codable & Sendable> {
    @usableFromInline let deadline: Int64
    @exclusivity(unchecked) @usableFromInline var entries: ContiguousArray<WindowEntry<Key>> = []
    @exclusivity(unchecked) @usableFromInline var cursor = 0
    @exclusivity(unchecked) @usableFromInline var epoch = 0
    @usableFromInline var savedCount = 0
    @usableFromInline var savedCursor = 0

    @inlinable
    init(deadline: Int64) {
        self.deadline = deadline
    }
}

/// What is due when: entries by deadline, so that time can advance at a cost that depends on what
/// is due alone.
///
/// One actor has it; none of its methods calls anything that could come back to it.
@usableFromInline
final class WindowIndex<Key: Hashable & Codable & Sendable>: TransactionParticipant {
    @exclusivity(unchecked) @usableFromInline var buckets: [Int64: WindowBucket<Key>] = [:]
    @exclusivity(unchecked) @usableFromInline var order = BinaryHeap<Int64>()
    /// The bucket that was added to last.
    @exclusivity(unchecked) @usableFromInline var last: WindowBucket<Key>?
    /// The bucket that was taken from last.
    @exclusivity(unchecked) @usableFromInline var current: WindowBucket<Key>?
    /// The number of the current transaction, 0 outside of one.
    @exclusivity(unchecked) @usableFromInline var epoch = 0
    @usableFromInline var lastEpoch = 0
    @usableFromInline var touched: ContiguousArray<WindowBucket<Key>> = []
    @usableFromInline var removed: ContiguousArray<WindowBucket<Key>> = []
    /// How many entries are waiting.
    @exclusivity(unchecked) @usableFromInline var count = 0
    private var savedCount = 0

    @usableFromInline
    init() {}

    @inlinable
    func add(_ entry: WindowEntry<Key>, at deadline: Int64) {
        let bucket: WindowBucket<Key>
        if let last, last.deadline == deadline { bucket = last } else { bucket = find(deadline) }
        if bucket.epoch != epoch { touch(bucket) }
        bucket.entries.append(entry)
        count &+= 1
    }

    @inlinable
    @inline(never)
    func find(_ deadline: Int64) -> WindowBucket<Key> {
        if let bucket = buckets[deadline] {
            last = bucket
            return bucket
        }
        let bucket = WindowBucket<Key>(deadline: deadline)
        buckets[deadline] = bucket
        order.insert(deadline)
        last = bucket
        return bucket
    }

    /// When the next entry is due; there may turn out to be none at that time.
    @inlinable var nextDeadline: Int64? { order.min }

    /// Takes out the next entry that is due at `limit`, with its deadline: by deadline, then in the
    /// order of entry.
    @inlinable
    func next(upTo limit: Int64) -> (deadline: Int64, entry: WindowEntry<Key>)? {
        while let bucket = firstBucket(upTo: limit) {
            let cursor = bucket.cursor
            if cursor < bucket.entries.count {
                if bucket.epoch != epoch { touch(bucket) }
                bucket.cursor = cursor &+ 1
                count &-= 1
                return (bucket.deadline, bucket.entries[cursor])
            }
            remove(bucket)
        }
        return nil
    }

    /// The entry so many places behind the one that was taken last, if it is due at the same time.
    @inlinable
    func entry(ahead places: Int) -> WindowEntry<Key>? {
        guard let current else { return nil }
        let index = current.cursor &+ (places &- 1)
        return index < current.entries.count ? current.entries[index] : nil
    }

    /// The bucket with the earliest deadline, if that is not behind `limit`.
    @inlinable
    func firstBucket(upTo limit: Int64) -> WindowBucket<Key>? {
        while let deadline = order.min, deadline <= limit {
            if let current, current.deadline == deadline { return current }
            if let bucket = buckets[deadline] {
                current = bucket
                return bucket
            }
            _ = order.popMin()
        }
        return nil
    }

    /// Takes out the first bucket, from which all has been taken.
    @inlinable
    @inline(never)
    func remove(_ bucket: WindowBucket<Key>) {
        _ = order.popMin()
        buckets[bucket.deadline] = nil
        current = nil
        if last === bucket { last = nil }
        if epoch != 0 { removed.append(bucket) }
    }

    @inlinable
    @inline(never)
    func touch(_ bucket: WindowBucket<Key>) {
        bucket.epoch = epoch
        if epoch == 0 { return }
        bucket.savedCount = bucket.entries.count
        bucket.savedCursor = bucket.cursor
        touched.append(bucket)
    }

    @usableFromInline
    func beginBatch() {
        lastEpoch += 1
        epoch = lastEpoch
        savedCount = count
    }

    @usableFromInline
    func commitBatch() {
        epoch = 0
        touched.removeAll(keepingCapacity: touched.capacity <= 1_024)
        removed.removeAll(keepingCapacity: removed.capacity <= 1_024)
    }

    @usableFromInline
    func rollbackBatch() {
        if epoch == 0 { return }
        for bucket in touched {
            bucket.entries.removeLast(bucket.entries.count - bucket.savedCount)
            bucket.cursor = bucket.savedCursor
        }
        for bucket in removed {
            buckets[bucket.deadline] = bucket
            order.insert(bucket.deadline)
        }
        (last, current) = (nil, nil)
        count = savedCount
        commitBatch()
    }
}
