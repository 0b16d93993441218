import Testing
import WeirTesting

@testable import WeirCore

/// Not-a-number differs from itself, so no dictionary finds it again.
@Suite(.everyStateBackend) struct `A key that is not equal to itself` {
    private let events: [(key: Double, value: Int, at: EventTime)] = (0..<40).map {
        ($0 % 2 == 0 ? .nan : 1, $0, time(Double($0)))
    }

    private var stream: EventStream<(key: Double, value: Int, at: EventTime)> {
        EventStream("in", from: .collection(events)).eventTime(\.at, .monotonic)
    }

    @Test func `is one key to what keeps state by key`() async throws {
        let sums = try await collect {
            stream.keyed(by: \.key).reduce(into: 0) { count, _ in count += 1 }
        }
        #expect(sums.filter { $0.key.isNaN }.map(\.value) == Array(1...20))
        let windows = try await collect {
            stream.keyed(by: \.key).window(.tumbling(.seconds(20))).aggregate(.count())
        }
        #expect(windows.map(\.value) == [10, 10, 10, 10])
        let distinct = try await collect { stream.keyed(by: \.key).distinct() }
        #expect(distinct.map(\.value) == [0, 1])
    }

    @Test func `is never known to a memory of keys, and takes no room in it`() async throws {
        let distinct = try await collect { stream.distinct(by: \.key, memory: 3) }
        #expect(distinct.map(\.value) == [0, 1] + Array(stride(from: 2, to: 40, by: 2)))
        var memory = BoundedMemory<Double>(limit: 3, lifetime: nil)
        for _ in 0..<100 {
            let isNew = memory.insert(.nan, at: EventTime())
            #expect(isNew)
        }
        #expect(memory.count == 0)
    }

    @Test func `is looked up each time`() async throws {
        let looked = try await collect {
            stream.enrich(
                by: \.key, cache: 2, lifetime: .hours(1), lookUp: { (key: Double) async in key }
            ) { event, _ in event.value }
        }
        #expect(looked == Array(0..<40))
        var cache = LookUpCache<Double, Int>(capacity: 2, lifetime: .hours(1))
        for value in 0..<100 { cache.insert(value, for: .nan, at: EventTime()) }
        #expect(cache.count == 0)
        #expect(cache.positions.isEmpty)
    }

    @Test func `is counted by no list of the most frequent values`() {
        var sketch = SpaceSaving<Double>(capacity: 3)
        for _ in 0..<100 { sketch.insert(.nan) }
        for value in [1.0, 2, 2, 3, 3, 3] { sketch.insert(value) }
        #expect(sketch.hitters.map(\.value) == [3, 2, 1])
        #expect(sketch.places.count == 3)
    }

    @Test func `is one value to what counts different ones`() {
        let values = [Double](repeating: .nan, count: 50) + [1, 2]
        #expect(DistinctAggregate<Double, Double> { $0 }.result(over: values) == 3)
        let exact = ExactDistinctAggregate<Double, Double>(limit: 10) { $0 }.result(over: values)
        #expect(exact == DistinctCount(count: 3, isComplete: true))
        let counts = DistinctCountsAggregate<Double, Double>(of: { $0 }, bands: { _ in 1 })
            .result(over: values)
        #expect(counts.total == 3)
        #expect(counts.inBand(0) == 3)
    }

    @Test func `is left out of the smallest and the largest`() {
        let values = [.nan, 3, .nan, 1, 2, .nan]
        let smallest = OrderedExtremumAggregate<Double, Double>(largest: false) { $0 }
        let largest = OrderedExtremumAggregate<Double, Double>(largest: true) { $0 }
        #expect(smallest.result(over: values) == 1)
        #expect(largest.result(over: values) == 3)
    }
}
