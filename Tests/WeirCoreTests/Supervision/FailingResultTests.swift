import Testing
import WeirCore
import WeirTesting

/// Results that a stage makes by itself, as time goes on, and that fail behind it.
@Suite(.everyStateBackend) struct `A result that fails` {
    /// What is decided, and what then stands in the place of a result.
    static let decisions: [(Decision<Int>, [Int])] = [
        (.skip, []), (.deadLetter, []), (.restart, []), (.emit(-1), [-1]),
    ]

    static let windows: [(Window, Duration, WindowTrigger)] = [
        (.tumbling(.nanoseconds(20)), .zero, .atEnd),
        (.tumbling(.nanoseconds(20)), .nanoseconds(15), .atEnd),
        (.sliding(.nanoseconds(60), every: .nanoseconds(15)), .zero, .atEnd),
        (.sliding(.nanoseconds(60), every: .nanoseconds(25)), .nanoseconds(15), .atEnd),
        (.sliding(.nanoseconds(60), every: .nanoseconds(20)), .zero, .every(.seconds(1_000))),
        (.cumulative(.nanoseconds(60), step: .nanoseconds(20)), .zero, .atEnd),
        (.session(gap: .nanoseconds(8)), .zero, .atEnd),
        (.session(gap: .nanoseconds(8)), .nanoseconds(10), .atEnd),
    ]

    /// The results, sorted, with those left out that fail, and the run.
    private func results(
        of build: () -> EventStream<Int>, _ decision: Decision<Int>,
        failing fails: @escaping @Sendable (Int) -> Bool, seed: UInt64 = 0
    ) throws -> ([Int], RunningTopology) {
        let sink = SinkProbe<Int>()
        let topology = Topology("t", supervisor: Supervisor(backoff: .none)) {
            build()
                .map { (value) throws(Broken) in
                    if fails(value) { throw Broken() }
                    return value
                }
                .recover(from: Broken.self) { _ in decision }
                .sink(sink.sink)
        }
        var configuration = TopologyTest.configuration
        configuration.batchSize = 7
        let test = try TopologyTest(topology, seed: seed, configuration: configuration)
        try test.finish()
        return (sink.received.sorted(), test.running)
    }

    private func expectOthers(
        of build: () -> EventStream<Int>, seed: UInt64 = 0,
        sourceLocation: Testing.SourceLocation = #_sourceLocation
    ) throws {
        let (all, _) = try results(of: build, .skip, failing: { _ in false })
        #expect(all.contains { $0 % 3 == 0 }, sourceLocation: sourceLocation)
        for (decision, replacement) in Self.decisions {
            let (received, running) = try results(
                of: build, decision, failing: { $0 % 3 == 0 }, seed: seed)
            let expected = all.flatMap { $0 % 3 == 0 ? replacement : [$0] }
            #expect(received == expected.sorted(), sourceLocation: sourceLocation)
            for stage in running.status().stages {
                #expect(stage.stateKeys == 0, "\(stage.name)", sourceLocation: sourceLocation)
            }
        }
    }

    @Test(arguments: windows.indices)
    func `of a window leaves the others of its key as they are`(_ index: Int) throws {
        let (window, lateness, trigger) = Self.windows[index]
        for seed in 0..<3 as Range<UInt64> {
            let readings = randomReadings(seed: seed, count: 80, disorder: 0)
            try expectOthers(
                of: {
                    EventStream("in", from: .collection(readings))
                        .eventTime(\.at, WatermarkStrategy.monotonic.neverIdle).keyed(by: \.key)
                        .window(window, allowedLateness: lateness, trigger: trigger)
                        .reduce(into: 0) { sum, reading in
                            sum += reading.value
                        } combine: { sum, other in
                            sum += other
                        }.map(\.value)
                }, seed: seed)
        }
    }

    @Test(arguments: ["left", "right", "full", "anti"])
    func `of a join leaves the others of its key as they are`(_ kind: String) throws {
        for seed in 0..<3 as Range<UInt64> {
            let lefts = JoinRow.random(seed: seed, count: 40)
            let rights = JoinRow.random(seed: seed + 100, count: 20, firstID: 1_000)
            // Pairs don't fail: they are results of a row that comes.
            let number: @Sendable (JoinRow?, JoinRow?) -> Int = { left, right in
                guard let left, let right else { return left?.id ?? right?.id ?? 0 }
                return 3 * (left.id * 10_000 + right.id) + 1
            }
            try expectOthers(of: {
                let (left, right) = sides(lefts, rights)
                let range = Duration.seconds(-1) ... .seconds(1)
                return switch kind {
                case "left": left.join(right, within: range, .left) { number($0, $1) }
                case "right": left.join(right, within: range, .right) { number($0, $1) }
                case "full": left.join(right, within: range, .full) { number($0, $1) }
                default: left.join(right, within: range, .anti) { row, _ in number(row, nil) }
                }
            })
        }
    }

