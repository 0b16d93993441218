import Testing
import WeirCore
import WeirTesting

@Suite(.everyStateBackend) struct `Aggregates go on from a checkpoint` {
    private func expectSame<Summary: Aggregate>(
        _ summary: Summary, sourceLocation: Testing.SourceLocation = #_sourceLocation
    ) throws where Summary.Input == Reading {
        let steps = randomReadings(seed: 31, count: 60).steps
        for window in [
            Window.tumbling(.nanoseconds(80)), .sliding(.nanoseconds(90), every: .nanoseconds(30)),
        ] {
            try Continuation<Reading, String>(
                group: { Int($0.prefix(1)) ?? -1 }, rescales: true
            ) {
                $0.eventTime(\.at, .boundedOutOfOrderness(.nanoseconds(20))).keyed(by: \.key)
                    .window(window).aggregate(summary).map { "\($0.key) \($0.value)" }
            }.expectSame(steps, seeds: 0..<2, sourceLocation: sourceLocation)
        }
    }

    @Test func `exact ones`() throws {
        try expectSame(.count())
        try expectSame(.sum(of: value))
        try expectSame(.sum(of: fraction))
        try expectSame(.min(of: value))
        try expectSame(.max(by: value))
        try expectSame(.mean(of: fraction))
        try expectSame(.moments(of: fraction))
        try expectSame(.first())
        try expectSame(.last())
        try expectSame(.collect(limit: 3))
        try expectSame(.topK(3, by: value))
        try expectSame(.exactDistinct(of: remainder))
        try expectSame(.combined(.count(), .sum(of: value)))
    }

    @Test func `sketches`() throws {
        try expectSame(.distinct(precision: 4, of: value))
        try expectSame(.quantiles([0.1, 0.5, 0.9], of: fraction))
        try expectSame(.heavyHitters(2, capacity: 4, of: remainder))
    }
}

@Sendable private func value(_ reading: Reading) -> Int { reading.value }
@Sendable private func remainder(_ reading: Reading) -> Int { reading.value % 9 }
@Sendable private func fraction(_ reading: Reading) -> Double { Double(reading.value) / 7 }
