import Weir

extension Benchmark {
    /// Operators that look at each event alone, or remember a little of the stream.
    static var eventOperators: [Benchmark] {
        [
            operatorBenchmark("map", "map: twice the value") {
                $0.sum { $0.value * 2 }
            } topology: {
                [$0.sink($0.events.map { $0.value * 2 }) { $0 }]
            },
            operatorBenchmark("compactMap", "compactMap: the values of every second event") {
                $0.sum { $0.id.isMultiple(of: 2) ? $0.value : nil }
            } topology: { input in
                let values = input.events.compactMap { $0.id.isMultiple(of: 2) ? $0.value : nil }
                return [input.sink(values) { $0 }]
            },
            operatorBenchmark("flatMap", "flatMap: each event twice") { events in
                var result = OperatorResult()
                for id in 0..<events.count {
                    result.add(OperatorEvent(id).value)
                    result.add(OperatorEvent(id).value)
                }
                return result
            } topology: { input in
                let twice = input.events.flatMap { repeatElement($0, count: 2) }
                return [input.sink(twice) { $0.value }]
            },
            operatorBenchmark("filter", "filter: every second event") {
                $0.sum { $0.id.isMultiple(of: 2) ? $0.value : nil }
            } topology: {
                [$0.sink($0.events.filter { $0.id.isMultiple(of: 2) }) { $0.value }]
            },
        ] + rememberingOperators
    }

    private static var rememberingOperators: [Benchmark] {
        [
            operatorBenchmark("scan", "scan: the running sum") { events in
                var sum = 0
                return events.sum {
                    sum += $0.value
                    return sum
                }
            } topology: {
                [$0.sink($0.events.scan(0) { $0 + $1.value }) { $0 }]
            },
            operatorBenchmark(
                "removeDuplicates", "map, removeDuplicates: every second one is equal"
            ) {
                $0.sum { $0.id.isMultiple(of: 2) ? $0.id >> 1 : nil }
            } topology: {
                [$0.sink($0.events.map { $0.id >> 1 }.removeDuplicates()) { $0 }]
            },
            operatorBenchmark("changes", "changes(of:): every second one changes") {
                $0.sum { $0.id.isMultiple(of: 2) ? $0.value : nil }
            } topology: {
                [$0.sink($0.events.changes(of: { $0.id >> 1 })) { $0.value }]
            },
            operatorBenchmark("distinct", "distinct(by:): every second one is new") {
                $0.sum { $0.id.isMultiple(of: 2) ? $0.value : nil }
            } topology: {
                [$0.sink($0.events.distinct(by: { $0.id >> 1 })) { $0.value }]
            },
            operatorBenchmark("prefix", "prefix: of all events") {
                $0.sum { $0.value }
            } topology: {
                [$0.sink($0.events.prefix($0.plain.count)) { $0.value }]
            },
            operatorBenchmark("dropFirst", "dropFirst: half of the events") { events in
                events.sum { $0.id < events.half ? nil : $0.value }
            } topology: {
                [$0.sink($0.events.dropFirst($0.plain.half)) { $0.value }]
            },
            operatorBenchmark("enumerated", "enumerated: the numbers are summed") {
                $0.sum { $0.id + $0.value }
            } topology: {
                [$0.sink($0.events.enumerated()) { $0.offset + $0.element.value }]
            },
        ]
    }

    /// Operators that join streams or divide them.
    static var routingOperators: [Benchmark] {
        [
            operatorBenchmark("merge", "merge: of two sources") { events in
                var result = events.sum(of: 0..<events.count - events.half) { $0.value }
                for id in 0..<events.half { result.add(OperatorEvent(id).value) }
                return result
            } topology: {
                [$0.sink($0.left.merge($0.right)) { $0.value }]
            },
            operatorBenchmark("loop", "loop: each event goes round once") {
                $0.sum { $0.value + 1_000 }
            } topology: { input in
                let output = input.events.loop("round") { events in
                    let (done, new) = events.split { $0.value > 1_000 }
                    let next = new.map { event in
                        var event = event
                        event.value += 1_000
                        return event
                    }
                    return (feedback: next, output: done)
                }
                return [input.sink(output) { $0.value }]
            },
            operatorBenchmark("split", "split: every second event, a sink for each output") {
                $0.sum { $0.value }
            } topology: { input in
                let (even, odd) = input.events.split { $0.id.isMultiple(of: 2) }
                return [input.sink(even) { $0.value }, input.sink(odd) { $0.value }]
            },
            operatorBenchmark("branch", "branch: in turn to four outputs with a sink each") {
                $0.sum { $0.value }
            } topology: { input in
                input.events.branch(4) { $0.id & 3 }.map { input.sink($0) { $0.value } }
            },
            operatorBenchmark("balance", "balance: over two copies of a map") {
                $0.sum { $0.value * 2 }
            } topology: { input in
                let doubled = input.events.balance(over: 2) { $0.map { $0.value * 2 } }
                return [input.sink(doubled) { $0 }]
            },
        ]
    }
}
