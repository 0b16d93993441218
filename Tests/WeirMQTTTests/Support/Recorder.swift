import Foundation
import Logging
import Synchronization
import WeirCore

/// Values that arrive on any thread and that a test waits for.
final class Recorder<Value: Sendable>: Sendable {
    private struct State {
        var values: [Value] = []
        var waiters: [(([Value]) -> Bool, CheckedContinuation<[Value], Never>)] = []
    }

    private let state = Mutex(State())

    func append(_ value: Value) {
        let (ready, values) = state.withLock { state in
            state.values.append(value)
            let values = state.values
            let ready = state.waiters.filter { $0.0(values) }.map { $0.1 }
            if !ready.isEmpty { state.waiters.removeAll { $0.0(values) } }
            return (ready, values)
        }
        for continuation in ready { continuation.resume(returning: values) }
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
