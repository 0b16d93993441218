import Testing
import WeirCore
import WeirTesting

/// How many rows windowed joins keep, with each kind of windows.
@Suite(.everyStateBackend) struct `The rows of a windowed join are counted` {
    struct Kind: CustomTestStringConvertible {
        let testDescription: String
        let window: Window
        let lateness: Duration
        let trigger: WindowTrigger
        /// After rows of key 1 at 1, 2 and 11 s and of key 2 at 3 s, then after one of key 1 at 6.5 s.
        let expected: (Int, Int)
        /// Whether a watermark ends all of its windows.
        let endsByTime: Bool

        init(
            _ name: String, _ window: Window, lateness: Duration = .zero,
            trigger: WindowTrigger = .atEnd, _ expected: (Int, Int), endsByTime: Bool = true
        ) {
            testDescription = name
            self.window = window
            self.lateness = lateness
            self.trigger = trigger
            self.expected = expected
            self.endsByTime = endsByTime
        }
    }

    private static let ten = Duration.seconds(10)
    private static let five = Duration.seconds(5)
    private static let kinds = [
        Kind("tumbling", .tumbling(ten), (4, 5)),
        Kind("tumbling, late", .tumbling(ten), lateness: five, (4, 5)),
        Kind("tumbling, discarding", .tumbling(ten), trigger: .every(2, .discarding), (2, 3)),
        // A row is in one pane, or in each of its windows.
        Kind("sliding", .sliding(ten, every: five), (4, 5)),
        Kind("sliding, late", .sliding(ten, every: five), lateness: five, (4, 5)),
        Kind("sliding, early", .sliding(ten, every: five), trigger: .every(9), (8, 10)),
        Kind("cumulative", .cumulative(ten, step: five), (8, 9)),
        Kind("session", .session(gap: five), (4, 5)),
        Kind("session, late", .session(gap: five), lateness: five, (4, 5)),
        Kind("session, discarding", .session(gap: five), trigger: .every(2, .discarding), (2, 1)),
        Kind("count", .count(2), (2, 1), endsByTime: false),
        Kind("count, sliding", .count(4, every: 2), (4, 5), endsByTime: false),
        Kind(
            "global, discarding", .global(trigger: .every(2, .discarding)), (2, 1),
            endsByTime: false),
    ]

    private func topology(
        _ kind: Kind, from source: Source<Reading>, rowsPerWindow: Int = 1_000
    ) -> Topology {
        let rows = EventStream("rows", from: source)
            .eventTime(\.at, .punctuated { $0.watermark }).filter { $0.watermark == nil }
        let lefts = rows.filter { $0.value % 2 == 0 }
        let rights = rows.filter { $0.value % 2 == 1 }
        return Topology("joins") {
            lefts.keyed(by: \.key)
                .window(kind.window, allowedLateness: kind.lateness, trigger: kind.trigger)
                .join(
                    rights.keyed(by: \.key), .full, rowsPerWindow: rowsPerWindow, name: "join"
                ) { left, right in (left?.value ?? 0) + (right?.value ?? 0) }
                .sink(.discard)
        }
    }

    private func rows(_ test: TopologyTest) -> Double? {
        test.running.status().stage("join")?.gauges["weir_join_rows"]
    }

    @Test(arguments: kinds) func `until their windows are over`(_ kind: Kind) throws {
        let source = SourceProbe<Reading>()
        let test = try TopologyTest(topology(kind, from: source.source))
        source.send(
            Reading(1, 0, at: 1), Reading(1, 1, at: 2), Reading(1, 0, at: 11), Reading(2, 0, at: 3))
        try test.run()
        #expect(rows(test) == Double(kind.expected.0))
        source.send(Reading(1, 1, at: 6.5))
        try test.run()
        #expect(rows(test) == Double(kind.expected.1))
        source.send(.watermark(1_000))
        try test.run()
        if kind.endsByTime { #expect(rows(test) == 0) }
        source.finish()
        try test.finish()
    }

    @Test func `without those that found no room`() throws {
        let source = SourceProbe<Reading>()
        let kind = Kind("session", .session(gap: .seconds(5)), (0, 0))
        let test = try TopologyTest(topology(kind, from: source.source, rowsPerWindow: 3))
        // Two sessions of three rows each, of which a third makes one.
        for at in [1, 2, 3, 11, 12, 13, 14.0] { source.send(Reading(1, 0, at: at)) }
        try test.run()
        #expect(rows(test) == 6)
        source.send(Reading(1, 0, at: 7))
        try test.run()
        #expect(rows(test) == 3)
        source.send(.watermark(1_000))
        try test.run()
        #expect(rows(test) == 0)
        source.finish()
        try test.finish()
    }

    @Test(arguments: kinds) func `after a restart from a checkpoint`(_ kind: Kind) throws {
        var configuration = TopologyTest.configuration
        configuration.store = continuationStore()
        let source = SourceProbe<Reading>()
        let first = try TopologyTest(
            topology(kind, from: source.source), configuration: configuration)
        var random = SplitMix64(seed: 5)
        for second in 0..<60 {
            source.send(
                Reading(
                    Int.random(in: 0..<5, using: &random), second,
                    at: Double(second) + Double.random(in: -4...0, using: &random)))
            if second % 8 == 7 { source.send(.watermark(Double(second) - 6)) }
        }
        try first.run()
        let before = try #require(rows(first))
        #expect(before > 0)
        _ = try first.perform { [running = first.running] in try await running.suspend() }
        let rest = SourceProbe<Reading>()
        let second = try TopologyTest(
            topology(kind, from: rest.source), configuration: configuration)
        try second.run()
        #expect(rows(second) == before)
        rest.send(.watermark(10_000))
        try second.run()
        if kind.endsByTime { #expect(rows(second) == 0) }
        rest.finish()
        try second.finish()
    }
}
