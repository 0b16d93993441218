public import CWeirIntrinsics

extension KeyedTable {
    /// The hashes of a batch's keys, in their order, for ``prefetch(_:before:)``.
    ///
    /// - Complexity: O(keys).
    @inlinable
    @inline(__always)
    package func hashes(of keys: ContiguousArray<Key>) -> ContiguousArray<UInt64> {
        let hashes = keys.mapped { stableHash($0) }
        if isBig {
            for hash in hashes.prefix(Self.tagLead) { prefetchTags(hash) }
            for hash in hashes.prefix(Self.entryLead) { prefetchEntry(hash) }
        }
        return hashes
    }

    /// Asks the processor to load what operations on the keys a few places behind `index` will
    /// read; called before the operation on each key of a batch, in order.
    ///
    /// Random access to a big table then no longer waits for memory once per key. A table that fits
    /// the caches is left alone.
    ///
    /// - Parameter hashes: What ``hashes(of:)`` gave for the batch.
    /// - Complexity: O(1); nothing waits for memory.
    @inlinable
    @inline(__always)
    package func prefetch(_ hashes: ContiguousArray<UInt64>, before index: Int) {
        guard isBig else { return }
        let next = index &+ Self.tagLead
        if next < hashes.count { prefetchTags(hashes[next]) }
        let near = index &+ Self.entryLead
        if near < hashes.count { prefetchEntry(hashes[near]) }
    }

    /// How many keys ahead the tags are asked for; early enough to be there for the entry's turn.
    @inlinable
    static var tagLead: Int { 32 }

    /// How many keys ahead the entry itself is asked for.
    @inlinable
    static var entryLead: Int { 16 }

    /// Whether the table is likely to outgrow the caches near the processor.
    @inlinable
    var isBig: Bool { shared.pointee.count > 8_192 }

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
        cweir_prefetch(group.pointee.entries + slot)
        if timeToLive != 0, let deadlines = group.pointee.deadlines {
            cweir_prefetch(deadlines + slot)
        }
    }
}
