package import Synchronization

/// What others may ask of a stage while it runs.
package final class StageControl: Sendable {
    package let restartIsRequested = Atomic<Bool>(false)
    /// Whether the wake-up that was asked for last has come.
    let wakeUpHasCome = Atomic<Bool>(false)
    /// The checkpoint that a source's stage is to take.
    let requestedBarrier = Mutex<Barrier?>(nil)
    /// The newest complete checkpoint.
    let completedCheckpoint = Atomic<Int>(0)
    /// The wait before a restart.
    private let backoff = Mutex<Task<Void, any Error>?>(nil)
    private let stopping = Mutex<(isStopped: Bool, waiters: [UnsafeContinuation<Void, Never>])>(
        (false, []))

    /// The stage waits before a restart, no longer than until ``endBackoff()``.
    func beginBackoff(_ wait: Task<Void, any Error>) {
        backoff.withLock { $0 = wait }
    }

    func endBackoff() {
        backoff.withLock { $0.take() }?.cancel()
    }

    package func stopped() {
        let waiters = stopping.withLock { stopping in
            stopping.isStopped = true
            defer { stopping.waiters.removeAll() }
            return stopping.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    package func waitUntilStopped() async {
        await withUnsafeContinuation { continuation in
            let isStopped = stopping.withLock { stopping in
                if !stopping.isStopped { stopping.waiters.append(continuation) }
                return stopping.isStopped
            }
            if isStopped { continuation.resume() }
        }
    }
}
