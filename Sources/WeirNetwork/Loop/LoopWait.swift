/// A task that waits for something a loop does; used on the loop only.
///
/// It is over when that is done, or when the task is cancelled: whoever keeps one in a queue asks
/// ``isOver`` when its turn comes.
final class LoopWait {
    private var continuation: CheckedContinuation<Void, any Error>?
    private(set) var isOver = false

    /// Ends the wait; does nothing when it is over.
    func end(_ result: Result<Void, any Error>) {
        if isOver { return }
        isOver = true
        continuation?.resume(with: result)
        continuation = nil
    }

    fileprivate func begin(_ continuation: CheckedContinuation<Void, any Error>) {
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
    func wait(_ body: @escaping @Sendable (LoopWait) -> Void) async throws {
        let wait = LoopBound(LoopWait(), on: self)
        try await withTaskCancellationHandler {
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
