import WeirBinary

/// The entries of a keyed table that memory has no room for.
///
/// An entry is either in the table or here, never in both: ``take(_:id:)`` moves it out. So the
/// table alone undoes batches, and a snapshot is what both have. An entry's id is the part of its
/// key's hash that the table keeps; entries that share one are in one bucket, told apart by `==`.
///
/// The first error of the storage or the coder is kept in ``failure``; what is asked for after it
/// is as if it were absent, and the stage ends before anything that follows from that leaves it.
@usableFromInline
package final class ColdEntries<Key: Hashable & Codable & Sendable, Value> {
    @usableFromInline package typealias Stored = (key: Key, value: Value, deadline: Int64)

    private let storage: any ColdStorage
    private let coder: BucketCoder<Key, Value>
    private let cache: StateCache
    private let expires: Bool
    private var changes = ColdChanges()
    private(set) package var failure: (any Error)?
    /// How many entries are here.
    @usableFromInline private(set) package var count = 0
    /// How many entries the table should keep.
    @usableFromInline private(set) package var capacity: Int
    private var averageBytes = 0.0
    private var settlesUntilSample = 0
    /// No time is due before this one.
    private var earliest = Int64.max

    package init(
        _ storage: any ColdStorage, codec: StateCodec<Value>, cache: StateCache, expires: Bool
    ) {
        self.storage = storage
        self.cache = cache
        self.expires = expires
        coder = BucketCoder(codec: codec)
        capacity = cache.entries
    }

    // MARK: Single entries

    /// Moves an entry out.
    @usableFromInline
    func take(_ key: Key, id: UInt64) -> Stored? {
        guard count > 0 else { return nil }
        return trying {
            var bucket = try bucket(id)
            guard let index = bucket.firstIndex(where: { Self.isSame($0.key, key) }) else {
                return nil
            }
            let found = bucket.remove(at: index)
            try store(bucket, id)
            if expires {
                note(found.deadline, id, isAdded: false)
                // Another entry of the bucket may be due at the same time.
                for other in bucket { note(other.deadline, id, isAdded: true) }
            }
            count -= 1
            return found
        } ?? nil
    }

    /// An entry, which stays.
    @usableFromInline
    func read(_ key: Key, id: UInt64) -> Stored? {
        guard count > 0 else { return nil }
        return trying { try bucket(id).first { Self.isSame($0.key, key) } } ?? nil
    }

    /// Takes in an entry that is not here.
    @usableFromInline
    func put(_ key: Key, _ value: Value, deadline: Int64, id: UInt64) {
        _ = trying {
            var bucket = count > 0 ? try bucket(id) : []
            bucket.append((key, value, deadline))
            learn(try store(bucket, id) / bucket.count)
            if expires { note(deadline, id, isAdded: true) }
            count += 1
        }
    }

    /// Learns from an entry of the table how big entries are, now and then.
    @usableFromInline
    func sample(_ key: Key, _ value: Value) {
        settlesUntilSample = 15
        _ = trying { learn(try coder.encode([(key, value, .max)]).count) }
    }

    /// Whether the table should offer a sample; asked once per batch.
    @usableFromInline
    func wantsSample() -> Bool {
        settlesUntilSample -= 1
        return settlesUntilSample < 0
    }

    // MARK: All entries

    /// Has the storage make the changes so far.
    @usableFromInline
    package func flush() {
        if changes.isEmpty { return }
        _ = trying { try storage.apply(changes) }
        changes.removeAll()
    }

    /// Whether many changes wait for ``flush()``.
    @usableFromInline var hasManyChanges: Bool { changes.buckets.count >= 1_024 }

    /// Calls `body` with the entries of a key group.
    @usableFromInline
    func forEach<Failure: Error>(
        inGroup group: Int, _ body: (Key, Value, Int64) throws(Failure) -> Void
    ) throws(Failure) {
        guard count > 0 else { return }
        flush()
        var failed: Failure?
        _ = trying {
            try storage.freeze().forEach(BucketCoder<Key, Value>.ids(ofGroup: group)) { _, bytes in
                if failed != nil { return }
                for entry in try coder.decode(bytes) {
                    do throws(Failure) {
                        try body(entry.key, entry.value, entry.deadline)
                    } catch {
                        failed = error
                        return
                    }
                }
            }
        }
        if let failed { throw failed }
    }

    /// Removes entries that have expired at `now`, looking at no more than `limit` buckets.
    ///
    /// - Parameters:
    ///   - fresh: The deadline of an entry whose life starts now.
    ///   - onExpire: Gets the value of each removed entry.
    /// - Returns: How many entries were removed.
    @usableFromInline
    func sweep(
        now: Int64, fresh: Int64, limit: Int = 256, onExpire: ((Value) -> Void)? = nil
    ) -> Int {
        guard count > 0, earliest <= now, failure == nil else { return 0 }
        flush()
        let before = count
        _ = trying {
            let due = try storage.due(earliest...now, limit: limit)
            for deadline in due {
                changes.deadlines.append((deadline, isAdded: false))
                try look(at: deadline.id, now: now, fresh: fresh, onExpire)
            }
            if due.count < limit {
                let next = now < .max ? try storage.due((now + 1)...Int64.max, limit: 1).first : nil
                // What the loop has put back is not stored yet.
                let added = changes.deadlines.lazy.filter(\.isAdded).map(\.deadline.time).min()
                earliest = min(next?.time ?? .max, added ?? .max)
            } else if let last = due.last {
                earliest = min(last.time, fresh)
            }
        }
        flush()
        return before - count
    }

    private func look(
        at id: UInt64, now: Int64, fresh: Int64, _ onExpire: ((Value) -> Void)?
    ) throws {
        var kept: [Stored] = []
        for var entry in try bucket(id) {
            if entry.deadline == .max {
                entry.deadline = fresh
                note(fresh, id, isAdded: true)
            } else if entry.deadline <= now {
                count -= 1
                onExpire?(entry.value)
                continue
            }
            kept.append(entry)
        }
        try store(kept, id)
    }

    /// All entries as they are now, on their way to a checkpoint.
    func freeze() throws -> CapturedPortion? {
        flush()
        if let failure { throw failure }
        guard count > 0 else { return nil }
        let (snapshot, coder) = (try storage.freeze(), coder)
        return CapturedPortion(
            entries: count,
            each: { emit in
                try coder.copy(snapshot, emit)
            })
    }

    // MARK: Buckets

    /// Whether two keys of a bucket are the same one, as the table tells them apart: those that
    /// differ from themselves are.
    private static func isSame(_ left: Key, _ right: Key) -> Bool {
        left == right || left != left && right != right
    }

    private func bucket(_ id: UInt64) throws -> [Stored] {
        if let changed = changes.buckets[id] {
            return try changed.map { try coder.decode($0) } ?? []
        }
        return try storage.read(id).map { try coder.decode($0) } ?? []
    }

    /// Returns the size of the bucket.
    @discardableResult
    private func store(_ bucket: [Stored], _ id: UInt64) throws -> Int {
        let bytes = bucket.isEmpty ? nil : try coder.encode(bucket)
        changes.buckets.updateValue(bytes, forKey: id)
        return bytes?.count ?? 0
    }

    private func note(_ deadline: Int64, _ id: UInt64, isAdded: Bool) {
        // One that waits for the first known time is looked at as soon as there is one.
        let time = deadline == .max ? Int64.min : deadline
        changes.deadlines.append((ColdDeadline(time: time, id: id), isAdded))
        if isAdded { earliest = min(earliest, time) }
    }

    private func learn(_ bytes: Int) {
        averageBytes += (Double(bytes) - averageBytes) / (averageBytes == 0 ? 1 : 16)
        capacity = max(1, min(cache.entries, Int(Double(cache.bytes) / max(1, averageBytes))))
    }

    /// Keeps the first error.
    private func trying<Result>(_ action: () throws -> Result) -> Result? {
        if failure != nil { return nil }
        do {
            return try action()
        } catch {
            failure = error
            return nil
        }
    }
}
