import DequeModule
import Synchronization

/// Runs all of a replay's tasks one after the other on the thread that asks it to, in the order in
/// which they become ready: equal input gives equal output.
final class ReplayExecutor: TaskExecutor {
    private let jobs = Mutex(Deque<UnownedJob>())

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        jobs.withLock { $0.append(job) }
    }

    /// Runs jobs until none is ready.
    ///
    /// Returns whether there were any.
    @discardableResult
    func runUntilIdle() -> Bool {
        var hasRun = false
        while let job = jobs.withLock({ $0.popFirst() }) {
            job.runSynchronously(on: asUnownedTaskExecutor())
            hasRun = true
        }
        return hasRun
    }

    /// Runs an action among the others and gives its result; nil when it waits for something that
    /// doesn't come.
    func perform<Value: Sendable>(
        _ action: @escaping @Sendable () async throws -> Value
    ) -> Result<Value, any Error>? {
        let outcome = Outcome<Value>()
        let task = Task(executorPreference: self) {
            do {
                outcome.set(.success(try await action()))
            } catch {
                outcome.set(.failure(error))
            }
        }
        runUntilIdle()
        if outcome.result == nil { task.cancel() }
        return outcome.result
    }

    private final class Outcome<Value: Sendable>: Sendable {
        private let value = Mutex<Result<Value, any Error>?>(nil)

        var result: Result<Value, any Error>? { value.withLock { $0 } }

        func set(_ result: Result<Value, any Error>) {
            value.withLock { $0 = result }
        }
    }
}
