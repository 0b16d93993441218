import Synchronization
import Weir

extension Benchmark {
    /// One for each operator of the index, by the names that `docs/operator-index.md` gives.
    static var eachOperator: [Benchmark] {
        [
            operatorBenchmark("source-and-sink", "no operator: what all others have in them too") {
                $0.sum { $0.value }
            } topology: {
                [$0.sink($0.events) { $0.value }]
            }
        ] + eventOperators + routingOperators + gatheringOperators + asynchronousOperators
            + timeOperators + keyedOperators + windowOperators + joinOperators + changeOperators
    }

    /// A source of prepared events, an operator and a sink.
    ///
    /// - Parameters:
    ///   - id: The operator's name in the index.
    ///   - events: All that the sources send.
    ///   - expected: What the sink has to see, computed without Weir.
    ///   - topology: The operator between the input's streams and its sinks.
    static func operatorBenchmark(
        _ id: String, _ title: String, events: Int = 1_000_000,
        expected: @escaping @Sendable (PlainEvents) -> OperatorResult,
        topology: @escaping @Sendable (OperatorInput) -> [Pipeline]
    ) -> Benchmark {
        Benchmark(
            id: id, group: .operators, title: title,
            workload: """
                Events of 24 bytes, made before the clock starts: a number, one of 10,000 keys in \
                turn, a value of 1 to 256; event time goes on by 100 µs an event. \
                A whole topology with its start and end: a source (or two, each with half of the \
                events), the operator, a sink that counts and sums. Compared with a plain loop.
                """,
            metric: .wallTime, events: events,
            sides: [
                Side(name: "Weir", isWeir: true) { count in
                    try await OperatorInput(count: count).measure(topology)
                }
            ],
            expectedChecksum: { expected(PlainEvents(count: $0)).checksum })
    }
}

/// The event of the operators' benchmarks.
struct OperatorEvent: Hashable, Codable, Sendable, BitwiseCopyable {
    static let keys = 10_000

    let id: Int
    let key: Int
    var value: Int

    /// The event of a number; every key once in 10,000 that follow each other.
    init(_ id: Int) {
        self.id = id
        key = id &* 7_919 % Self.keys
        value = 1 + id & 0xFF
    }

    var time: EventTime { EventTime(nanoseconds: 86_400_000_000_000 + Int64(id) * 100_000) }

    /// How many events of its key were before it.
    var turn: Int { id / Self.keys }
}

/// What came to a sink, or what should have.
struct OperatorResult: Sendable {
    private var count = 0
    private var sum = 0

    @inline(__always)
    mutating func add(_ value: Int) {
        count &+= 1
        sum &+= value
    }

    /// Adds a value where how many there are depends on the time.
    @inline(__always)
    mutating func addUncounted(_ value: Int) { sum &+= value }

    /// Keeps the greatest value only, where it depends on the time which others there are.
    @inline(__always)
    mutating func raise(to value: Int) { sum = max(sum, value) }

    var checksum: UInt64 { UInt64(bitPattern: Int64(sum &+ count &* 0x1_0000_0001)) }
}

/// The events of a run for the loops that compute what is expected.
struct PlainEvents: Sendable {
    let count: Int

    /// How many events the second of two sources has.
    var half: Int { count / 2 }
    /// How many rows a table has that stands for a second source.
    var rows: Int { min(OperatorEvent.keys, half) }

    /// Each event gives a value, or nothing.
    func sum(of ids: Range<Int>? = nil, _ value: (OperatorEvent) -> Int?) -> OperatorResult {
        var result = OperatorResult()
        for id in ids ?? 0..<count {
            if let value = value(OperatorEvent(id)) { result.add(value) }
        }
        return result
    }

    /// Each event gives the sum of its key so far.
    func runningSums() -> OperatorResult {
        var sums = [Int](repeating: 0, count: OperatorEvent.keys)
        return sum {
            sums[$0.key] += $0.value
            return sums[$0.key]
        }
    }

    /// The last event's number, and no more.
    var last: OperatorResult {
        var result = OperatorResult()
        result.raise(to: count - 1)
        return result
    }
}

/// The streams and sinks of one run.
struct OperatorInput: Sendable {
    /// All events.
    let prepared: ContiguousArray<OperatorEvent>
    private let results = OperatorResults()

    init(count: Int) {
        prepared = ContiguousArray((0..<count).lazy.map { OperatorEvent($0) })
    }

    var plain: PlainEvents { PlainEvents(count: prepared.count) }

    @concurrent
    func measure(_ pipelines: @Sendable (OperatorInput) -> [Pipeline]) async throws -> Sample {
        let pipelines = pipelines(self)
        let topology = Topology("operator") { pipelines }
        let watch = Stopwatch()
        try await topology.run()
        return watch.sample(events: prepared.count, checksum: results.value.checksum)
    }

    var events: EventStream<OperatorEvent> { stream("events", prepared) }
    var timed: EventStream<OperatorEvent> { events.timed }

    /// The first of two sources; where their number is odd it has one event more.
    var left: EventStream<OperatorEvent> {
        stream("left", ContiguousArray(prepared.dropLast(plain.half)))
    }
    /// The second one, with the same events.
    var right: EventStream<OperatorEvent> {
        stream("right", ContiguousArray(prepared.prefix(plain.half)))
    }
    /// What is left for the first source beside a table.
    var besideTable: EventStream<OperatorEvent> {
        stream("events", ContiguousArray(prepared.dropLast(plain.rows)))
    }
    /// A row for each key.
    var table: EventStream<OperatorEvent> {
        stream("table", ContiguousArray(prepared.prefix(plain.rows)))
    }

    private func stream(
        _ name: String, _ events: ContiguousArray<OperatorEvent>
    ) -> EventStream<OperatorEvent> {
        EventStream(name, from: .collection(events))
    }

    /// Counts the events and sums what the closure sees in them.
    @inline(__always)
    func sink<Element: Sendable>(
        _ stream: EventStream<Element>, _ value: @escaping @Sendable (Element) -> Int
    ) -> Pipeline {
        sink(stream) { result, event in result.add(value(event)) }
    }

    /// The same for changes: of the row that is there after them.
    @inline(__always)
    func sink<Row: Sendable>(
        _ changes: ChangeStream<Row>, _ value: @escaping @Sendable (Row) -> Int
    ) -> Pipeline {
        sink(changes.changes) { change in change.after.map(value) ?? 0 }
    }

    @inline(__always)
    func sink<Element: Sendable>(
        _ stream: EventStream<Element>,
        adding add: @escaping @Sendable (inout OperatorResult, Element) -> Void
    ) -> Pipeline {
        stream.sink(
            .forEachBatch { batch in
                results.change { result in
                    for event in batch.elements { add(&result, event) }
                }
            })
    }
}

extension EventStream<OperatorEvent> {
    var timed: EventStream<OperatorEvent> { eventTime({ $0.time }, .monotonic) }
}

/// What came to the sinks of a run.
private final class OperatorResults: Sendable {
    private let result = Mutex(OperatorResult())

    @inline(__always)
    func change(_ body: (inout OperatorResult) -> Void) { result.withLock { body(&$0) } }

    var value: OperatorResult { result.withLock { $0 } }
}
