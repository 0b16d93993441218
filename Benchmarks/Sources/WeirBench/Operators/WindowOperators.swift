import Weir

extension Benchmark {
    /// Windows of ten seconds, that is of ten events of each key.
    static var windowOperators: [Benchmark] {
        [
            operatorBenchmark("window-reduce", "eventTime, window, reduce: the sum of a window") {
                $0.perWindow { $0.value }
            } topology: { input in
                let sums = input.windows.reduce(into: 0) { sum, event in sum += event.value }
                return [input.sink(sums) { $0.value }]
            },
            operatorBenchmark("window-aggregate", "eventTime, window, aggregate(.count())") {
                $0.perWindow { _ in 1 }
            } topology: {
                [$0.sink($0.windows.aggregate(.count())) { $0.value }]
            },
            operatorBenchmark("window-collect", "eventTime, window, collect") {
                $0.perWindow { $0.value }
            } topology: { input in
                [
                    input.sink(input.windows.collect()) {
                        $0.value.events.reduce(0) { $0 + $1.value }
                    }
                ]
            },
            operatorBenchmark("window-late", "eventTime, window, late: every tenth event is") {
                events in
                var result = OperatorResult()
                for id in 0..<events.count { result.addUncounted(OperatorEvent(id).value) }
                return result
            } topology: { input in
                // Those of the first batch are in time, as no watermark has come before it.
                let windows = input.events
                    .eventTime(
                        { $0.id % 10 == 9 ? EventTime(nanoseconds: 0) : $0.time }, .monotonic
                    )
                    .keyed(by: { $0.key }).window(.tumbling(.seconds(10)))
                let sums = windows.reduce(into: 0) { sum, event in sum += event.value }
                return [
                    input.sink(sums, adding: { $0.addUncounted($1.value) }),
                    input.sink(windows.late, adding: { $0.addUncounted($1.value) }),
                ]
            },
        ]
    }

    /// Joins of two sources with half of the events each, or of events with a table of 10,000 rows.
    static var joinOperators: [Benchmark] {
        [
            operatorBenchmark(
                "window-join", "eventTime, window, join: one pair in a window", events: 400_000
            ) {
                $0.pairs()
            } topology: { input in
                let pairs = input.left.timed.keyed(by: { $0.key })
                    .window(.tumbling(.seconds(1)))
                    .join(input.right.timed.keyed(by: { $0.key }), .inner) { $0.value + $1.value }
                return [input.sink(pairs) { $0.value }]
            },
            operatorBenchmark(
                "interval-join", "eventTime, join(within:): one partner each", events: 400_000
            ) {
                $0.pairs()
            } topology: { input in
                let pairs = input.left.timed.keyed(by: { $0.key }).join(
                    input.right.timed.keyed(by: { $0.key }), within: .zero ... .milliseconds(500),
                    .inner
                ) { $0.value + $1.value }
                return [input.sink(pairs) { $0 }]
            },
            operatorBenchmark(
                "interval-join-late",
                "eventTime, join(within:late:): every tenth row is, none has a partner",
                events: 400_000
            ) { events in
                var result = OperatorResult()
                for id in 0..<events.count - events.half {
                    result.addUncounted(OperatorEvent(id).value)
                }
                for id in 0..<events.half { result.addUncounted(OperatorEvent(id).value) }
                return result
            } topology: { input in
                let time: @Sendable (OperatorEvent) -> EventTime = {
                    $0.id % 10 == 9 ? EventTime(nanoseconds: 0) : $0.time
                }
                let late = LateRows<OperatorEvent, OperatorEvent>()
                let rows = input.left.eventTime(time, .monotonic).keyed(by: { 2 * $0.key }).join(
                    input.right.eventTime(time, .monotonic).keyed(by: { 2 * $0.key + 1 }),
                    within: .zero ... .milliseconds(500), .full, late: late
                ) { left, right in (left?.value ?? 0) &+ (right?.value ?? 0) }
                return [
                    input.sink(rows, adding: { $0.addUncounted($1) }),
                    input.sink(late.left, adding: { $0.addUncounted($1.value) }),
                    input.sink(late.right, adding: { $0.addUncounted($1.value) }),
                ]
            },
            operatorBenchmark(
                "asOf-join", "eventTime, join(asOf:): as many versions as events", events: 400_000
            ) {
                events in
                events.sum(of: 0..<events.count - events.half) { event in
                    let version = event.id < events.half ? event.id : event.id - OperatorEvent.keys
                    return version < 0 ? nil : event.value + OperatorEvent(version).value
                }
            } topology: { input in
                let pairs = input.left.timed.keyed(by: { $0.key }).join(
                    asOf: input.right.timed.keyed(by: { $0.key })
                ) { event, version in version.map { event.value + $0.value } }
                return [input.sink(pairs) { $0 }]
            },
            operatorBenchmark("join", "join(unique: .right): with a table of 10,000 rows") {
                $0.withTable()
            } topology: { input in
                let pairs = input.besideTable.keyed(by: { $0.key }).join(
                    input.table.keyed(by: { $0.key }), unique: .right
                ) { $0.value + $1.value }
                return [input.sink(pairs) { $0 }]
            },
            operatorBenchmark("enrich-table", "enrich(with:): with a table of 10,000 rows") {
                $0.withTable()
            } topology: { input in
                let pairs = input.besideTable.enrich(
                    with: input.table, by: { $0.key }, rowKey: { $0.key },
                    start: .whenLoaded(limit: 4_000_000)
                ) { event, row in row.map { event.value + $0.value } }
                return [input.sink(pairs) { $0 }]
            },
        ]
    }
}

extension OperatorInput {
    fileprivate var windows: WindowedStream<Int, OperatorEvent> {
        timed.keyed(by: { $0.key }).window(.tumbling(.seconds(10)))
    }
}

extension PlainEvents {
    /// The sum of a value over each window and key.
    fileprivate func perWindow(_ value: (OperatorEvent) -> Int) -> OperatorResult {
        var result = OperatorResult()
        for start in stride(from: 0, to: count, by: 100_000) {
            var sums = [Int?](repeating: nil, count: OperatorEvent.keys)
            for id in start..<min(start + 100_000, count) {
                let event = OperatorEvent(id)
                sums[event.key] = (sums[event.key] ?? 0) + value(event)
            }
            for case let sum? in sums { result.add(sum) }
        }
        return result
    }

    /// Each event of the first source with the one of the same number of the second.
    fileprivate func pairs() -> OperatorResult { sum(of: 0..<half) { 2 * $0.value } }

    /// Each event with its key's row, where the table has one.
    func withTable() -> OperatorResult {
        sum(of: 0..<count - rows) { event in
            let row = event.id % OperatorEvent.keys
            return row < rows ? event.value + OperatorEvent(row).value : nil
        }
    }
}
