import CMeasure
import Logging
import Synchronization
import Weir

/// C8: the longest time between two batches of a stage with 1 M keys, while a checkpoint is taken and
/// while none is.
struct SnapshotPause {
    let runs: Int
    let scale: Double
    let work: WorkDirectory

    func rows() async throws -> [RecoveryRow] {
        let keys = max(10_000, Int(1_000_000 * scale))
        var with: [Double] = []
        var without: [Double] = []
        for _ in 0..<runs {
            let (during, outside) = try await pauses(keys)
            with.append(during)
            without.append(outside)
        }
        let extra = zip(with, without).map { max(0, $0 - $1) }
        let median = RecoveryRow(name: "", values: extra, unit: "").median
        return [
            RecoveryRow(
                name: "C8  longest gap between batches, \(keys) keys, during a checkpoint",
                values: with, unit: "ms"),
            RecoveryRow(name: "C8  the same without", values: without, unit: "ms"),
            RecoveryRow(
                name: "C8  the pause of a checkpoint", values: extra, unit: "ms", bar: "≤ 1 ms",
                isMet: median <= 1),
        ]
    }

    private final class Gaps: Sendable {
        private struct State: Sendable {
            var last: UInt64 = 0
            var longest: UInt64 = 0
        }
        private let state = Mutex(State())
        func event() {
            let now = cmeasure_now()
            state.withLock { state in
                if state.last > 0 { state.longest = max(state.longest, now - state.last) }
                state.last = now
            }
        }
        func take() -> Double {
            state.withLock { state in
                defer { state.longest = 0 }
                return Double(state.longest) / 1e6
            }
        }
    }

    private func pauses(_ keys: Int) async throws -> (Double, Double) {
        let gaps = Gaps()
        let filled = AsyncStream.makeStream(of: Void.self)
        // A batch every 200 µs, random keys: half of what the stage could take.
        let source = Source<Int>("numbers") { inlet in
            var random = SplitMix64(seed: 5)
            for start in stride(from: 0, to: keys, by: 512) {
                try await inlet.send(Batch(ContiguousArray(start..<min(start + 512, keys))))
            }
            filled.continuation.finish()
            var due = inlet.context.now
            while !Task.isCancelled {
                let batch = (0..<512).map { _ in Int(random.next() % UInt64(keys)) }
                try await inlet.send(Batch(ContiguousArray(batch)))
                due = due.advanced(by: .microseconds(200))
                if due > inlet.context.now { try await inlet.context.sleep(until: due) }
            }
        }
        let topology = Topology("pause") {
            EventStream("numbers", from: source)
                .keyed(by: { $0 })
                .handle("count") { Counting(gaps: gaps) }
                .sink(.forEach { _ in })
        }
        var configuration = RunConfiguration(
            store: .directory(try work.fresh("store"), checkpointEvery: .zero))
        configuration.logger.logLevel = .critical
        let running = try await topology.start(configuration)
        for await _ in filled.stream {}
        try await running.checkpoint()
        _ = gaps.take()
        try await Task.sleep(for: .milliseconds(500))
        let outside = gaps.take()
        try await running.checkpoint()
        let during = gaps.take()
        running.cancel()
        try? await running.waitUntilFinished()
        return (during, outside)
    }

    private struct Counting: KeyedHandler {
        let gaps: Gaps
        func initialState(for key: Int) -> Int { 0 }
        func on(_ event: Int, state: inout Int, _ context: inout Context<Int, Int>) {
            state += 1
            gaps.event()
        }
    }
}
