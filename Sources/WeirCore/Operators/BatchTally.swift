/// What an operator counts or gives up while it handles a batch: it shows when the batch is done, and only once however
/// often the batch is tried.
@usableFromInline
package final class BatchTally: TransactionParticipant {
    private unowned let scope: StageScope
    private let reason: DropReason
    private var dropped = 0
    private var letters: [(event: any Sendable, reason: String)] = []

    /// A tally whose drops have this reason.
    @usableFromInline
    package init(_ scope: StageScope, _ reason: DropReason) {
        self.scope = scope
        self.reason = reason
        scope.register(self)
    }

    @usableFromInline
    package func drop(_ count: Int = 1) {
        dropped += count
    }

    @usableFromInline
    package func giveUp(_ event: any Sendable, _ reason: String) {
        letters.append((event, reason))
    }

    @usableFromInline
    package func beginBatch() {
        rollbackBatch()
    }

    @usableFromInline
    package func commitBatch() {
        if dropped > 0 { scope.countDropped(dropped, reason: reason) }
        for letter in letters { scope.deadLetter(letter.event, reason: letter.reason) }
        rollbackBatch()
    }

    @usableFromInline
    package func rollbackBatch() {
        dropped = 0
        if !letters.isEmpty { letters.removeAll() }
    }
}
