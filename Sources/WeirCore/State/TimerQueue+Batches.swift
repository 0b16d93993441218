extension TimerQueue {
    /// What makes two timers the same.
    @usableFromInline
    struct Identity: Hashable, Codable, Sendable {
        @usableFromInline let key: Key
        @usableFromInline let nanoseconds: Int64
        @usableFromInline let tag: UInt32

        @inlinable
        init(key: Key, time: EventTime, tag: UInt32) {
            self.key = key
            nanoseconds = time.nanoseconds
            self.tag = tag
        }

        @inlinable
        var time: EventTime { EventTime(nanoseconds: nanoseconds) }

        @inlinable
        static func == (left: Self, right: Self) -> Bool {
            left.nanoseconds == right.nanoseconds && left.tag == right.tag && left.key == right.key
        }

        /// A hash of the whole identity that keeps the key group of the key.
        @inlinable
        func hash(ofKey hash: UInt64) -> UInt64 {
            let time = UInt64(bitPattern: nanoseconds) ^ UInt64(tag) &<< 32
            let mixed = foldedMultiply(time ^ 0x8bb8_4b93_962e_acc9, hash ^ 0x4b33_a62e_d433_d4a3)
            return (mixed &>> 7) | (hash & 0xfe00_0000_0000_0000)
        }
    }

    @usableFromInline
    struct Element: Comparable {
        @usableFromInline let identity: Identity
        @usableFromInline let sequence: UInt64
        @usableFromInline let hash: UInt64

        @inlinable
        init(identity: Identity, sequence: UInt64, hash: UInt64) {
            self.identity = identity
            self.sequence = sequence
            self.hash = hash
        }

        /// By time, then by sequence; timers restored from several old instances may share a
        /// sequence.
        @inlinable
        static func < (left: Self, right: Self) -> Bool {
            if left.identity.nanoseconds != right.identity.nanoseconds {
                return left.identity.nanoseconds < right.identity.nanoseconds
            }
            if left.sequence != right.sequence { return left.sequence < right.sequence }
            return left.hash < right.hash
        }

        @inlinable
        static func == (left: Self, right: Self) -> Bool {
            left.sequence == right.sequence && left.identity == right.identity
        }
    }

    /// Starts recording what ``rollbackBatch()`` needs; a batch that is open already is committed.
    @inlinable
    package func beginBatch() {
        guard index.tracksChanges else { return }
        commitBatch()
        index.beginBatch()
        isInBatch = true
    }

    /// Makes the changes since ``beginBatch()`` final.
    @inlinable
    package func commitBatch() {
        guard isInBatch else { return }
        isInBatch = false
        index.commitBatch()
        popped.removeAll(keepingCapacity: popped.capacity <= 4_096)
        compact()
    }

    /// Restores the timers that were waiting at ``beginBatch()``, in their old order.
    ///
    /// Sequence numbers are not used again, so that what the batch scheduled stays dead in the
    /// heap.
    ///
    /// - Complexity: O(timers scheduled, cancelled and taken out · log n).
    @inlinable
    package func rollbackBatch() {
        guard isInBatch else { return }
        isInBatch = false
        index.rollbackBatch()
        for element in popped where isAlive(element) { heap.insert(element) }
        popped.removeAll(keepingCapacity: popped.capacity <= 4_096)
        compact()
    }

    @inlinable
    func insert(
        _ key: Key, hash: UInt64, at time: EventTime, tag: UInt32, sequence: UInt64
    ) -> Bool {
        let identity = Identity(key: key, time: time, tag: tag)
        guard index.insert(identity, sequence, hash: identity.hash(ofKey: hash)) else {
            return false
        }
        heap.insert(Element(identity: identity, sequence: sequence, hash: hash))
        return true
    }

    @inlinable
    func isAlive(_ element: Element) -> Bool {
        let hash = element.identity.hash(ofKey: element.hash)
        return index.value(for: element.identity, hash: hash) == element.sequence
    }

    /// Removes the root of the heap, which a rollback may need again.
    @inlinable
    func pop() {
        guard let element = heap.popMin() else { return }
        if isInBatch { popped.append(element) }
    }

    @inlinable
    func dropDead() {
        while let first = heap.min, !isAlive(first) { pop() }
    }

    /// Drops dead elements once they are the majority; within a batch they may come alive again.
    @inlinable
    func compact() {
        guard !isInBatch, heap.count > 2 * index.hotCount + 64 else { return }
        heap.filter { isAlive($0) }
    }
}
