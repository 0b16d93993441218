import Weir

extension Benchmark {
    /// Operators that gather events or keep a rate.
    ///
    /// Where the result depends on the clock, what is checked does not: the sum of all that was
    /// merged, or that the last event came.
    static var gatheringOperators: [Benchmark] {
        [
            operatorBenchmark("chunked", "chunked: arrays of 100") { events in
                var result = OperatorResult()
                for start in stride(from: 0, to: events.count, by: 100) {
                    let chunk = start..<min(start + 100, events.count)
                    result.add(chunk.reduce(0) { $0 + OperatorEvent($1).value })
                }
                return result
            } topology: { input in
                [input.sink(input.events.chunked(count: 100)) { $0.reduce(0) { $0 + $1.value } }]
            },
            operatorBenchmark(
                "conflate", "conflate: values are added while the sink is busy", events: 200_000
            ) {
                events in
                var result = OperatorResult()
                for id in 0..<events.count { result.addUncounted(OperatorEvent(id).value) }
                return result
            } topology: { input in
                let merged = input.events.map { $0.value }.conflate { $0 + $1 }
                return [input.sink(merged, adding: { $0.addUncounted($1) })]
            },
            operatorBenchmark(
                "conflateToLatest", "conflateToLatest: the last one comes", events: 200_000
            ) {
                $0.last
            } topology: { input in
                [input.sink(input.events.conflateToLatest(), adding: { $0.raise(to: $1.id) })]
            },
            operatorBenchmark("debounce", "debounce: a second of quiet, so one event") {
                $0.last
            } topology: { input in
                [input.sink(input.events.debounce(.seconds(1)), adding: { $0.raise(to: $1.id) })]
            },
            operatorBenchmark("sample", "sample: every second, so few events") {
                $0.last
            } topology: { input in
                let sampled = input.events.sample(every: .seconds(1))
                return [input.sink(sampled, adding: { $0.raise(to: $1.id) })]
            },
            operatorBenchmark(
                "throttle", "throttle: shaped to 10⁹ a second, so none waits", events: 200_000
            ) {
                $0.sum { $0.value }
            } topology: { input in
                let shaped = input.events.throttle(
                    events: 1_000_000_000, per: .seconds(1), burst: 1_000_000)
                return [input.sink(shaped) { $0.value }]
            },
        ]
    }

    /// Operators that call asynchronous code; the calls return at once.
    static var asynchronousOperators: [Benchmark] {
        [
            operatorBenchmark("mapAsync", "mapAsync: 16 calls under way", events: 50_000) {
                $0.sum { $0.value * 2 }
            } topology: { input in
                let doubled = input.events.mapAsync { event async in event.value * 2 }
                return [input.sink(doubled) { $0 }]
            },
            operatorBenchmark(
                "mapAsync-breaker", "mapAsync(breaker:): the breaker stays closed", events: 50_000
            ) {
                $0.sum { $0.value * 2 }
            } topology: { input in
                let calls = input.events.mapAsync(breaker: CircuitBreaker()) { event async in
                    event.value * 2
                }
                return [input.sink(calls.results) { $0 }]
            },
            operatorBenchmark(
                "enrich-lookUp", "enrich(lookUp:): each key is looked up once", events: 200_000
            ) {
                $0.sum { $0.value + $0.key }
            } topology: { input in
                let enriched = input.events.enrich(
                    by: { $0.key }, cache: 2 * OperatorEvent.keys,
                    lookUp: { (key: Int) async in key }
                ) { event, answer in event.value + answer }
                return [input.sink(enriched) { $0 }]
            },
        ]
    }

    /// Operators that give events their times, or look at these.
    static var timeOperators: [Benchmark] {
        [
            operatorBenchmark("eventTime", "eventTime: times that only grow") {
                $0.sum { $0.value }
            } topology: {
                [$0.sink($0.timed) { $0.value }]
            },
            operatorBenchmark("ingestionTime", "ingestionTime: the clock's") {
                $0.sum { $0.value }
            } topology: {
                [$0.sink($0.events.ingestionTime()) { $0.value }]
            },
            operatorBenchmark("withEventTime", "eventTime, withEventTime") {
                $0.sum { Int($0.time.nanoseconds) }
            } topology: {
                [$0.sink($0.timed.withEventTime()) { Int($0.time?.nanoseconds ?? 0) }]
            },
            operatorBenchmark("aligned", "eventTime, aligned: two sources, drift of a second") {
                events in
                var result = events.sum(of: 0..<events.count - events.half) { $0.value }
                for id in 0..<events.half { result.add(OperatorEvent(id).value) }
                return result
            } topology: { input in
                [input.left, input.right].map { stream in
                    let aligned = stream.timed.aligned(in: "both", maximumDrift: .seconds(1))
                    return input.sink(aligned) { $0.value }
                }
            },
        ]
    }
}
