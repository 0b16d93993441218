/// Keeps a timer in step with state that may be rolled back.
@usableFromInline
package final class DeadlineTimer: TransactionParticipant {
    private let timer: StageTimer
    private let deadline: () -> EventTime?

    /// A timer set to what `deadline` says after each transaction; make it behind the state that it reads.
    @usableFromInline
    package init(
        _ scope: StageScope, deadline: @escaping () -> EventTime?,
        action: @escaping (EventTime) throws -> Void
    ) {
        timer = scope.makeTimer(action)
        self.deadline = deadline
        scope.register(self)
    }

    /// Follows a state that has come from a checkpoint.
    @usableFromInline
    package func restored() {
        timer.set(deadline())
    }

    @usableFromInline package func beginBatch() {}

    @usableFromInline
    package func commitBatch() {
        timer.set(deadline())
    }

    @usableFromInline
    package func rollbackBatch() {
        timer.set(deadline())
    }
}
