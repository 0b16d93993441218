import Testing
import WeirCore

@Suite(.everyStateBackend) struct `Windows of many keys` {
    /// So many keys that tables look ahead; each comes several times in a row, in two panes, and
    /// some events come late for their pane.
    static let readings: [Reading] = {
        let all: [(after: Int64, value: Int)] = [(0, 1), (0, 2), (12, 4), (12, 8), (5, 16)]
        var readings: [Reading] = []
        for number in 0..<9_000 {
            for (after, value) in all.prefix(number % 10 == 0 ? 5 : 2) {
                var reading = Reading(number, value, at: 0)
                reading.at = EventTime(nanoseconds: Int64(number / 1_000) + after)
                readings.append(reading)
            }
        }
        return readings
    }()

    func sums(_ window: Window) async throws -> [SumOfWindow] {
        try await collect {
            EventStream("in", from: .collection(Self.readings))
                .eventTime(\.at, .boundedOutOfOrderness(.nanoseconds(20)))
                .keyed(by: \.key).window(window).aggregate(.sum(of: \.value))
        }.map { SumOfWindow($0) }.sorted()
    }

    @Test func `have each event in each of its windows`() async throws {
        #expect(
            try await sums(.sliding(.nanoseconds(20), every: .nanoseconds(10)))
                == expectedSums(Self.readings) { slidingWindows($0, size: 20, slide: 10) })
        #expect(
            try await sums(.tumbling(.nanoseconds(10)))
                == expectedSums(Self.readings) { [floor($0, to: 10)..<floor($0, to: 10) + 10] })
        #expect(
            try await sums(.session(gap: .nanoseconds(6)))
                == expectedSessions(Self.readings, gap: 6))
    }
}
