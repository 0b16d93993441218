import DequeModule

/// What an operator emits outside the handling of a batch: it leaves in portions, in order, and each event alone when
/// one of them fails behind it.
@usableFromInline
package final class DeferredOutput<Element: Sendable> {
    private enum Item {
        case event(Element, EventTime)
        case signal(Signal)
    }

    private struct State {
        var queue = Deque<Item>()
        var isScheduled = false
    }

    // Scope and operator live as long as the stage; the scope owns the closures that hold this.
    private unowned let scope: StageScope
    private let downstream: Receiver<Element>
    private let state = TransactionalValue(State())

    @usableFromInline
    package init(_ scope: StageScope, _ downstream: Receiver<Element>) {
        self.scope = scope
        self.downstream = downstream
        // Checkpoints come when it has been emptied.
        scope.registerTransient(state)
    }

    /// Emits now, or behind what is deferred.
    @usableFromInline
    package func send(_ batch: Batch<Element>) throws {
        if batch.isEmpty { return }
        if state.value.queue.isEmpty { return try downstream.batch(batch) }
        `defer`(batch)
    }

    /// Passes a signal on now, or behind what is deferred.
    @usableFromInline
    package func send(_ signal: Signal) throws {
        if state.value.queue.isEmpty { return try downstream.signal(signal) }
        `defer`(signal)
    }

    /// Emits a batch after the running transaction.
    @usableFromInline
    package func `defer`(_ batch: Batch<Element>) {
        for index in batch.elements.indices {
            state.value.queue.append(.event(batch.elements[index], batch.time(at: index)))
        }
        schedule()
    }

    /// Passes a signal on after the running transaction and what it has deferred so far.
    @usableFromInline
    package func `defer`(_ signal: Signal) {
        state.value.queue.append(.signal(signal))
        schedule()
    }

    private func schedule() {
        if state.value.isScheduled || state.value.queue.isEmpty { return }
        state.value.isScheduled = true
        scope.enqueue(
            { [unowned self] in try emitPortion() }, abandon: { [unowned self] in abandonFirst() })
    }

    private func emitPortion() throws -> Bool {
        var batch = Batch<Element>()
        for item in state.value.queue.prefix(max(1, scope.portion)) {
            guard case .event(let event, let time) = item else { break }
            batch.append(event, at: time)
        }
        if !batch.isEmpty {
            try downstream.batch(batch)
            state.value.queue.removeFirst(batch.count)
        } else if case .signal(let signal)? = state.value.queue.first {
            try downstream.signal(signal)
            state.value.queue.removeFirst()
        }
        if !state.value.queue.isEmpty { return true }
        state.value.isScheduled = false
        return false
    }

    private func abandonFirst() -> (any Sendable)? {
        guard case .event(let event, _)? = state.value.queue.first else { return nil }
        state.value.queue.removeFirst()
        return event
    }
}
