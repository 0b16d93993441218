import Testing
import WeirCore
import WeirTesting

/// Times that lie at the ends of the time line, or near them.
@Suite(.everyStateBackend) struct `At the ends of time` {
    /// From the earliest time that an event can have up to the latest.
    private static let times: [EventTime] =
        [1, 2, 9, 61].map { EventTime(nanoseconds: .min + $0) }
        + [-1, 0, 1].map { EventTime(nanoseconds: $0) }
        + [61, 60, 9, 2, 1, 0, 0, 0].map { EventTime(nanoseconds: .max - $0) }

    private static func readings(_ times: [EventTime]) -> [Reading] {
        times.enumerated().map { index, time in
            var reading = Reading(1, index, at: 0)
            reading.at = time
            return reading
        }
    }

    /// The last result of each window, and the events that were late.
    private func counts(
        _ window: Window, lateness: Duration, combines: Bool
    ) throws -> (counts: [Range<EventTime>: Int], results: Int, late: Int) {
        let source = SourceProbe<Reading>()
        let sink = SinkProbe<Windowed<Int, Int>>()
        let late = SinkProbe<Reading>("late")
        let topology = Topology("t") {
            let windows = EventStream("in", from: source.source)
                .eventTime(\.at, WatermarkStrategy.monotonic.neverIdle).keyed(by: \.key)
                .window(window, allowedLateness: lateness)
            let counts =
                combines
                ? windows.reduce(into: 0, { sum, _ in sum += 1 }, combine: { $0 += $1 })
                : windows.reduce(into: 0) { sum, _ in sum += 1 }
            counts.sink(sink.sink)
            windows.late.sink(late.sink)
        }
        let test = try TopologyTest(topology)
        for reading in Self.readings(Self.times) {
            source.send(reading)
            try test.run()
        }
        source.finish()
        try test.finish()
        #expect(test.running.status().stage("window")?.stateKeys ?? 0 == 0)
        var counts: [Range<EventTime>: Int] = [:]
        for result in sink.received { counts[result.window] = result.value }
        return (counts, sink.received.count, late.received.count)
    }

    @Test(arguments: [0, 1_000_000_000] as [Int64])
    func `windows take each event once`(_ lateness: Int64) throws {
        let lateness = Duration.nanoseconds(lateness)
        for window in [
            Window.tumbling(.nanoseconds(60)), .tumbling(.nanoseconds(1)),
            .session(gap: .nanoseconds(5)),
        ] {
            let (counts, results, late) = try counts(window, lateness: lateness, combines: true)
            // A session that grows gives a result with another end.
            var last: [EventTime: Int] = [:]
            for (range, count) in counts {
                last[range.lowerBound] = max(count, last[range.lowerBound] ?? 0)
            }
            #expect(last.values.reduce(0, +) + late == Self.times.count, "\(window)")
            #expect(results <= Self.times.count)
            #expect(lateness == .zero ? late <= 3 : late == 0)
        }
    }

    @Test(arguments: [0, 1_000_000_000] as [Int64])
    func `sliding windows give the same with and without panes`(_ lateness: Int64) throws {
        let lateness = Duration.nanoseconds(lateness)
        for (size, slide) in [(60, 10), (60, 60), (7, 3), (1, 1)] as [(Int64, Int64)] {
            let window = Window.sliding(.nanoseconds(size), every: .nanoseconds(slide))
            let plain = try counts(window, lateness: lateness, combines: false)
            let panes = try counts(window, lateness: lateness, combines: true)
            #expect(panes.counts == plain.counts, "\(size) \(slide)")
            #expect(panes.late == plain.late)
            #expect(panes.results < 200 && plain.results < 200)
            // The event at the earliest time but one is in all windows that reach it.
            let reached = (0..<size).filter { ahead in
                (Int64.min + 2 + ahead) % slide == size % slide
                    || (Int64.min + 2 + ahead) % slide == size % slide - slide
            }
            let first = panes.counts.filter { $0.key.upperBound.nanoseconds <= .min + 1 + size }
            #expect(first.count >= reached.count, "\(size) \(slide)")
        }
    }

