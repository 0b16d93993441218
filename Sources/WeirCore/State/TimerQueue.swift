/// A timer that has come due.
@usableFromInline
package struct DueTimer<Key: Sendable>: Sendable {
    /// The key that it was scheduled for.
    @usableFromInline package let key: Key
    /// The hash of the key that it was scheduled with.
    @usableFromInline package let hash: UInt64
    /// The time that it was scheduled for.
    @usableFromInline package let time: EventTime
    /// What it was scheduled for, told apart by the caller.
    @usableFromInline package let tag: UInt32

    @inlinable
    init(key: Key, hash: UInt64, time: EventTime, tag: UInt32) {
        self.key = key
        self.hash = hash
        self.time = time
        self.tag = tag
    }
}

/// The timers of one keyed stage in one time domain, in order of time and then of scheduling.
///
/// There is at most one timer for each (key, time, tag). The work depends on the timers that are
/// scheduled, cancelled and due, never on how many are waiting. A heap orders the timers; an index
/// by key, time and tag says which of its elements are alive, so that cancelling leaves a dead
/// element behind; when dead ones are the majority they are dropped. It belongs to one actor.
@usableFromInline
package final class TimerQueue<Key: Hashable & Codable & Sendable> {
    @usableFromInline var heap = BinaryHeap<Element>()
    @usableFromInline let index: KeyedTable<Identity, UInt64>
    @usableFromInline var popped: ContiguousArray<Element> = []
    @usableFromInline var nextSequence: UInt64 = 0
    @usableFromInline var isInBatch = false
    @usableFromInline let maximumTimers: Int

    /// Creates an empty queue.
    ///
    /// - Parameters:
    ///   - tracksChanges: Whether batches can be rolled back (default no).
    ///   - maximumTimers: How many timers may wait before ``StateError`` `tooManyTimers` (default:
    ///     as memory allows).
    @inlinable
    package init(tracksChanges: Bool = false, maximumTimers: Int = .max) {
        index = KeyedTable(tracksChanges: tracksChanges)
        self.maximumTimers = maximumTimers
    }

    /// How many timers are waiting.
    @inlinable
    package var count: Int { index.hotCount }

    /// How many timers the heap holds, cancelled ones included: between batches at most 64 more
    /// than twice ``count``.
    package var heapCount: Int { heap.count }

    /// When the next timer is due, or nil if none is waiting.
    ///
    /// - Complexity: O(1), amortised over the cancelled timers that it drops.
    @inlinable
    package var nextDeadline: EventTime? {
        dropDead()
        return heap.min?.identity.time
    }

    /// Schedules a timer; false if the same key, time and tag has one already.
    ///
    /// - Parameters:
    ///   - hash: The ``stableHash(_:)`` of `key`.
    ///   - tag: Tells apart timers of one key that serve different purposes (default 0).
    /// - Throws: ``StateError`` `tooManyTimers`.
    /// - Complexity: O(log n); O(1) for times that mostly increase.
    @inlinable
    @discardableResult
    package func schedule(
        _ key: Key, hash: UInt64, at time: EventTime, tag: UInt32 = 0
    ) throws(StateError) -> Bool {
        guard count < maximumTimers else { throw .tooManyTimers(maximumTimers) }
        let scheduled = insert(key, hash: hash, at: time, tag: tag, sequence: nextSequence)
        if scheduled { nextSequence &+= 1 }
        return scheduled
    }

    /// Cancels a timer; false if there was none.
    ///
    /// - Complexity: O(1), amortised.
    @inlinable
    @discardableResult
    package func cancel(
        _ key: Key, hash: UInt64, at time: EventTime, tag: UInt32 = 0
    ) -> Bool {
        let identity = Identity(key: key, time: time, tag: tag)
        guard index.remove(identity, hash: identity.hash(ofKey: hash)) != nil else { return false }
        compact()
        return true
    }

    /// Takes the earliest timer out if it is due at `now`; among equal times the one that was
    /// scheduled first.
    ///
    /// - Complexity: O(log n).
    @inlinable
    package func popDue(upTo now: EventTime) -> DueTimer<Key>? {
        while let first = heap.min, first.identity.time <= now {
            pop()
            if isAlive(first) {
                let identity = first.identity
                index.remove(identity, hash: identity.hash(ofKey: first.hash))
                return DueTimer(
                    key: identity.key, hash: first.hash, time: identity.time, tag: identity.tag)
            }
        }
        return nil
    }

    /// Calls `body` with the timers of one key group, in no particular order.
    ///
    /// A snapshot keeps the sequence number too, for ``restore(_:hash:at:tag:sequence:)``.
    ///
    /// - Complexity: O(timers in the group).
    @inlinable
    package func forEach<Failure: Error>(
        inGroup group: Int,
        _ body: (_ key: Key, _ time: EventTime, _ tag: UInt32, _ sequence: UInt64)
            throws(Failure) -> Void
    ) throws(Failure) {
        try index.forEach(inGroup: group) { identity, sequence, _ throws(Failure) in
            try body(identity.key, identity.time, identity.tag, sequence)
        }
    }

    /// Schedules a timer as a snapshot has it, in its old place among timers of the same time.
    ///
    /// - Complexity: O(log n).
    @inlinable
    package func restore(
        _ key: Key, hash: UInt64, at time: EventTime, tag: UInt32, sequence: UInt64
    ) {
        _ = insert(key, hash: hash, at: time, tag: tag, sequence: sequence)
        nextSequence = max(nextSequence, sequence &+ 1)
    }
}
