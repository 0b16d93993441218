import CMeasure
import Logging
import Weir

/// C9: what being able to restart costs a stage that doesn't fail: transactions with undo (Weir's
/// in place of a stage log), and checkpoints every second.
struct TransactionCost {
    let runs: Int
    let scale: Double
    let work: WorkDirectory

    func rows() async throws -> [RecoveryRow] {
        let events = max(20_000, Int(60_000_000 * scale))
        var plain: [Double] = []
        var fallible: [Double] = []
        var stored: [Double] = []
        for _ in 0..<runs {
            plain.append(try await time(events, Plain.self, store: nil))
            fallible.append(try await time(events, Fallible.self, store: nil))
            stored.append(try await time(events, Fallible.self, store: try work.fresh("store")))
        }
        let cost = zip(fallible, plain).map { ($0 / $1 - 1) * 100 }
        let costStored = zip(stored, plain).map { ($0 / $1 - 1) * 100 }
        let medians = (
            RecoveryRow(name: "", values: cost, unit: "").median,
            RecoveryRow(name: "", values: costStored, unit: "").median
        )
        return [
            RecoveryRow(
                name: "C9  a handler that can't throw, 100,000 keys", values: plain,
                unit: "ns/event"),
            RecoveryRow(
                name: "C9  one that can: transactions with undo", values: fallible,
                unit: "ns/event"),
            RecoveryRow(
                name: "C9  the same with a checkpoint every second", values: stored,
                unit: "ns/event"),
            RecoveryRow(
                name: "C9  cost of transactions", values: cost, unit: "%", bar: "≤ 10 %",
                isMet: medians.0 <= 10),
            RecoveryRow(
                name: "C9  cost of transactions and checkpoints", values: costStored, unit: "%",
                bar: "≤ 10 %", isMet: medians.1 <= 10),
        ]
    }

    private func time<Handler: KeyedHandler & CostHandler>(
        _ events: Int, _ handler: Handler.Type, store: String?
    ) async throws -> Double where Handler.Key == Int, Handler.Input == Int, Handler.Output == Int {
        let topology = Topology("cost") {
            EventStream("numbers", from: .collection(0..<events))
                .keyed(by: { ($0 &* 7_919) % 100_000 })
                .handle("count") { Handler() }
                .sink(.forEach { _ in })
        }
        var configuration = RunConfiguration(
            store: store.map { .directory($0, checkpointEvery: .seconds(1)) })
        configuration.logger.logLevel = .critical
        let began = cmeasure_now()
        try await topology.run(configuration)
        return Double(cmeasure_now() - began) / Double(events)
    }

    protocol CostHandler { init() }

    struct Plain: KeyedHandler, CostHandler {
        func initialState(for key: Int) -> Int { 0 }
        func on(_ event: Int, state: inout Int, _ context: inout Context<Int, Int>) {
            state &+= event
        }
    }

    struct Fallible: KeyedHandler, CostHandler {
        struct Overflow: Error {}
        func initialState(for key: Int) -> Int { 0 }
        func on(
            _ event: Int, state: inout Int, _ context: inout Context<Int, Int>
        ) throws(Overflow) {
            let (sum, overflow) = state.addingReportingOverflow(event)
            if overflow { throw Overflow() }
            state = sum
        }
        func onTimer(
            _ timer: FiredTimer, state: inout Int, _ context: inout Context<Int, Int>
        ) throws(Overflow) {}
    }
}
