import HeapModule
import Synchronization

/// A clock that stands still until it is told to go on.
package final class VirtualClock: RuntimeClock {
    private struct Entry: Comparable, Sendable {
        let deadline: EventTime
        let id: UInt64
        let action: @Sendable () -> Void

        static func < (left: Entry, right: Entry) -> Bool {
            (left.deadline, left.id) < (right.deadline, right.id)
        }

        static func == (left: Entry, right: Entry) -> Bool { left.id == right.id }
    }

    private struct Locked: Sendable {
        var now: EventTime
        var entries = Heap<Entry>()
        var pending: Set<UInt64> = []
        var nextID: UInt64 = 0
    }

    private let locked: Mutex<Locked>
    private let start: EventTime

    package init(startingAt start: EventTime) {
        self.start = start
        locked = Mutex(Locked(now: start))
    }

    package func now() -> EventTime { locked.withLock { $0.now } }

    package func monotonicNanoseconds() -> Int64 {
        // Never 0, which stands for "not" where a beginning is noted.
        start.duration(to: now()).nanosecondsClamped &+ 1_000_000_000
    }

    package func schedule(
        at deadline: EventTime, _ action: @escaping @Sendable () -> Void
    ) -> ScheduledAction {
        let id = locked.withLock { locked in
            locked.nextID += 1
            locked.entries.insert(Entry(deadline: deadline, id: locked.nextID, action: action))
            locked.pending.insert(locked.nextID)
            return locked.nextID
        }
        return ScheduledAction { [weak self] in
            self?.locked.withLock { _ = $0.pending.remove(id) }
        }
    }

    /// The earliest deadline for which something is to be done.
    package var nextDeadline: EventTime? {
        locked.withLock { locked in
            Self.dropCancelled(&locked)
            return locked.entries.min?.deadline
        }
    }

    /// Goes on to the next deadline that is not after `limit` and performs its first action.
    ///
    /// - Returns: Whether there was one.
    package func performNext(upTo limit: EventTime) -> Bool {
        let due = locked.withLock { locked -> Entry? in
            Self.dropCancelled(&locked)
            guard let first = locked.entries.min, first.deadline <= limit else { return nil }
            locked.entries.removeMin()
            locked.pending.remove(first.id)
            locked.now = max(locked.now, first.deadline)
            return first
        }
        due?.action()
        return due != nil
    }

    /// Sets the time; never back.
    package func move(to time: EventTime) {
        locked.withLock { $0.now = max($0.now, time) }
    }

    private static func dropCancelled(_ locked: inout Locked) {
        while let first = locked.entries.min, !locked.pending.contains(first.id) {
            locked.entries.removeMin()
        }
    }
}
