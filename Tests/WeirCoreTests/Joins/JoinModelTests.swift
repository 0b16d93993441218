import Testing
import WeirCore
import WeirTesting

/// A row of the tests' joins.
struct JoinRow: Codable, Sendable, Hashable, Comparable {
    var key: Int
    var id: Int
    var at: EventTime

    init(_ key: Int, _ id: Int, at seconds: Double) {
        self.key = key
        self.id = id
        at = time(seconds)
    }

    static func < (left: Self, right: Self) -> Bool { left.id < right.id }

    /// Rows of a few keys in the order of their times.
    static func random(seed: UInt64, count: Int, firstID: Int = 0) -> [JoinRow] {
        var random = SplitMix64(seed: seed)
        var seconds = 0
        return (0..<count).map { index in
            seconds += Int.random(in: 0...3, using: &random)
            return JoinRow(
                Int.random(in: 0...2, using: &random), firstID + index, at: Double(seconds))
        }
    }
}

/// What a join has put together; -1 stands for no row.
func pair(_ left: JoinRow?, _ right: JoinRow?) -> [Int] { [left?.id ?? -1, right?.id ?? -1] }

/// Two streams of rows with exact event times.
func sides(
    _ lefts: [JoinRow], _ rights: [JoinRow]
) -> (KeyedStream<Int, JoinRow>, KeyedStream<Int, JoinRow>) {
    let left = EventStream("left", from: .collection(lefts)).eventTime(
        \.at, WatermarkStrategy.monotonic.neverIdle)
    let right = EventStream("right", from: .collection(rights)).eventTime(
        \.at, WatermarkStrategy.monotonic.neverIdle)
    return (left.keyed(by: \.key), right.keyed(by: \.key))
}

/// The results of a kind of join over rows that match when `matches` says so.
func joined(
    _ kind: String, _ lefts: [JoinRow], _ rights: [JoinRow],
    _ matches: (JoinRow, JoinRow) -> Bool
) -> [[Int]] {
    var results: [[Int]] = []
    for left in lefts {
        let partners = rights.filter { matches(left, $0) }
        switch kind {
        case "semi": if !partners.isEmpty { results.append(pair(left, nil)) }
        case "anti": if partners.isEmpty { results.append(pair(left, nil)) }
        default:
            for right in partners { results.append(pair(left, right)) }
            if partners.isEmpty, kind == "left" || kind == "full" {
                results.append(pair(left, nil))
            }
        }
    }
    if kind == "right" || kind == "full" {
        for right in rights where !lefts.contains(where: { matches($0, right) }) {
            results.append(pair(nil, right))
        }
    }
    return results.sorted { $0.lexicographicallyPrecedes($1) }
}

extension [[Int]] {
    var inOrder: [[Int]] { sorted { $0.lexicographicallyPrecedes($1) } }
}

let joinKinds = ["inner", "left", "right", "full", "semi", "anti"]

@Suite struct `A windowed join` {
    static func join(
        _ kind: String, _ window: WindowedStream<Int, JoinRow>, _ right: KeyedStream<Int, JoinRow>
    ) -> EventStream<[Int]> {
        switch kind {
        case "inner": window.join(right, .inner) { pair($0, $1) }.map(\.value)
        case "left": window.join(right, .left) { pair($0, $1) }.map(\.value)
        case "right": window.join(right, .right) { pair($0, $1) }.map(\.value)
        case "full": window.join(right, .full) { pair($0, $1) }.map(\.value)
        case "semi": window.join(right, .semi) { row, _ in pair(row, nil) }.map(\.value)
        default: window.join(right, .anti) { row, _ in pair(row, nil) }.map(\.value)
        }
    }

    @Test(arguments: joinKinds)
    func `gives what a comparison of all rows gives`(_ kind: String) async throws {
        for seed in 0..<4 as Range<UInt64> {
            let lefts = JoinRow.random(seed: seed, count: 40)
            let rights = JoinRow.random(seed: seed + 100, count: 40, firstID: 1_000)
            let results = try await collect(parallelism: 2) {
                let (left, right) = sides(lefts, rights)
                return Self.join(kind, left.window(.tumbling(.seconds(10))), right)
            }
            let expected = joined(kind, lefts, rights) {
                $0.key == $1.key
                    && $0.at.nanoseconds / 10_000_000_000 == $1.at.nanoseconds / 10_000_000_000
            }
            #expect(results.inOrder == expected, "\(kind), seed \(seed)")
        }
    }

    @Test func `joins within sliding windows and sessions`() async throws {
        let lefts = [JoinRow(0, 1, at: 1), JoinRow(0, 2, at: 11)]
        let rights = [JoinRow(0, 9, at: 3)]
        let sliding = try await collect {
            let (left, right) = sides(lefts, rights)
            return Self.join(
                "inner", left.window(.sliding(.seconds(10), every: .seconds(5))), right)
        }
        #expect(sliding == [[1, 9], [1, 9]])
        let sessions = try await collect {
            let (left, right) = sides(lefts, rights)
            return Self.join("left", left.window(.session(gap: .seconds(5))), right)
        }
        #expect(sessions == [[1, 9], [2, -1]])
    }

