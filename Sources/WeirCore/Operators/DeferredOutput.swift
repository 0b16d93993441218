/// What an operator emits outside the handling of a batch: it leaves in portions, in order, and each event alone when
/// one of them fails behind it.
@usableFromInline
package final class DeferredOutput<Element: Sendable> {
    private enum Piece {
        case batch(Batch<Element>)
        case signal(Signal)
    }

    private struct Progress: Sendable {
        /// How many events of the first piece have left.
        var sent = 0
        var isScheduled = false
    }

    // Scope and operator live as long as the stage; the scope owns the closures that hold this.
    private unowned let scope: StageScope
    private let downstream: Receiver<Element>
    private let queue = TransactionalQueue<Piece>()
    private let progress = TransactionalValue(Progress())

    @usableFromInline
    package init(_ scope: StageScope, _ downstream: Receiver<Element>) {
        self.scope = scope
        self.downstream = downstream
        // Checkpoints come when it has been emptied.
        scope.registerTransient(queue)
        scope.registerTransient(progress)
    }

    /// Emits now, or behind what is deferred.
    @usableFromInline
    package func send(_ batch: Batch<Element>) throws {
        if batch.isEmpty { return }
        if queue.isEmpty { return try downstream.batch(batch) }
        `defer`(batch)
    }

    /// Passes a signal on now, or behind what is deferred.
    @usableFromInline
    package func send(_ signal: Signal) throws {
        if queue.isEmpty { return try downstream.signal(signal) }
        `defer`(signal)
    }

    /// Emits a batch after the running transaction.
    @usableFromInline
    package func `defer`(_ batch: Batch<Element>) {
        if batch.isEmpty { return }
        queue.append(.batch(batch))
        schedule()
    }

    /// Passes a signal on after the running transaction and what it has deferred so far.
    @usableFromInline
    package func `defer`(_ signal: Signal) {
        queue.append(.signal(signal))
        schedule()
    }

    private func schedule() {
        if progress.value.isScheduled { return }
        progress.value.isScheduled = true
        scope.enqueue(
            { [unowned self] in try emitPortion() }, abandon: { [unowned self] in abandonFirst() })
    }

    private func emitPortion() throws -> Bool {
        switch queue.first {
        case .batch(let first): try downstream.batch(takePortion(first))
        case .signal(let signal):
            queue.removeFirst()
            try downstream.signal(signal)
        case nil: break
        }
        if !queue.isEmpty { return true }
        progress.value.isScheduled = false
        return false
    }

    /// Takes as many events as make a portion, of small batches several.
    private func takePortion(_ first: Batch<Element>) -> Batch<Element> {
        let portion = max(1, scope.portion)
        let sent = progress.value.sent
        if first.count - sent > portion {
            progress.value.sent = sent + portion
            return first.slice(sent..<sent + portion)
        }
        progress.value.sent = 0
        queue.removeFirst()
        var batch = sent == 0 ? first : first.slice(sent..<first.count)
        while case .batch(let next)? = queue.first, batch.count + next.count <= portion {
            batch.append(contentsOf: next)
            queue.removeFirst()
        }
        return batch
    }

    private func abandonFirst() -> (any Sendable)? {
        guard case .batch(let first)? = queue.first else { return nil }
        let event = first.elements[progress.value.sent]
        progress.value.sent += 1
        if progress.value.sent == first.count {
            progress.value.sent = 0
            queue.removeFirst()
        }
        return event
    }
}
