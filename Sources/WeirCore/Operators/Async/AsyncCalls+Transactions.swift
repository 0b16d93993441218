public import DequeModule

// What comes in and what leaves follows the fate of the transaction. Calls that have been started, and what has come
// back from them, do not: they can't be undone, and nothing makes them fail.
extension AsyncCalls: TransactionParticipant {
    @usableFromInline
    package func beginBatch() {
        wasEmitting = isEmitting
    }

    @usableFromInline
    package func commitBatch() {
        committer()
    }

    @usableFromInline
    package func rollbackBatch() {
        waiting.removeLast(arrived)
        arrived = 0
        emitted = 0
        isEmitting = wasEmitting
    }

    @inlinable
    func commit() {
        if emitted > 0 {
            departing.removeFirst(emitted)
            emitted = 0
        }
        if arrived > 0 {
            arrived = 0
            advance()
        }
    }
}