    @Test func `of an as-of join leaves the others of its key as they are`() throws {
        // Several events have the same time.
        let lefts = (1...30).map { JoinRow($0 % 2, $0, at: Double($0 / 6)) }
        for rights in [[], [JoinRow(0, 1_000, at: 1), JoinRow(0, 2_000, at: 3)]] {
            let sink = SinkProbe<[Int]>()
            let topology = Topology("t", supervisor: Supervisor(backoff: .none)) {
                let (left, right) = sides(lefts, rights)
                left.join(asOf: right, name: "join") { (event, row) throws(Broken) -> [Int]? in
                    if event.id % 3 == 0 { throw Broken() }
                    return pair(event, row)
                }
                .recover(from: Broken.self) { _ in .deadLetter }.sink(sink.sink)
            }
            let test = try TopologyTest(topology)
            try test.finish()
            let expected = lefts.filter { $0.id % 3 != 0 }.map { event in
                pair(event, rights.last { $0.key == event.key && $0.at <= event.at })
            }
            #expect(sink.received.inOrder == expected.inOrder)
            let letters = test.running.deadLetters.letters.compactMap { $0.event as? JoinRow }
            #expect(letters.map(\.id).sorted() == (1...30).filter { $0 % 3 == 0 })
        }
    }

    @Test func `ahead of the window's end does not end the run`() throws {
        for window in [Window.tumbling(.seconds(100)), .session(gap: .seconds(10))] {
            let source = SourceProbe<Reading>()
            let sink = SinkProbe<Int>()
            let topology = Topology("t") {
                EventStream("in", from: source.source)
                    .eventTime(\.at, WatermarkStrategy.monotonic.neverIdle).keyed(by: \.key)
                    .window(window, trigger: .every(.seconds(1)))
                    .aggregate(.sum(of: \.value), name: "w")
                    .map { (result) throws(Broken) in
                        if result.value == 13 { throw Broken() }
                        return result.value
                    }
                    .recover(from: Broken.self) { _ in .skip }.sink(sink.sink)
            }
            let test = try TopologyTest(topology)
            source.send(Reading(1, 13, at: 0))
            source.send(Reading(2, 5, at: 0))
            // Another session of the same key.
            source.send(Reading(1, 20, at: 11))
            try test.advance(by: .seconds(2))
            #expect(
                sink.received.sorted() == (window == .tumbling(.seconds(100)) ? [5, 33] : [5, 20]))
            source.send(Reading(2, 3, at: 11))
            try test.advance(by: .seconds(2))
            #expect(sink.received.last == (window == .tumbling(.seconds(100)) ? 8 : 3))
            #expect(test.running.status().stage("w")?.restarts == 0)
            source.finish()
            try test.finish()
        }
    }

    @Test func `whose replacement fails behind it does not end the run`() throws {
        let sink = SinkProbe<Int>()
        let readings = (0..<6).map { Reading(1, $0, at: Double($0)) }
        let topology = Topology("t", supervisor: Supervisor(backoff: .none)) {
            EventStream("in", from: .collection(readings))
                .eventTime(\.at, .monotonic).keyed(by: \.key)
                .window(.tumbling(.seconds(1))).aggregate(.sum(of: \.value))
                .map { (result) throws(Broken) in
                    if result.value % 2 == 0 { throw Broken() }
                    return result.value
                }
                .recover(from: Broken.self) { _ in .emit(-1) }
                .map { (value) throws(Broken) in
                    if value < 0 { throw Broken() }
                    return value
                }
                .sink(sink.sink)
        }
        let test = try TopologyTest(topology)
        try test.finish()
        #expect(sink.received == [1, 3, 5])
        #expect(test.running.deadLetters.total == 3)
        #expect(test.running.deadLetters.letters.map(\.attempts) == [3, 3, 3])
    }
}
