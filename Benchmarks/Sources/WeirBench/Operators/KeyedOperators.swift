import Weir

extension Benchmark {
    /// Operators with state for each of 10,000 keys.
    static var keyedOperators: [Benchmark] {
        [
            operatorBenchmark("handle", "handle: the sum of each key so far") {
                $0.runningSums()
            } topology: { input in
                let sums = input.events.keyed(by: { $0.key }).handle("sums") { KeySum() }
                return [input.sink(sums) { $0 }]
            },
            operatorBenchmark("sideOutput", "handle, sideOutput: every second event") {
                $0.sum { $0.value }
            } topology: { input in
                let even = input.events.keyed(by: { $0.key }).handle("divide") { Divider() }
                let odd = even.sideOutput(Divider.odd)
                return [input.sink(even) { $0.value }, input.sink(odd) { $0.value }]
            },
            operatorBenchmark("keyed-scan", "scan of keys: the sum of each so far") {
                $0.runningSums()
            } topology: { input in
                let sums = input.events.keyed(by: { $0.key }).scan(into: 0) { sum, event in
                    sum += event.value
                    return sum
                }
                return [input.sink(sums) { $0 }]
            },
            operatorBenchmark("keyed-reduce", "reduce of keys: the sum of each so far") {
                $0.runningSums()
            } topology: { input in
                let sums = input.events.keyed(by: { $0.key }).reduce(into: 0) { sum, event in
                    sum += event.value
                }
                return [input.sink(sums) { $0.value }]
            },
            operatorBenchmark("keyed-distinct", "distinct of keys: the first event of each") {
                $0.sum { $0.turn == 0 ? $0.value : nil }
            } topology: {
                [$0.sink($0.events.keyed(by: { $0.key }).distinct()) { $0.value }]
            },
            operatorBenchmark("keyed-changes", "changes(of:) of keys: every second one changes") {
                $0.sum { $0.turn.isMultiple(of: 2) ? $0.value : nil }
            } topology: { input in
                let changes = input.events.keyed(by: { $0.key }).changes(of: { $0.turn >> 1 })
                return [input.sink(changes) { $0.value }]
            },
            operatorBenchmark(
                "latestPerCheckpoint", "latestPerCheckpoint: at the end, without a store"
            ) { events in
                events.sum(of: max(0, events.count - OperatorEvent.keys)..<events.count) {
                    $0.value
                }
            } topology: { input in
                let latest = input.events.keyed(by: { $0.key }).latestPerCheckpoint()
                return [input.sink(latest) { $0.element.value }]
            },
            operatorBenchmark("rateLimit", "rateLimit: 10⁹ a second, so all pass") {
                $0.sum { $0.value }
            } topology: { input in
                let limited = input.events.keyed(by: { $0.key }).rateLimit(
                    events: 1_000_000_000, per: .seconds(1))
                return [input.sink(limited.passed) { $0.value }]
            },
            operatorBenchmark(
                "pattern", "eventTime, pattern: two steps, a match for each two", events: 200_000
            ) {
                $0.sum { $0.turn.isMultiple(of: 2) ? nil : $0.value }
            } topology: { input in
                let pairs = input.timed.keyed(by: { $0.key }).pattern(
                    Pattern("first") { (event: OperatorEvent) in event.turn.isMultiple(of: 2) }
                        .next("second") { !$0.turn.isMultiple(of: 2) }
                        .within(.seconds(3_600)))
                return [input.sink(pairs.matches) { $0["second"].first?.value ?? 0 }]
            },
            operatorBenchmark("broadcast-handle", "handle with rules: the sum of each key so far") {
                $0.runningSums()
            } topology: { input in
                let sums = input.events.keyed(by: { $0.key })
                    .connect(broadcast: rules, into: 0) { $0 += $1 }
                    .handle("sums") { RuledSum() }
                return [input.sink(sums) { $0 }]
            },
            operatorBenchmark("broadcast-compactMap", "compactMap with rules: all events") {
                $0.sum { $0.value }
            } topology: { input in
                let values = input.events.keyed(by: { $0.key })
                    .connect(broadcast: rules, into: 0) { $0 += $1 }
                    .compactMap { event, rules in event.value + rules }
                return [input.sink(values) { $0 }]
            },
        ]
    }

    /// One rule that adds nothing: whether it comes before an event makes no difference.
    private static var rules: EventStream<Int> { EventStream("rules", from: .collection([0])) }
}

/// Emits the sum of a key's values.
private struct KeySum: KeyedHandler {
    func initialState(for key: Int) -> Int { 0 }

    func on(_ event: OperatorEvent, state: inout Int, _ context: inout Context<Int, Int>) {
        state += event.value
        context.emit(state)
    }
}

/// The same under rules.
private struct RuledSum: BroadcastHandler {
    func initialState(for key: Int) -> Int { 0 }

    func on(
        _ event: OperatorEvent, rules: Int, state: inout Int, _ context: inout Context<Int, Int>
    ) {
        state += event.value + rules
        context.emit(state)
    }
}

/// Sends every second event to a side output.
private struct Divider: KeyedHandler {
    static let odd = SideOutput<OperatorEvent>("odd")

    func initialState(for key: Int) -> Int { 0 }

    func on(
        _ event: OperatorEvent, state: inout Int, _ context: inout Context<Int, OperatorEvent>
    ) {
        if event.id.isMultiple(of: 2) {
            context.emit(event)
        } else {
            context.emit(event, to: Self.odd)
        }
    }
}
