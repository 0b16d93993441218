import Weir

extension Benchmark {
    /// Operators whose results change, and those on such results.
    static var changeOperators: [Benchmark] {
        [
            operatorBenchmark("inserted", "inserted: events as rows") {
                $0.sum { $0.value }
            } topology: {
                [$0.sink($0.events.inserted()) { $0.value }]
            },
            operatorBenchmark("changes-map", "inserted, map: twice the value") {
                $0.sum { $0.value * 2 }
            } topology: {
                [$0.sink($0.events.inserted().map { $0.value * 2 }) { $0 }]
            },
            operatorBenchmark("changes-compactMap", "inserted, compactMap: every second row") {
                $0.sum { $0.id.isMultiple(of: 2) ? $0.value : nil }
            } topology: { input in
                let values = input.events.inserted().compactMap {
                    $0.id.isMultiple(of: 2) ? $0.value : nil
                }
                return [input.sink(values) { $0 }]
            },
            operatorBenchmark("changes-filter", "inserted, filter: every second row") {
                $0.sum { $0.id.isMultiple(of: 2) ? $0.value : nil }
            } topology: {
                [$0.sink($0.events.inserted().filter { $0.id.isMultiple(of: 2) }) { $0.value }]
            },
            operatorBenchmark("upserts", "inserted, upserts") {
                $0.sum { $0.value }
            } topology: { input in
                let upserts = input.events.inserted().upserts(by: { $0.key })
                return [input.sink(upserts) { $0.row?.value ?? 0 }]
            },
            operatorBenchmark("aggregate", "aggregate(.sum): a change for each event") {
                $0.runningSums()
            } topology: { input in
                let sums = input.events.keyed(by: { $0.key }).aggregate(.sum(of: { $0.value }))
                return [input.sink(sums) { $0.value }]
            },
            operatorBenchmark("latest", "latest: a change for each event") {
                $0.sum { $0.value }
            } topology: {
                [$0.sink($0.events.keyed(by: { $0.key }).latest()) { $0.value }]
            },
            operatorBenchmark("top", "top(2): each event is the first of its key") { events in
                var result = OperatorResult()
                for id in 0..<events.count {
                    let event = OperatorEvent(id)
                    result.add(event.value)
                    if event.turn > 0 { result.add(OperatorEvent(id - OperatorEvent.keys).value) }
                }
                return result
            } topology: { input in
                let top = input.events.keyed(by: { $0.key }).top(2) { $0.id > $1.id }
                return [input.sink(top) { $0.row.value }]
            },
            operatorBenchmark(
                "changes-join", "inserted, join of changes: with a table of 10,000 rows"
            ) {
                $0.withTable()
            } topology: { input in
                let pairs = input.besideTable.inserted().keyed(by: { $0.key }).join(
                    input.table.inserted().keyed(by: { $0.key }), .inner
                ) { $0.value + $1.value }
                return [input.sink(pairs) { $0 }]
            },
        ]
    }
}
