import Testing
import WeirCore

/// A window of a key with the sum of its events: what the tests compare.
struct SumOfWindow: Hashable, Comparable, CustomStringConvertible {
    var key: Int
    var start: Int64
    var end: Int64
    var sum: Int

    init(_ key: Int, _ start: Int64, _ end: Int64, _ sum: Int) {
        self.key = key
        self.start = start
        self.end = end
        self.sum = sum
    }

    init(_ window: Windowed<Int, Int>) {
        self.init(
            window.key, window.window.lowerBound.nanoseconds,
            window.window.upperBound.nanoseconds, window.value)
    }

    static func < (left: Self, right: Self) -> Bool {
        (left.end, left.start, left.key, left.sum) < (right.end, right.start, right.key, right.sum)
    }

    var description: String { "\(key): [\(start), \(end)) \(sum)" }
}

/// Events with small numbers of nanoseconds as times, up to `disorder` out of order.
func randomReadings(seed: UInt64, count: Int = 150, disorder: Int64 = 20) -> [Reading] {
    var random = SplitMix64(seed: seed)
    var now = Int64.random(in: -300...0, using: &random)
    return (0..<count).map { _ in
        // Now and then a gap that is longer than any window.
        now +=
            Int.random(in: 0..<40, using: &random) == 0 ? 500 : .random(in: 0...4, using: &random)
        var reading = Reading(
            .random(in: 0..<4, using: &random), .random(in: 1..<100, using: &random), at: 0)
        reading.at = EventTime(nanoseconds: now - .random(in: 0...disorder, using: &random))
        return reading
    }
}

func floor(_ time: Int64, to size: Int64, offset: Int64 = 0) -> Int64 {
    let past = (time - offset) % size
    return time - (past < 0 ? past + size : past)
}

/// What the windows must give, from the definition alone.
func expectedSums(_ readings: [Reading], windowsOf: (Int64) -> [Range<Int64>]) -> [SumOfWindow] {
    var sums: [Int: [Range<Int64>: Int]] = [:]
    for reading in readings {
        for window in windowsOf(reading.at.nanoseconds) {
            sums[reading.key, default: [:]][window, default: 0] += reading.value
        }
    }
    return sums.flatMap { key, windows in
        windows.map { SumOfWindow(key, $0.key.lowerBound, $0.key.upperBound, $0.value) }
    }.sorted()
}

func slidingWindows(_ time: Int64, size: Int64, slide: Int64, offset: Int64 = 0) -> [Range<Int64>] {
    var windows: [Range<Int64>] = []
    var start = floor(time, to: slide, offset: offset)
    while start + size > time {
        windows.append(start..<(start + size))
        start -= slide
    }
    return windows
}

func expectedSessions(_ readings: [Reading], gap: Int64) -> [SumOfWindow] {
    var result: [SumOfWindow] = []
    for (key, readings) in Dictionary(grouping: readings, by: \.key) {
        var open: SumOfWindow?
        for reading in readings.sorted(by: { $0.at < $1.at }) {
            let time = reading.at.nanoseconds
            if let session = open, time < session.end {
                open = SumOfWindow(key, session.start, time + gap, session.sum + reading.value)
            } else {
                if let open { result.append(open) }
                open = SumOfWindow(key, time, time + gap, reading.value)
            }
        }
        if let open { result.append(open) }
    }
    return result.sorted()
}

@Suite(.everyStateBackend) struct `Windows over random events` {
    static let shapes: [(batchSize: Int, parallelism: Int)] = [
        (1, 1), (7, 1), (512, 1), (1, 4), (7, 4), (512, 4),
    ]

    func sums(
        _ readings: [Reading], seed: UInt64, _ window: Window, combining: Bool = false
    ) async throws -> [SumOfWindow] {
        let shape = Self.shapes[Int(seed) % Self.shapes.count]
        let received = try await collect(
            batchSize: shape.batchSize, parallelism: shape.parallelism
        ) {
            let windows = EventStream("in", from: .collection(readings))
                .eventTime(\.at, .boundedOutOfOrderness(.nanoseconds(20)))
                .keyed(by: \.key).window(window)
            return combining
                ? windows.aggregate(.sum(of: \.value))
                : windows.reduce(into: 0) { $0 += $1.value }
        }
        return received.map { SumOfWindow($0) }.sorted()
    }