    @Test func `sends late rows of its own stream to late, and counts all`() async throws {
        let late = JoinRow(0, 3, at: 1)
        let lefts = [JoinRow(0, 1, at: 1), JoinRow(0, 2, at: 25), late]
        let results = SinkProbe<[Int]>("results")
        let lates = SinkProbe<JoinRow>("lates")
        let source = SourceProbe<JoinRow>()
        let topology = Topology("late") {
            let rows = EventStream("rows", from: source.source).eventTime(
                \.at, WatermarkStrategy.monotonic.neverIdle)
            let window = rows.keyed(by: \.key).window(.tumbling(.seconds(10)))
            Self.join("inner", window, rows.keyed(by: \.key)).sink(results.sink)
            window.late.sink(lates.sink)
        }
        var configuration = TopologyTest.configuration
        configuration.batchSize = 1
        let test = try TopologyTest(topology, configuration: configuration)
        for row in lefts {
            source.send(row)
            try test.run()
        }
        source.finish()
        try test.finish()
        #expect(results.received == [[1, 1], [2, 2]])
        #expect(lates.received == [late])
    }

    @Test func `keeps no more rows than it may, and counts the others`() async throws {
        let rows = (0..<5).map { JoinRow(0, $0, at: 1) }
        let (results, running) = try await run {
            let (left, right) = sides(rows, [JoinRow(0, 9, at: 2)])
            return left.window(.tumbling(.seconds(10)))
                .join(right, .inner, rowsPerWindow: 2) { pair($0, $1) }.map(\.value)
        }
        #expect(results == [[0, 9], [1, 9]])
        #expect(running.status().stages.flatMap(\.dropped.values).reduce(0, +) == 3)
    }
}

@Suite struct `An interval join` {
    static func join(
        _ kind: String, _ left: KeyedStream<Int, JoinRow>, _ right: KeyedStream<Int, JoinRow>
    ) -> EventStream<[Int]> {
        let interval = Duration.seconds(-3) ... .seconds(5)
        return switch kind {
        case "inner": left.join(right, within: interval, .inner) { pair($0, $1) }
        case "left": left.join(right, within: interval, .left) { pair($0, $1) }
        case "right": left.join(right, within: interval, .right) { pair($0, $1) }
        case "full": left.join(right, within: interval, .full) { pair($0, $1) }
        case "semi": left.join(right, within: interval, .semi) { row, _ in pair(row, nil) }
        default: left.join(right, within: interval, .anti) { row, _ in pair(row, nil) }
        }
    }

    static func matches(_ left: JoinRow, _ right: JoinRow) -> Bool {
        let distance = right.at.nanoseconds - left.at.nanoseconds
        return left.key == right.key && (-3_000_000_000...5_000_000_000).contains(distance)
    }

    @Test(arguments: joinKinds)
    func `gives what a comparison of all rows gives`(_ kind: String) async throws {
        for seed in 0..<6 as Range<UInt64> {
            let lefts = JoinRow.random(seed: seed, count: 60)
            let rights = JoinRow.random(seed: seed + 100, count: 60, firstID: 1_000)
            let results = try await collect(batchSize: 4, parallelism: 2) {
                let (left, right) = sides(lefts, rights)
                return Self.join(kind, left, right)
            }
            let expected = joined(kind, lefts, rights, Self.matches)
            #expect(results.inOrder == expected, "\(kind), seed \(seed)")
        }
    }

    @Test func `forgets rows that can have no partners any more`() throws {
        let rows = SourceProbe<JoinRow>()
        let results = SinkProbe<[Int]>("results")
        var configuration = TopologyTest.configuration
        configuration.batchSize = 1
        let test = try TopologyTest(
            Topology("interval") {
                let keyed = EventStream("rows", from: rows.source)
                    .eventTime(\.at, WatermarkStrategy.monotonic.neverIdle).keyed(by: \.key)
                Self.join("inner", keyed, keyed).sink(results.sink)
            }, configuration: configuration)
        for second in 0..<200 { rows.send(JoinRow(second % 50, second, at: Double(second))) }
        try test.run()
        let keys = test.running.status().stages.map(\.stateKeys).reduce(0, +)
        #expect(keys > 0)
        #expect(keys <= 10)
    }

    @Test func `counts late rows and leaves them out`() throws {
        let rows = SourceProbe<JoinRow>()
        let results = SinkProbe<[Int]>("results")
        var configuration = TopologyTest.configuration
        configuration.batchSize = 1
        let test = try TopologyTest(
            Topology("interval") {
                let events = EventStream("rows", from: rows.source).eventTime(
                    \.at, WatermarkStrategy.monotonic.neverIdle)
                Self.join(
                    "anti", events.keyed(by: \.key),
                    events.filter { $0.id == 7 }.keyed(by: \.key)
                )
                .sink(results.sink)
            }, configuration: configuration)
        for row in [JoinRow(0, 1, at: 10), JoinRow(0, 2, at: 30), JoinRow(0, 3, at: 11)] {
            rows.send(row)
            try test.run()
        }
        rows.finish()
        try test.finish()
        #expect(results.received == [[1, -1], [2, -1]])
        #expect(test.running.status().stages.map(\.late).reduce(0, +) == 1)
    }
}