    @Test func `running totals take each event once`() throws {
        let window = Window.cumulative(.nanoseconds(60), step: .nanoseconds(20))
        for lateness in [Duration.zero, .seconds(1)] {
            let (counts, _, late) = try counts(window, lateness: lateness, combines: true)
            let most = Dictionary(grouping: counts, by: \.key.lowerBound).map {
                $0.value.map(\.value).max() ?? 0
            }
            #expect(most.reduce(0, +) + late == Self.times.count)
        }
    }

    @Test func `a window of all events takes those that come behind the last one`() throws {
        let sink = SinkProbe<Int>()
        let readings = Self.readings([.max, time(5), .max])
        let topology = Topology("t") {
            EventStream("in", from: .collection(readings))
                .eventTime(\.at, WatermarkStrategy.monotonic.neverIdle).keyed(by: \.key)
                .window(.global(trigger: .every(1))).aggregate(.count()).map(\.value)
                .sink(sink.sink)
        }
        var configuration = TopologyTest.configuration
        configuration.batchSize = 1
        try TopologyTest(topology, configuration: configuration).finish()
        #expect(sink.received == [1, 2, 3])
    }

    @Test func `joins find partners`() throws {
        let rows = [EventTime(nanoseconds: .min + 1), time(0), .max].enumerated().map {
            var row = JoinRow(0, $0, at: 0)
            row.at = $1
            return row
        }
        let (pairs, versions, windows) = (
            SinkProbe<[Int]>("pairs"), SinkProbe<[Int]>("versions"), SinkProbe<[Int]>("windows")
        )
        let topology = Topology("t") {
            let (left, right) = sides(rows, rows)
            left.join(right, within: .seconds(-1) ... .seconds(1), .full) { pair($0, $1) }
                .sink(pairs.sink)
            left.join(asOf: right) { pair($0, $1) }.sink(versions.sink)
            left.window(.sliding(.seconds(60), every: .seconds(60))).join(right, .full) {
                pair($0, $1)
            }.map(\.value).sink(windows.sink)
        }
        try TopologyTest(topology).finish()
        for sink in [pairs, versions, windows] {
            #expect(sink.received.inOrder == [[0, 0], [1, 1], [2, 2]])
        }
    }

    @Test func `patterns end within their time`() throws {
        let ends: [Int64] = [.min + 1, .min + 2, 0, 100, .max - 2, .max - 1]
        let sink = SinkProbe<[Int]>()
        let topology = Topology("t") {
            EventStream(
                "in",
                from: .collection(Self.readings(ends.map { EventTime(nanoseconds: $0) }))
            )
            .eventTime(\.at, WatermarkStrategy.monotonic.neverIdle).keyed(by: \.key)
            .pattern(
                Pattern("a") { $0.value % 2 == 0 }.followedBy("b") { $0.value % 2 == 1 }
                    .within(.nanoseconds(50))
            )
            .matches.map { $0.steps.flatMap(\.events).map(\.value) }.sink(sink.sink)
        }
        try TopologyTest(topology).finish()
        #expect(sink.received == [[0, 1], [4, 5]])
    }

    struct Alarms: KeyedHandler {
        func initialState(for key: Int) -> Int { 0 }
        func on(_ event: Reading, state: inout Int, _ context: inout Context<Int, EventTime>) {
            for time in [EventTime.min, EventTime(nanoseconds: .min + 1), .max, time(7)] {
                context.setTimer(at: time)
            }
        }
        func onTimer(
            _ timer: FiredTimer, state: inout Int, _ context: inout Context<Int, EventTime>
        ) {
            context.emit(timer.time)
        }
    }

    @Test func `timers fire once`() throws {
        let sink = SinkProbe<EventTime>()
        let topology = Topology("t") {
            EventStream("in", from: .collection([Reading(1, at: 0)]))
                .eventTime(\.at, .monotonic).keyed(by: \.key).handle("alarms") { Alarms() }
                .sink(sink.sink)
        }
        try TopologyTest(topology).finish()
        #expect(
            sink.received == [.min, EventTime(nanoseconds: .min + 1), time(7), .max])
    }
}
