import Synchronization

/// What a stage instance has done since the run began, with what is under way included.
struct StageSample: Sendable {
    var eventsIn = 0
    var eventsOut = 0
    var batchesIn = 0
    var busy: Int64 = 0
    var idle: Int64 = 0
    var blocked: Int64 = 0
    var blockedOn: [String: Int64] = [:]

    init() {}

    /// - Parameter elapsed: Nanoseconds since the run began.
    init(_ metrics: StageMetrics, now: Int64, elapsed: Int64) {
        eventsIn = metrics.eventsIn.load(ordering: .relaxed)
        eventsOut = metrics.eventsOut.load(ordering: .relaxed)
        batchesIn = metrics.batchesIn.load(ordering: .relaxed)
        blocked = metrics.blockedNanoseconds.load(ordering: .relaxed)
        blockedOn = metrics.blockedByStage
        let blockedSince = metrics.blockedSince.load(ordering: .relaxed)
        if blockedSince != 0, let target = metrics.blockedTarget {
            blocked += now - blockedSince
            blockedOn[target, default: 0] += now - blockedSince
        }
        // What is under way is counted as it stands: a stage that hangs shows as busy, not as doing nothing.
        if metrics.busySince.load(ordering: .relaxed) != 0 {
            idle = metrics.idleNanoseconds.load(ordering: .relaxed)
            busy = max(0, elapsed - idle - blocked)
        } else {
            busy = metrics.busyNanoseconds.load(ordering: .relaxed)
            idle = max(0, elapsed - busy - blocked)
        }
    }

    static func - (left: StageSample, right: StageSample) -> StageSample {
        var result = left
        result.eventsIn -= right.eventsIn
        result.eventsOut -= right.eventsOut
        result.batchesIn -= right.batchesIn
        result.busy = max(0, left.busy - right.busy)
        result.idle = max(0, left.idle - right.idle)
        result.blocked = max(0, left.blocked - right.blocked)
        for (stage, time) in right.blockedOn { result.blockedOn[stage, default: 0] -= time }
        return result
    }
}

/// Remembers the last look at a run, so that the next one tells rates.
final class Observer: Sendable {
    private struct Look: Sendable {
        var time: Int64
        var samples: [[StageSample]]
    }

    private let last = Mutex<Look?>(nil)

    /// What each stage instance has done since the last call, and how many nanoseconds ago that was.
    func changes(of running: RunningTopology, now: Int64) -> (
        elapsed: Int64, samples: [[StageSample]]
    ) {
        let total = max(1, now - running.startedAt)
        let samples = running.instances.map { instances in
            instances.map { StageSample($0.metrics, now: now, elapsed: total) }
        }
        let before = last.withLock { last in
            defer { last = Look(time: now, samples: samples) }
            return last
        }
        guard let before, before.time < now else { return (total, samples) }
        let changes = zip(samples, before.samples).map { now, then in
            zip(now, then).map { $0 - $1 }
        }
        return (now - before.time, changes)
    }
}
