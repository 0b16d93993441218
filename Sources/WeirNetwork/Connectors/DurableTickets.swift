import Synchronization

/// Brings word from the journal's thread that records are durable: many by one hop to the loop.
package final class DurableTickets: Sendable {
    private struct State {
        var next: UInt64 = 0
        var done: [UInt64] = []
    }

    private let state = Mutex(State())
    private let actions: LoopBound<Actions>
    private let loop: Loop

    private final class Actions {
        var pending: [UInt64: () -> Void] = [:]
    }

    package init(_ loop: Loop) {
        self.loop = loop
        actions = LoopBound(Actions(), on: loop)
    }

    /// On the loop: makes a closure that has `action` run on the loop, whoever calls it.
    package func make(_ action: @escaping () -> Void) -> @Sendable () -> Void {
        let number = state.withLock { state in
            state.next += 1
            return state.next
        }
        actions.value.pending[number] = action
        return { [self] in
            let isFirst = state.withLock { state in
                state.done.append(number)
                return state.done.count == 1
            }
            if isFirst { loop.execute { self.run() } }
        }
    }

    private func run() {
        let done = state.withLock { state in
            defer { state.done.removeAll() }
            return state.done
        }
        for number in done { actions.value.pending.removeValue(forKey: number)?() }
    }
}