    @Test(arguments: 0..<40 as Range<UInt64>)
    func `give what their definition says`(seed: UInt64) async throws {
        let readings = randomReadings(seed: seed)
        #expect(
            try await sums(
                readings, seed: seed, .tumbling(.nanoseconds(10), offset: .nanoseconds(3)))
                == expectedSums(readings) {
                    [floor($0, to: 10, offset: 3)..<floor($0, to: 10, offset: 3) + 10]
                })
        for (size, slide) in [(60, 10), (25, 10), (7, 3), (10, 10)] as [(Int64, Int64)] {
            let window = Window.sliding(
                .nanoseconds(size), every: .nanoseconds(slide), offset: .nanoseconds(-4))
            let expected = expectedSums(readings) {
                slidingWindows($0, size: size, slide: slide, offset: -4)
            }
            #expect(try await sums(readings, seed: seed, window) == expected)
            #expect(try await sums(readings, seed: seed, window, combining: true) == expected)
        }
        #expect(
            try await sums(
                readings, seed: seed, .cumulative(.nanoseconds(30), step: .nanoseconds(10)))
                == expectedSums(readings) { time in
                    let start = floor(time, to: 30)
                    return [10, 20, 30].filter { start + $0 > time }.map { start..<(start + $0) }
                })
        #expect(
            try await sums(readings, seed: seed, .session(gap: .nanoseconds(12)), combining: true)
                == expectedSessions(readings, gap: 12))
    }

    @Test(arguments: 0..<12 as Range<UInt64>)
    func `of counts take the events in their order`(seed: UInt64) async throws {
        let readings = randomReadings(seed: seed)
        let keys = Dictionary(grouping: readings, by: \.key)
        let tumbling = keys.flatMap { key, readings in
            stride(from: 0, to: readings.count, by: 8).map { start in
                sum(key, readings[start..<min(start + 8, readings.count)])
            }
        }
        #expect(try await sums(readings, seed: seed, .count(8)) == tumbling.sorted())
        let sliding = keys.flatMap { key, readings in
            stride(from: 4, through: readings.count, by: 4).map { end in
                sum(key, readings[max(0, end - 6)..<end])
            }
        }
        #expect(
            try await sums(readings, seed: seed, .count(6, every: 4), combining: true)
                == sliding.sorted())
    }

    func sum(_ key: Int, _ readings: ArraySlice<Reading>) -> SumOfWindow {
        let times = readings.map(\.at.nanoseconds)
        return SumOfWindow(
            key, times.min() ?? 0, (times.max() ?? 0) + 1, readings.reduce(0) { $0 + $1.value })
    }

    @Test(arguments: 0..<12 as Range<UInt64>)
    func `lose nothing when other events of their batches fail`(seed: UInt64) async throws {
        struct Refusal: Error {}
        var readings = randomReadings(seed: seed)
        readings[20].value = -1
        readings[90].value = -1
        let good = readings.filter { $0.value > 0 }
        let script = readings
        for window in [
            Window.sliding(.nanoseconds(25), every: .nanoseconds(10)),
            .session(gap: .nanoseconds(12)),
        ] {
            let shape = Self.shapes[Int(seed) % Self.shapes.count]
            let (received, running) = try await run(
                batchSize: shape.batchSize, parallelism: shape.parallelism
            ) {
                EventStream("in", from: .collection(script))
                    .eventTime(\.at, .boundedOutOfOrderness(.nanoseconds(20)))
                    .keyed(by: \.key).window(window)
                    .reduce(
                        into: 0,
                        { (sum: inout Int, reading: Reading) throws(Refusal) in
                            sum += reading.value
                            if reading.value < 0 { throw Refusal() }
                        }, combine: { $0 += $1 }
                    )
                    .map { (window) throws(Refusal) in window }
            }
            let isSession = window == .session(gap: .nanoseconds(12))
            let expected =
                isSession
                ? expectedSessions(good, gap: 12)
                : expectedSums(good) { slidingWindows($0, size: 25, slide: 10) }
            #expect(received.map { SumOfWindow($0) }.sorted() == expected)
            #expect(running.deadLetters.total == 2)
        }
    }
}