@Suite struct `A regular join` {
    @Test(arguments: [JoinUniqueness.none, .right])
    func `joins rows whenever they come`(_ unique: JoinUniqueness) async throws {
        for seed in 0..<4 as Range<UInt64> {
            let lefts = JoinRow.random(seed: seed, count: 60)
            let rights =
                unique == .none
                ? JoinRow.random(seed: seed + 100, count: 20, firstID: 1_000)
                : [JoinRow(0, 1_000, at: 30), JoinRow(1, 1_001, at: 0), JoinRow(2, 1_002, at: 60)]
            let results = try await collect(batchSize: 4, parallelism: 2) {
                let (left, right) = sides(lefts, rights)
                return left.join(right, unique: unique) { left, right in
                    left.id % 5 == 0 ? nil : pair(left, right)
                }
            }
            let expected = joined("inner", lefts, rights) { $0.key == $1.key }
                .filter { $0[0] % 5 != 0 }
            #expect(results.inOrder == expected, "seed \(seed)")
        }
    }

    @Test func `gives up a second row on the side that is unique`() async throws {
        let (results, running) = try await run {
            let (left, right) = sides(
                [JoinRow(0, 1, at: 0)], [JoinRow(0, 8, at: 0), JoinRow(0, 9, at: 1)])
            return left.join(right, unique: .right) { pair($0, $1) }
        }
        #expect(results == [[1, 8]])
        #expect(running.status().deadLetters == 1)
    }

    @Test func `forgets keys after their time to live`() throws {
        let (lefts, rights) = (SourceProbe<JoinRow>(), SourceProbe<JoinRow>())
        let results = SinkProbe<[Int]>("results")
        var configuration = TopologyTest.configuration
        configuration.batchSize = 1
        let test = try TopologyTest(
            Topology("ttl") {
                let left = EventStream("left", from: lefts.source).eventTime(
                    \.at, WatermarkStrategy.monotonic.neverIdle)
                let right = EventStream("right", from: rights.source).eventTime(
                    \.at, WatermarkStrategy.monotonic.neverIdle)
                left.keyed(by: \.key)
                    .join(right.keyed(by: \.key), ttl: StateTTL(.seconds(10))) { pair($0, $1) }
                    .sink(results.sink)
            }, configuration: configuration)
        lefts.send(JoinRow(0, 1, at: 0))
        rights.send(JoinRow(0, 2, at: 5))
        try test.run()
        lefts.send(JoinRow(1, 3, at: 40))
        rights.send(JoinRow(0, 4, at: 40))
        try test.run()
        #expect(results.received == [[1, 2]])
    }

    @Test func `refuses a bound without room`() {
        let (left, right) = sides([], [])
        let topology = Topology("refused") {
            left.join(right, rowsPerKey: 0) { pair($0, $1) }.sink(.discard)
        }
        #expect(throws: TopologyError.self) { try topology.validate() }
    }
}

@Suite struct `An as-of join` {
    @Test func `gives each event the version that was valid at its time`() async throws {
        for seed in 0..<6 as Range<UInt64> {
            let events = JoinRow.random(seed: seed, count: 60)
            let versions = JoinRow.random(seed: seed + 100, count: 30, firstID: 1_000)
            let results = try await collect(batchSize: 4, parallelism: 2) {
                let (left, right) = sides(events, versions)
                return left.join(asOf: right) { pair($0, $1) }
            }
            let expected = events.map { event in
                pair(event, versions.last { $0.key == event.key && $0.at <= event.at })
            }
            #expect(results.inOrder == expected.inOrder, "seed \(seed)")
        }
    }

    @Test func `keeps the newest version behind the watermark only`() throws {
        let (events, versions) = (SourceProbe<JoinRow>(), SourceProbe<JoinRow>())
        let results = SinkProbe<[Int]>("results")
        let test = try TopologyTest(
            Topology("as of") {
                let left = EventStream("events", from: events.source).eventTime(
                    \.at, WatermarkStrategy.monotonic.neverIdle)
                let right = EventStream("rows", from: versions.source).eventTime(
                    \.at, WatermarkStrategy.monotonic.neverIdle)
                left.keyed(by: \.key).join(asOf: right.keyed(by: \.key), versionsPerKey: 3) {
                    pair($0, $1)
                }.sink(results.sink)
            })
        versions.send(contentsOf: (1...9).map { JoinRow(0, 100 + $0, at: Double($0)) })
        try test.run()
        events.send(JoinRow(0, 1, at: 2), JoinRow(0, 2, at: 8.5), JoinRow(0, 3, at: 20))
        versions.finish()
        events.finish()
        try test.finish()
        // Six of nine versions had no room: they were all ahead of the watermark.
        #expect(results.received == [[1, -1], [2, 108], [3, 109]])
        #expect(test.running.status().stages.flatMap(\.dropped.values).reduce(0, +) == 6)
    }
}
