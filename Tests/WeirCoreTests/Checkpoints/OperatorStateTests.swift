import Testing
import WeirCore
import WeirTesting

private struct Numbered: Equatable, Sendable {
    var number: Int
    var reading: Reading
}

@Suite(.everyStateBackend) struct `Operators go on from a checkpoint` {
    private let readings = randomReadings(seed: 11, count: 60)

    private func expectSame<Output: Sendable & Equatable>(
        batchSize: Int = 1, settles: Bool = false, _ steps: [RunStep<Reading>]? = nil,
        sourceLocation: Testing.SourceLocation = #_sourceLocation,
        _ build: @escaping @Sendable (EventStream<Reading>) -> EventStream<Output>
    ) throws {
        try Continuation(batchSize: batchSize, settles: settles, build: build).expectSame(
            steps ?? readings.steps, sourceLocation: sourceLocation)
    }

    /// Events some nanoseconds apart, so that timers fall due between them.
    private var spaced: [RunStep<Reading>] { readings.steps(seed: 3, upTo: .nanoseconds(20)) }

    @Test(arguments: [1, 7]) func `scan`(_ batchSize: Int) throws {
        try expectSame(batchSize: batchSize) { $0.scan(0) { $0 + $1.value } }
        try expectSame(batchSize: batchSize) {
            $0.scan(into: [Int: Int]()) { counts, reading in
                counts[reading.key, default: 0] += 1
                return counts[reading.key, default: 0]
            }
        }
        try expectSame(batchSize: batchSize) {
            $0.enumerated().map { Numbered(number: $0.offset, reading: $0.element) }
        }
    }

    @Test(arguments: [1, 7]) func `prefix and dropFirst`(_ batchSize: Int) throws {
        try expectSame(batchSize: batchSize) { $0.prefix(25) }
        try expectSame(batchSize: batchSize) { $0.dropFirst(25) }
    }

    @Test(arguments: [1, 7]) func `distinct`(_ batchSize: Int) throws {
        try expectSame(batchSize: batchSize) { $0.distinct(by: { $0.value % 23 }, memory: 7) }
        try expectSame(batchSize: batchSize) {
            $0.eventTime(\.at).distinct(
                by: { $0.value % 11 }, memory: 6, within: .nanoseconds(50))
        }
    }

    @Test func `removeDuplicates and changes`() throws {
        try expectSame { $0.map { $0.value % 3 }.removeDuplicates() }
        try expectSame { $0.changes(of: { $0.value % 3 == 0 ? nil : $0.value % 2 }) }
        // A nil that has been seen isn't the same as nothing that has been seen.
        try expectSame { $0.map { _ in Int?.none }.removeDuplicates() }
    }

    @Test func `chunked`() throws {
        try expectSame { $0.chunked(count: 7) }
        try expectSame(spaced) { $0.chunked(count: 5, within: .nanoseconds(30)) }
        try expectSame {
            $0.eventTime(\.at, .boundedOutOfOrderness(.nanoseconds(5))).chunked(count: 4)
                .withEventTime().map { "\($0.element) \(String(describing: $0.time))" }
        }
    }

    @Test func `debounce and sample`() throws {
        try expectSame(spaced) { $0.debounce(.nanoseconds(9)) }
        try expectSame(spaced) { $0.sample(every: .nanoseconds(33)) }
    }

    @Test(arguments: [ThrottleMode.dropNewest, .dropOldest, .latest, .shape])
    func `throttle`(_ mode: ThrottleMode) throws {
        try expectSame(spaced) {
            $0.throttle(events: 3, per: .nanoseconds(50), burst: 2, mode: mode)
        }
    }

    @Test func `operators that keep nothing`() throws {
        try expectSame(settles: true) { events in
            let (even, odd) = events.split { $0.value % 2 == 0 }
            return even.map { $0.value }.merge(odd.map { -$0.value }).map { abs($0) }
        }
        try expectSame(settles: true) { $0.conflateToLatest() }
        try expectSame { $0.mapAsync(inFlight: 4) { $0.value } }
        try expectSame {
            $0.enrich(by: { $0.value % 5 }, cache: 2, lookUp: { $0 * 10 }) { $0.value + $1 }
        }
    }

    @Test(arguments: [TableStart.immediate, .whenLoaded(), .whenLoaded(limit: 5)])
    func `enrich`(_ start: TableStart) throws {
        try Continuation<Reading, Reading>(
            // The limit is one for each instance, so what waits depends on their number.
            group: { $0.key }, rescales: start != .whenLoaded(limit: 5), settles: true
        ) { events in
            let (rows, facts) = events.split { $0.value % 3 == 0 }
            return facts.enrich(with: rows, by: { $0.key }, rowKey: { $0.key }, start: start) {
                fact, row in
                var fact = fact
                fact.value = fact.value * 1_000 + (row?.value ?? 0)
                return fact
            }
        }.expectSame(readings.steps)
    }

    @Test func `a chunk that waits for its time leaves although no event follows`() throws {
        let steps: [RunStep<Reading>] = [.event(Reading(1, at: 0)), .advance(.nanoseconds(100))]
        try Continuation<Reading, Int>(build: { events in
            events.chunked(count: 5, within: .nanoseconds(50)).map { $0.count }
        }).expectSame(steps)
    }
}

private struct Opaque: Equatable, Sendable {
    var number: Int
}

@Suite struct `State that isn't Codable` {
    private func problem(
        _ build: @escaping @Sendable (EventStream<Int>) -> EventStream<Int>
    ) -> String {
        var configuration = TopologyTest.configuration
        configuration.store = continuationStore()
        let topology = Topology("opaque") {
            build(EventStream("numbers", from: .collection(0..<10))).sink(
                SinkProbe<Int>().sink)
        }
        do {
            let test = try TopologyTest(topology, configuration: configuration)
            try test.cancel()
            return ""
        } catch let error as TopologyError {
            #expect(error.problems.allSatisfy { $0.code == .notStorable })
            return error.description
        } catch {
            return "another error: \(error)"
        }
    }

    @Test func `is refused before anything runs, by its type's name`() {
        #expect(
            problem { $0.scan(Opaque(number: 0)) { $1 > 0 ? $0 : $0 }.map(\.number) }
                .contains("Opaque isn't Codable"))
        #expect(
            problem { $0.map { Opaque(number: $0) }.chunked(count: 2).map(\.count) }
                .contains("Opaque"))
        #expect(
            problem { $0.map { Opaque(number: $0) }.debounce(.seconds(1)).map(\.number) }
                .contains("Opaque"))
        #expect(
            problem {
                $0.map { Opaque(number: $0) }.throttle(events: 1, per: .seconds(1)).map(\.number)
            }.contains("Opaque"))
        #expect(
            problem {
                $0.eventTime({ EventTime(nanoseconds: Int64($0)) }, .custom { OpaqueGenerator() })
            }.contains("OpaqueGenerator isn't Codable"))
    }

    @Test func `is no matter where nothing is kept between events`() {
        #expect(
            problem {
                $0.map { Opaque(number: $0) }.filter { $0.number > 1 }
                    .mapAsync { $0.number }
            } == "")
    }
}

private struct OpaqueGenerator: WatermarkGenerator {
    var latest = EventTime.min
    mutating func observe(_ event: Int, at time: EventTime) { latest = max(latest, time) }
    mutating func watermark(now: EventTime) -> EventTime? { latest }
}
