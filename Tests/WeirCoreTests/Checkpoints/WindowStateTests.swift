import Testing
import WeirCore
import WeirTesting

@Suite(.everyStateBackend) struct `Windows go on from a checkpoint` {
    static let kinds: [(String, Window, Duration, WindowTrigger)] = [
        ("tumbling", .tumbling(.nanoseconds(20)), .zero, .atEnd),
        ("tumbling, lateness", .tumbling(.nanoseconds(20)), .nanoseconds(15), .atEnd),
        ("tumbling, counted", .tumbling(.nanoseconds(40)), .zero, .every(2)),
        (
            "tumbling, counted, discarding", .tumbling(.nanoseconds(40)), .nanoseconds(10),
            .every(2, .discarding)
        ),
        ("sliding", .sliding(.nanoseconds(60), every: .nanoseconds(15)), .zero, .atEnd),
        (
            "sliding, lateness", .sliding(.nanoseconds(60), every: .nanoseconds(25)),
            .nanoseconds(15), .atEnd
        ),
        (
            "sliding, counted", .sliding(.nanoseconds(60), every: .nanoseconds(20)),
            .zero, .every(3)
        ),
        (
            "cumulative", .cumulative(.nanoseconds(60), step: .nanoseconds(20)), .nanoseconds(5),
            .atEnd
        ),
        ("session", .session(gap: .nanoseconds(12)), .zero, .atEnd),
        ("session, lateness", .session(gap: .nanoseconds(12)), .nanoseconds(15), .atEnd),
        ("session, counted", .session(gap: .nanoseconds(12)), .zero, .every(2, .discarding)),
        ("count", .count(4), .zero, .atEnd),
        ("count, sliding", .count(6, every: 4), .zero, .atEnd),
        ("global", .global(trigger: .every(3)), .zero, .atEnd),
    ]

    private static func sums(
        _ window: Window, _ lateness: Duration, _ trigger: WindowTrigger
    ) -> @Sendable (EventStream<Reading>) -> EventStream<SumOfWindow> {
        { events in
            events.eventTime(\.at, .boundedOutOfOrderness(.nanoseconds(10)))
                .keyed(by: \.key)
                .window(window, allowedLateness: lateness, trigger: trigger)
                .reduce(into: 0) { sum, reading in
                    sum += reading.value
                } combine: { sum, other in
                    sum += other
                }
                .map { SumOfWindow($0) }
        }
    }

    @Test(arguments: kinds.indices)
    func `in event time, with any parallelism`(_ index: Int) throws {
        let (_, window, lateness, trigger) = Self.kinds[index]
        let continuation = Continuation(
            group: { $0.key }, rescales: true, build: Self.sums(window, lateness, trigger))
        for seed in 0..<2 as Range<UInt64> {
            try continuation.expectSame(
                randomReadings(seed: seed, count: 50).steps, seeds: seed * 3..<seed * 3 + 3)
        }
    }

    @Test(arguments: [
        Window.tumbling(.nanoseconds(20), in: .processingTime),
        .sliding(.nanoseconds(60), every: .nanoseconds(15), in: .processingTime),
        .session(gap: .nanoseconds(12), in: .processingTime),
    ])
    func `in processing time`(_ window: Window) throws {
        let continuation = Continuation<Reading, SumOfWindow>(group: { $0.key }, rescales: true) {
            $0.keyed(by: \.key).window(window)
                .reduce(into: 0) { sum, reading in
                    sum += reading.value
                } combine: { sum, other in
                    sum += other
                }.map { SumOfWindow($0) }
        }
        for seed in 0..<2 as Range<UInt64> {
            try continuation.expectSame(
                randomReadings(seed: seed, count: 50).steps(seed: seed, upTo: .nanoseconds(6)),
                seeds: seed * 3..<seed * 3 + 3)
        }
    }

    @Test func `with accumulators that can't be combined, and with collections`() throws {
        let readings = randomReadings(seed: 5, count: 80)
        try Continuation<Reading, SumOfWindow>(group: { $0.key }, rescales: true) {
            $0.eventTime(\.at, .boundedOutOfOrderness(.nanoseconds(10))).keyed(by: \.key)
                .window(.sliding(.nanoseconds(40), every: .nanoseconds(10)))
                .reduce(into: 0) { $0 += $1.value }.map { SumOfWindow($0) }
        }.expectSame(readings.steps)
        try Continuation<Reading, Windowed<Int, CollectedEvents<Reading>>>(
            group: { $0.key }, rescales: true
        ) {
            $0.eventTime(\.at, .boundedOutOfOrderness(.nanoseconds(10))).keyed(by: \.key)
                .window(.session(gap: .nanoseconds(12))).collect(maximum: 3)
        }.expectSame(readings.steps)
    }

    @Test func `with the triggers in processing time that are due`() throws {
        let continuation = Continuation<Reading, Int>(group: { $0 }) {
            $0.keyed(by: \.key)
                .window(.global(trigger: .every(.nanoseconds(30))))
                .reduce(into: 0) { $0 += $1.value }.map { $0.key }
        }
        // The interval begins anew with the run, so a result comes later, but it comes.
        let steps: [RunStep<Reading>] = [
            .event(Reading(1, 1, at: 0)), .event(Reading(2, 1, at: 0)), .advance(.nanoseconds(100)),
        ]
        try continuation.expectSame(steps)
    }
}
