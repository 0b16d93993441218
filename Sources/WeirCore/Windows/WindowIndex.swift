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
    @usableFromInline var entries: ContiguousArray<WindowEntry<Key>> = []
    @usableFromInline var cursor = 0
    @usableFromInline var epoch = 0
    @usableFromInline var savedCount = 0
    @usableFromInline var savedCursor = 0

    @inlinable
    init(deadline: Int64) {
        self.deadline = deadline
    }
}

/// What is due when: entries by deadline, so that time can advance at a cost that depends on what
/// is due alone.
@usableFromInline
final class WindowIndex<Key: Hashable & Codable & Sendable>: TransactionParticipant {
    @usableFromInline var buckets: [Int64: WindowBucket<Key>] = [:]
    @usableFromInline var order = BinaryHeap<Int64>()
    @usableFromInline var last: WindowBucket<Key>?
    /// The number of the current transaction, 0 outside of one.
    @usableFromInline var epoch = 0
    @usableFromInline var lastEpoch = 0
    @usableFromInline var touched: ContiguousArray<WindowBucket<Key>> = []
    @usableFromInline var removed: ContiguousArray<WindowBucket<Key>> = []
    /// How many entries are waiting.
    @usableFromInline private(set) var count = 0
    private var savedCount = 0

    @usableFromInline
    init() {}

    @inlinable
    func add(_ entry: WindowEntry<Key>, at deadline: Int64) {
        let bucket: WindowBucket<Key>
        if let last, last.deadline == deadline { bucket = last } else { bucket = find(deadline) }
        if bucket.epoch != epoch { touch(bucket) }
        bucket.entries.append(entry)
        increment()
    }

    @usableFromInline
    func increment() { count += 1 }

    @usableFromInline
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
    @usableFromInline var nextDeadline: Int64? { order.min }

    /// Takes out the next entry that is due at `limit`, with its deadline: by deadline, then in the
    /// order of entry.
    @usableFromInline
    func next(upTo limit: Int64) -> (deadline: Int64, entry: WindowEntry<Key>)? {
        while let deadline = order.min, deadline <= limit {
            if let bucket = buckets[deadline], bucket.cursor < bucket.entries.count {
                if bucket.epoch != epoch { touch(bucket) }
                let entry = bucket.entries[bucket.cursor]
                bucket.cursor += 1
                count -= 1
                return (deadline, entry)
            }
            _ = order.popMin()
            guard let bucket = buckets.removeValue(forKey: deadline) else { continue }
            if last === bucket { last = nil }
            if epoch != 0 { removed.append(bucket) }
        }
        return nil
    }

    @usableFromInline
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
        last = nil
        count = savedCount
        commitBatch()
    }
}
