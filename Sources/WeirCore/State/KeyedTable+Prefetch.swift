public import CWeirIntrinsics

extension KeyedTable {
    /// The hashes of a batch's keys, in their order, for ``hash(of:at:in:)``; none if the table is
    /// so small that looking ahead does not pay.
    ///
    /// - Complexity: O(keys).
    @inlinable
    @inline(__always)
    package func hashesAhead(of keys: ContiguousArray<Key>) -> ContiguousArray<UInt64> {
        guard isBig else { return [] }
        let hashes = keys.mapped { stableHash($0) }
        for hash in hashes.prefix(Self.tagLead) { prefetchTags(hash) }
        for hash in hashes.prefix(Self.entryLead) { prefetchEntry(hash) }
        return hashes
    }

    /// The hash of the key at `index` of a batch; asks the processor to load what operations on the
    /// keys a few places behind will read.
    ///
    /// Called before the operations on each key, in order. Random access to a big table then no
    /// longer waits for memory once per key.
    ///
    /// - Parameter hashes: What ``hashesAhead(of:)`` gave for the batch.
    /// - Complexity: O(1) on top of the hash; nothing waits for memory.
    @inlinable
    @inline(__always)
    package func hash(
        of key: Key, at index: Int, in hashes: ContiguousArray<UInt64>
    ) -> UInt64 {
        if hashes.isEmpty { return stableHash(key) }
        let next = index &+ Self.tagLead
        if next < hashes.count { prefetchTags(hashes[next]) }
        let near = index &+ Self.entryLead
        if near < hashes.count { prefetchEntry(hashes[near]) }
        return hashes[index]
    }

    /// Asks the processor to load what operations on the keys some places behind will read; for
    /// operations in the order of a list, of which `hash` gives what is so many places ahead.
    ///
    /// - Complexity: O(1); nothing waits for memory.
    @inlinable
    @inline(__always)
    func lookAhead(_ hash: (_ places: Int) -> UInt64?) {
        guard isBig else { return }
        if let far = hash(Self.tagLead) { prefetchTags(far) }
        if let near = hash(Self.entryLead) { prefetchEntry(near) }
    }

    /// Whether looking ahead pays.
    @inlinable var isBig: Bool { shared.pointee.count > Self.lookAheadCountMin }

    /// Tables of so few keys are likely to stay in the caches near the processor.
    @inlinable
    static var lookAheadCountMin: Int { 8_192 }

    /// How many keys ahead the tags are asked for; early enough to be there for the entry's turn.
    @inlinable
    static var tagLead: Int { 32 }

    /// How many keys ahead the entry itself is asked for.
    @inlinable
    static var entryLead: Int { 16 }

    @inlinable
    @inline(__always)
    func prefetchTags(_ hash: UInt64) {
        let group = groups + KeyGroup.keyGroup(ofHash: hash)
        cweir_prefetch(group.pointee.tags + group.pointee.home(hash))
    }

    /// Asks for the entry that the tags, which must be near by now, point to first.
    @inlinable
    @inline(__always)
    func prefetchEntry(_ hash: UInt64) {
        let group = groups + KeyGroup.keyGroup(ofHash: hash)
        let home = group.pointee.home(hash)
        let (equal, _) = group.pointee.compareTags(at: home, with: Group.pattern(hash))
        let slot = (home &+ (equal.trailingZeroBitCount &>> 3)) & group.pointee.mask
        let entry = UnsafeRawPointer(group.pointee.entries + slot)
        cweir_prefetch(entry)
        // It may reach into the next cache line.
        let stride = MemoryLayout<Entry>.stride
        if 64 % stride != 0 { cweir_prefetch(entry + (stride &- 1)) }
        if timeToLive != 0, let deadlines = group.pointee.deadlines {
            cweir_prefetch(deadlines + slot)
        }
    }
}
