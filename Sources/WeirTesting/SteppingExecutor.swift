import DequeModule
import Synchronization
import WeirCore

/// Runs the jobs of a whole topology one by one on the thread that asks it to, in an order that a seed decides.
///
/// Seed 0 takes the jobs first come, first served; every other seed picks the next one at random, so that a set of seeds
/// covers many interleavings and each of them can be had again.
package final class SteppingExecutor: SteppedExecutor {
    private struct Locked: Sendable {
        var jobs = Deque<UnownedJob>()
        var random: SplitMix64
        var finished = 0
        var trace: UInt64 = 0xCBF2_9CE4_8422_2325

        mutating func note(_ number: Int) {
            trace = (trace ^ UInt64(truncatingIfNeeded: number)) &* 0x0000_0100_0000_01B3
        }
    }

    private let locked: Mutex<Locked>
    private let isShuffled: Bool

    package init(seed: UInt64) {
        locked = Mutex(Locked(random: SplitMix64(seed: seed)))
        isShuffled = seed != 0
    }

    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        locked.withLock { $0.jobs.append(job) }
    }

    package func tossCoin() -> Bool {
        locked.withLock { locked in
            let isHeads = isShuffled && Bool.random(using: &locked.random)
            locked.note(isHeads ? 1 : 0)
            return isHeads
        }
    }

    /// The number of jobs that have run.
    package var finished: Int { locked.withLock { $0.finished } }

    /// A number that stands for the choices made so far: equal runs have equal ones.
    package var trace: UInt64 { locked.withLock { $0.trace } }

    /// Runs one job on the calling thread; false when there is none.
    package func step() -> Bool {
        guard let job = next() else { return false }
        job.runSynchronously(on: asUnownedTaskExecutor())
        return true
    }

    /// Runs jobs on the calling thread until none is left or `limit` of them have run.
    ///
    /// - Returns: Whether none is left.
    package func runUntilIdle(limit: Int = .max) -> Bool {
        var count = 0
        while count < limit {
            guard let job = next() else { return true }
            job.runSynchronously(on: asUnownedTaskExecutor())
            count += 1
        }
        return locked.withLock { $0.jobs.isEmpty }
    }

    private func next() -> UnownedJob? {
        locked.withLock { locked in
            guard let first = locked.jobs.popFirst() else { return nil }
            locked.finished += 1
            locked.note(locked.jobs.count)
            if !isShuffled || locked.jobs.isEmpty { return first }
            let index = Int.random(in: 0...locked.jobs.count, using: &locked.random)
            locked.note(index)
            if index == locked.jobs.count { return first }
            defer { locked.jobs[index] = first }
            return locked.jobs[index]
        }
    }
}
