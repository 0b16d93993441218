import Testing
import WeirCore

/// Joins whose two sides come from one stream, so that their order is known.
@Suite struct `Joins go on from a checkpoint` {
    private static func readings(_ seed: UInt64) -> [Reading] {
        JoinRow.random(seed: seed, count: 40).map {
            Reading($0.key, $0.id, at: Double($0.at.nanoseconds) / 1_000_000_000)
        }
    }

    private static func sides(
        _ events: EventStream<Reading>
    ) -> (KeyedStream<Int, Reading>, KeyedStream<Int, Reading>) {
        let events = events.eventTime(\.at, .boundedOutOfOrderness(.seconds(2)).neverIdle)
        return (
            events.filter { $0.value % 2 == 0 }.keyed(by: \.key),
            events.filter { $0.value % 2 == 1 }.keyed(by: \.key)
        )
    }

    private static func row(_ left: Reading?, _ right: Reading?) -> [Int] {
        [left?.key ?? right?.key ?? -1, left?.value ?? -1, right?.value ?? -1]
    }

    @Test func `within intervals, with any parallelism`() throws {
        let continuation = Continuation<Reading, [Int]>(
            group: { $0[0] }, rescales: true, settles: true
        ) { events in
            let (left, right) = Self.sides(events)
            return left.join(right, within: .seconds(-4) ... .seconds(6), .full) {
                Self.row($0, $1)
            }
        }
        for seed in 0..<3 as Range<UInt64> {
            try continuation.expectSame(
                Self.readings(seed).steps, seeds: seed * 3..<seed * 3 + 3)
        }
    }

    @Test func `as of a time, with any parallelism`() throws {
        let continuation = Continuation<Reading, [Int]>(
            group: { $0[0] }, rescales: true, settles: true
        ) { events in
            let (left, right) = Self.sides(events)
            return left.join(asOf: right) { Self.row($0, $1) }
        }
        for seed in 0..<3 as Range<UInt64> {
            try continuation.expectSame(
                Self.readings(seed).steps, seeds: seed * 3..<seed * 3 + 3)
        }
    }

    @Test func `in windows and for ever, with any parallelism`() throws {
        let windows = Continuation<Reading, [Int]>(
            group: { $0[0] }, rescales: true, settles: true
        ) { events in
            let (left, right) = Self.sides(events)
            return left.window(.session(gap: .seconds(4))).join(right, .left) { Self.row($0, $1) }
                .map(\.value)
        }
        try windows.expectSame(Self.readings(1).steps)
        let regular = Continuation<Reading, [Int]>(
            group: { $0[0] }, rescales: true, settles: true
        ) { events in
            let (left, right) = Self.sides(events)
            return left.join(right) { Self.row($0, $1) }
        }
        try regular.expectSame(Self.readings(2).steps)
    }

    @Test func `of tables that change, and their ranks`() throws {
        let continuation = Continuation<Reading, [Int]>(
            group: { $0[0] }, rescales: true, settles: true
        ) { events in
            let (left, right) = Self.sides(events)
            return left.top(2) { $0.value % 7 > $1.value % 7 }.keyed(by: \.key)
                .join(right.latest().keyed(by: \.key), .full) { left, right in
                    [left?.key ?? right?.key ?? -1, left?.rank ?? 0]
                        + Self.row(left?.row, right).dropFirst()
                }
                .changes.map { ($0.row) + ($0.before ?? []) }
        }
        try continuation.expectSame(Self.readings(3).steps)
    }
}
