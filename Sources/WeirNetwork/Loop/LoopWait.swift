/// A task that waits for something a loop does; used on the loop only.
///
/// It is over when that is done, or when the task is cancelled: whoever keeps one in a queue asks
/// ``isOver`` when its turn comes.
package final class LoopWait<Value: Sendable> {
    private var continuation: CheckedContinuation<Value, any Error>?
    package private(set) var isOver = false

    /// Ends the wait; false when it was over.
    @discardableResult
    package func end(_ result: Result<Value, any Error>) -> Bool {
        if isOver { return false }
        isOver = true
        continuation?.resume(with: result)
        continuation = nil
        return true
    }

    fileprivate func begin(_ continuation: CheckedContinuation<Value, any Error>) {
        if isOver {
            continuation.resume(throwing: CancellationError())
        } else {
            self.continuation = continuation
        }
    }
}

extension Loop {
    /// Waits for the end of what `body` begins on the loop, or for the task's cancellation.
    ///
    /// - Throws: What the wait ends with; `CancellationError`, also in place of the beginning.
    package func wait<Value: Sendable>(
        _ body: @escaping @Sendable (LoopWait<Value>) -> Void
    ) async throws -> Value {
        let wait = LoopBound(LoopWait<Value>(), on: self)
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                execute {
                    wait.value.begin(continuation)
                    if !wait.value.isOver { body(wait.value) }
                }
            }
        } onCancel: {
            execute { wait.value.end(.failure(CancellationError())) }
        }
    }
}
