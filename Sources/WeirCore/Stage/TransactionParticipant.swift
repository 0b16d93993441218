/// State that follows the fate of the batch being processed.
///
/// A stage handles each batch as a transaction: when a handler throws, every participant goes back to where it was
/// before the batch. Calls come on the stage's actor.
@usableFromInline
package protocol TransactionParticipant: AnyObject {
    func beginBatch()
    func commitBatch()
    func rollbackBatch()
}

/// One value of an operator, kept by value for the time of a batch.
@usableFromInline
package final class TransactionalValue<Value>: TransactionParticipant {
    @usableFromInline package var value: Value
    private var saved: Value?

    @usableFromInline
    package init(_ value: Value) {
        self.value = value
    }

    @usableFromInline package func beginBatch() { saved = value }
    @usableFromInline package func commitBatch() { saved = nil }

    @usableFromInline
    package func rollbackBatch() {
        if let saved { value = saved }
        saved = nil
    }
}
