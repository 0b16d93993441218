import Synchronization
package import WeirCore

/// Values that arrive on any thread and that a test waits for.
package final class Recorder<Value: Sendable>: Sendable {
    private struct Waiter {
        let condition: ([Value]) -> Bool
        let continuation: CheckedContinuation<[Value], Never>
    }

    private struct Counter {
        let condition: (Value) -> Bool
        var missing: Int
        let continuation: CheckedContinuation<Void, Never>
    }

    private struct State {
        var values: [Value] = []
        var waiters: [Waiter] = []
        var counters: [Counter] = []

        /// Those who have waited long enough.
        mutating func takeReady() -> [CheckedContinuation<[Value], Never>] {
            let ready = waiters.filter { $0.condition(values) }.map(\.continuation)
            if !ready.isEmpty { waiters.removeAll { $0.condition(values) } }
            return ready
        }

        mutating func takeCounted(_ value: Value) -> [CheckedContinuation<Void, Never>] {
            for index in counters.indices where counters[index].condition(value) {
                counters[index].missing -= 1
            }
            let counted = counters.filter { $0.missing <= 0 }.map(\.continuation)
            if !counted.isEmpty { counters.removeAll { $0.missing <= 0 } }
            return counted
        }
    }

    private let state = Mutex(State())

    package init() {}

    package func append(_ value: Value) {
        let (ready, values, counted) = state.withLock { state in
            state.values.append(value)
            let counted = state.takeCounted(value)
            let ready = state.takeReady()
            // Else nobody needs them, and another thread's `append` would have to copy them.
            return (ready, ready.isEmpty ? [] : state.values, counted)
        }
        for continuation in ready { continuation.resume(returning: values) }
        for continuation in counted { continuation.resume() }
    }

    package var values: [Value] { state.withLock { $0.values } }

    /// Waits until so many values fulfil a condition, which looks at each of them once.
    package func wait(
        for count: Int, where condition: @escaping @Sendable (Value) -> Bool
    ) async {
        await withCheckedContinuation { continuation in
            let isDone = state.withLock { state in
                let missing = count - state.values.count(where: condition)
                if missing <= 0 { return true }
                state.counters.append(
                    Counter(condition: condition, missing: missing, continuation: continuation))
                return false
            }
            if isDone { continuation.resume() }
        }
    }

    /// Waits until the values fulfil a condition.
    @discardableResult
    package func wait(until condition: @escaping @Sendable ([Value]) -> Bool) async -> [Value] {
        await withCheckedContinuation { continuation in
            let values = state.withLock { state -> [Value]? in
                if condition(state.values) { return state.values }
                state.waiters.append(Waiter(condition: condition, continuation: continuation))
                return nil
            }
            if let values { continuation.resume(returning: values) }
        }
    }

    /// Waits until there are at least `count` values.
    @discardableResult
    package func wait(for count: Int) async -> [Value] { await wait { $0.count >= count } }

    /// A sink that records.
    package var sink: Sink<Value> { .forEach { self.append($0) } }
}
