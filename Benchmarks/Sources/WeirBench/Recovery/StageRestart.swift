import CMeasure
import Logging
import Synchronization
import Weir

/// R1: a handler throws twice at the same event, in its batch and alone, which restarts the stage;
/// timed from the second throw to the handling of the event behind it.
struct StageRestart {
    let runs: Int
    let scale: Double

    /// When the handler threw, and how long it took from there.
    final class Stopwatch: Sendable {
        private struct State: Sendable {
            var threwAt: UInt64 = 0
            var failing = -1
            var throwsLeft = 0
            var times: [UInt64] = []
        }
        private let state = Mutex(State())
        let interval: Int

        init(interval: Int) { self.interval = interval }

        struct Failure: Error {}

        func handle(_ event: Int) throws {
            if event % interval == 0, event > 0 {
                let fails = state.withLock { state in
                    if state.failing != event { (state.failing, state.throwsLeft) = (event, 2) }
                    guard state.throwsLeft > 0 else { return false }
                    state.throwsLeft -= 1
                    state.threwAt = cmeasure_now()
                    return true
                }
                if fails { throw Failure() }
            } else if event % interval == 1, event > 1 {
                state.withLock { state in
                    guard state.threwAt > 0, state.throwsLeft == 0 else { return }
                    state.times.append(cmeasure_now() - state.threwAt)
                    state.threwAt = 0
                }
            }
        }

        var times: [Double] { state.withLock { $0.times.map { Double($0) / 1_000 } } }
    }

    struct Counter: KeyedHandler {
        let stopwatch: Stopwatch
        func initialState(for key: Int) -> Int { 0 }
        func on(
            _ event: Int, state: inout Int, _ context: inout Context<Int, Int>
        ) throws(any Error) {
            state += 1
            try stopwatch.handle(event)
            context.emit(state)
        }
        func onTimer(
            _ timer: FiredTimer, state: inout Int, _ context: inout Context<Int, Int>
        ) throws(any Error) {}
    }

    private func times(every interval: Int, failures: Int) async throws -> [Double] {
        let stopwatch = Stopwatch(interval: interval)
        let topology = Topology("restart") {
            EventStream("numbers", from: .collection(0..<(interval * failures + 2)))
                .keyed(by: { $0 & 0xFFFF })
                .handle("count") { Counter(stopwatch: stopwatch) }
                .supervised(Supervisor(intensity: .max, within: .seconds(1), backoff: .none))
                .sink(.forEach { _ in })
        }
        var configuration = RunConfiguration()
        configuration.logger.logLevel = .critical
        try await topology.run(configuration)
        return stopwatch.times
    }

    func rows() async throws -> [RecoveryRow] {
        let failures = max(20, Int(200 * scale))
        var rows: [RecoveryRow] = []
        for (interval, limit) in [(1_000, 200.0), (100_000, 20_000)] {
            var medians: [Double] = []
            var tails: [Double] = []
            for _ in 0..<runs {
                let sorted = try await times(every: interval, failures: failures).sorted()
                guard !sorted.isEmpty else {
                    throw MeasurementError(description: "R1: nothing was restarted")
                }
                medians.append(sorted[sorted.count / 2])
                tails.append(sorted[Int(Double(sorted.count) * 0.99)])
            }
            let what = "\(interval) events since the last failure"
            let median = RecoveryRow(name: "", values: medians, unit: "").median
            rows.append(
                RecoveryRow(
                    name: "R1  a stage restarts, \(what), p50", values: medians, unit: "µs",
                    bar: "≤ \(limit.formatted3) µs", isMet: median <= limit))
            rows.append(
                RecoveryRow(name: "R1  the same, p99", values: tails, unit: "µs"))
        }
        return rows
    }
}
