package import Synchronization

/// Why events were dropped by policy.
@usableFromInline
package enum DropReason: String, Sendable, CaseIterable {
    case overflow, skipped, throttled, conflated, debounced, sampled, duplicate, cancelled,
        slowConsumer, kernelBuffer
}

/// What a stage instance is doing while it is not idle.
package enum StageActivity: UInt8, Sendable {
    case handling, writing, awaitingCalls, restarting
}

/// What is known of one input channel of a stage instance.
package struct InputState: Sendable {
    /// How far it has come, short of the end of all time.
    package var watermark = EventTime.min
    /// Whether its time is over; soon it ends.
    package var isOver = false
    package var isIdle = false
    package var hasEnded = false
    package var hasBarrier = false
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
    /// How long the last checkpoint's barrier waited for the slowest input.
    package let alignmentNanoseconds = Atomic<Int64>(0)
    private let activityCode = Atomic<UInt8>(0)
    private let blockedOn: Mutex<[String: Int64]> = Mutex([:])
    private let blockedNow = Mutex<String?>(nil)
    private let inputStates = Mutex<[InputState]>([])
    private let dropped: Mutex<[DropReason: Int]> = Mutex([:])
    private let gauges = Mutex(Gauges())

    private struct Gauges: Sendable {
        var published: [StageGauge: Double] = [:]
        var live: [StageGauge: @Sendable () -> Double] = [:]
        var alignment: (@Sendable () -> AlignmentStatus)?
    }

    package init() {}

    package func countDropped(_ count: Int, reason: DropReason) {
        if count > 0 { dropped.withLock { $0[reason, default: 0] += count } }
    }

    /// Replaces what operators show of their state.
    func publish(_ values: [StageGauge: Double]) {
        gauges.withLock { $0.published = values }
    }

    /// Has a number shown as it is when somebody looks.
    package func show(live gauge: StageGauge, _ value: @escaping @Sendable () -> Double) {
        gauges.withLock { $0.live[gauge] = value }
    }

    func show(alignment: @escaping @Sendable () -> AlignmentStatus) {
        gauges.withLock { $0.alignment = alignment }
        show(live: .alignmentAhead) { alignment().aheadSeconds }
        show(live: .alignmentHeld) { alignment().isHeld ? 1 : 0 }
    }

    /// What operators show of their state.
    package var shownGauges: [StageGauge: Double] {
        let (published, live) = gauges.withLock { ($0.published, $0.live) }
        var values = published
        for (gauge, value) in live { values[gauge] = gauge.combine(values[gauge], value()) }
        return values
    }

    /// How the stage's stream stands to those that it is aligned with.
    package var alignment: AlignmentStatus? {
        gauges.withLock { $0.alignment }?()
    }

    /// The stage begins to wait for a downstream stage.
    package func beginBlocked(on stage: String, at now: Int64) {
        blockedNow.withLock { $0 = stage }
        blockedSince.store(now, ordering: .relaxed)
    }

    /// The wait that ``beginBlocked(on:at:)`` began is over.
    package func endBlocked(at now: Int64) {
        let waited = now - blockedSince.exchange(0, ordering: .relaxed)
        blockedNanoseconds.add(waited, ordering: .relaxed)
        guard let stage = blockedNow.withLock({ $0.take() }) else { return }
        blockedOn.withLock { $0[stage, default: 0] += waited }
    }

    /// The downstream stage that the stage waits for at this moment.
    package var blockedTarget: String? { blockedNow.withLock { $0 } }

    /// What the stage does while it is busy.
    package var activity: StageActivity {
        get { StageActivity(rawValue: activityCode.load(ordering: .relaxed)) ?? .handling }
        set { activityCode.store(newValue.rawValue, ordering: .relaxed) }
    }

    /// The input channels; empty for a stage with one.
    package var inputs: [InputState] {
        get { inputStates.withLock { $0 } }
        set { inputStates.withLock { $0 = newValue } }
    }

    /// Nanoseconds spent waiting for each downstream stage.
    package var blockedByStage: [String: Int64] { blockedOn.withLock { $0 } }

    package var droppedByReason: [DropReason: Int] { dropped.withLock { $0 } }
}

// For counters that one thread at a time writes and others read: no locked instruction.
extension Atomic where Value == Int {
    package func advance(by amount: Int) {
        store(load(ordering: .relaxed) &+ amount, ordering: .relaxed)
    }
}

extension Atomic where Value == Int64 {
    package func advance(by amount: Int64) {
        store(load(ordering: .relaxed) &+ amount, ordering: .relaxed)
    }
}
