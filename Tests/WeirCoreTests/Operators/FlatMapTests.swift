import Testing
import WeirCore

@Suite struct `Operators that give fewer or more events` {
    static let readings = (0..<1_000).map { Reading($0 % 7, $0, at: Double($0)) }

    /// The events that leave a chain, with the windows that their times fall into.
    func starts<Output: Sendable>(
        _ chain: @escaping @Sendable (EventStream<Reading>) -> EventStream<Output>
    ) async throws -> [EventTime] {
        try await collect {
            chain(EventStream("in", from: .collection(Self.readings)).eventTime(\.at))
                .keyed(by: { _ in 0 }).window(.tumbling(.seconds(1)))
                .reduce(into: 0) { count, _ in count += 1 }
        }.flatMap { Array(repeating: $0.window.lowerBound, count: $0.value) }
    }

    @Test func `keep the times of the events that are left`() async throws {
        let left = try await starts { events in
            events.compactMap { $0.value % 3 == 1 ? $0.value : nil }
        }
        #expect(left == Self.readings.filter { $0.value % 3 == 1 }.map(\.at))
    }

    @Test(arguments: [0, 1, 3, 40])
    func `give each of many events the time of the one that it comes from`(
        count: Int
    ) async throws {
        let expected = Self.readings.flatMap { Array(repeating: $0.at, count: $0.key % 2 * count) }
        let arrays = try await starts { events in
            events.flatMap { Array(repeating: $0.value, count: $0.key % 2 * count) }
        }
        #expect(arrays == expected)
        // A sequence that does not know how long it is.
        let sequences = try await starts { events in
            events.flatMap { reading in
                sequence(first: 0) { $0 + 1 }.prefix(reading.key % 2 * count)
            }
        }
        #expect(sequences == expected)
    }
}
