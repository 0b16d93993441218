package import Synchronization

/// Why events were dropped by policy.
@usableFromInline
package enum DropReason: String, Sendable, CaseIterable {
    case overflow, skipped, throttled, conflated, debounced, sampled, duplicate, cancelled, slowConsumer
}

/// The counters of one stage instance: written by its actor once per turn, read by anyone.
@usableFromInline
package final class StageMetrics: Sendable {
    package let eventsIn = Atomic<Int>(0)
    package let eventsOut = Atomic<Int>(0)
    package let batchesIn = Atomic<Int>(0)
    package let late = Atomic<Int>(0)
    package let deadLetters = Atomic<Int>(0)
    package let restarts = Atomic<Int>(0)
    package let busyNanoseconds = Atomic<Int64>(0)
    package let idleNanoseconds = Atomic<Int64>(0)
    package let blockedNanoseconds = Atomic<Int64>(0)
    /// When the stage began to wait for its downstream, 0 while it doesn't: counts before the wait has ended.
    package let blockedSince = Atomic<Int64>(0)
    /// When the stage began to work on what it is working on, 0 while it doesn't.
    package let busySince = Atomic<Int64>(0)
    package let watermark = Atomic<Int64>(Int64.min)
    package let stateKeys = Atomic<Int>(0)
    package let pendingTimers = Atomic<Int>(0)
    package let recoveryNanoseconds = Atomic<Int64>(0)
    private let blockedOn: Mutex<[String: Int64]> = Mutex([:])
    private let dropped: Mutex<[DropReason: Int]> = Mutex([:])

    package init() {}

    package func countDropped(_ count: Int, reason: DropReason) {
        if count > 0 { dropped.withLock { $0[reason, default: 0] += count } }
    }

    package func countBlocked(_ nanoseconds: Int64, on stage: String) {
        blockedOn.withLock { $0[stage, default: 0] += nanoseconds }
    }

    /// Nanoseconds spent waiting for each downstream stage.
    package var blockedByStage: [String: Int64] { blockedOn.withLock { $0 } }

    package var droppedByReason: [DropReason: Int] { dropped.withLock { $0 } }
}
