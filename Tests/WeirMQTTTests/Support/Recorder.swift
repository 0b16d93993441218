import Foundation
import Logging
import Synchronization
import WeirCore

/// Values that arrive on any thread and that a test waits for.
final class Recorder<Value: Sendable>: Sendable {
    private struct State {
        var values: [Value] = []
        var waiters: [(([Value]) -> Bool, CheckedContinuation<[Value], Never>)] = []
        var counters: [Counter] = []
    }

    private struct Counter {
        let condition: (Value) -> Bool
        var missing: Int
        let continuation: CheckedContinuation<Void, Never>
    }

    private let state = Mutex(State())

    func append(_ value: Value) {
        let (ready, values, counted) = state.withLock { state in
            state.values.append(value)
            for index in state.counters.indices where state.counters[index].condition(value) {
                state.counters[index].missing -= 1
            }
            let counted = state.counters.filter { $0.missing <= 0 }.map { $0.continuation }
            if !counted.isEmpty { state.counters.removeAll { $0.missing <= 0 } }
            let values = state.values
            let ready = state.waiters.filter { $0.0(values) }.map { $0.1 }
            if !ready.isEmpty { state.waiters.removeAll { $0.0(values) } }
            return (ready, values, counted)
        }
        for continuation in ready { continuation.resume(returning: values) }
        for continuation in counted { continuation.resume() }
    }

    /// Waits until so many values fulfil a condition, which looks at each of them once.
    func wait(for count: Int, where condition: @escaping @Sendable (Value) -> Bool) async {
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

    var values: [Value] { state.withLock { $0.values } }

    /// Waits until the values fulfil a condition.
    @discardableResult
    func wait(until condition: @escaping @Sendable ([Value]) -> Bool) async -> [Value] {
        await withCheckedContinuation { continuation in
            let values = state.withLock { state -> [Value]? in
                if condition(state.values) { return state.values }
                state.waiters.append((condition, continuation))
                return nil
            }
            if let values { continuation.resume(returning: values) }
        }
    }

    @discardableResult
    func wait(for count: Int) async -> [Value] { await wait { $0.count >= count } }

    /// A sink that records.
    var sink: Sink<Value> { .forEach { self.append($0) } }
}

/// A folder that goes with the value.
final class Folder: Sendable {
    let path: String

    init() throws {
        path =
            FileManager.default.temporaryDirectory
            .appendingPathComponent("weir-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

extension RunConfiguration {
    /// Without a log and without metrics.
    static func quiet(batchSize: Int = 64, store: StateStore? = nil) -> RunConfiguration {
        var configuration = RunConfiguration(
            batchSize: batchSize, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        configuration.metricsInterval = .zero
        configuration.store = store
        return configuration
    }
}

struct Reading: Codable, Sendable, Equatable {
    var id: Int
    var value = 1.5
}
