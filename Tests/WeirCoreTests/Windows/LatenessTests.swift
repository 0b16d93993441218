import Testing
import WeirCore

/// The rules of lateness, event by event, with no regard to cost.
struct LatenessModel {
    let lateness: Int64
    var watermark = Int64.min
    var windows: [Int: [Range<Int64>: Int]] = [:]
    var results: [SumOfWindow] = []
    var late: [Reading] = []

    mutating func add(_ reading: Reading, to candidates: [Range<Int64>]) {
        var isLate = true
        for window in candidates where window.upperBound - 1 + lateness > watermark {
            isLate = false
            windows[reading.key, default: [:]][window, default: 0] += reading.value
            if window.upperBound - 1 <= watermark { emit(reading.key, window) }
        }
        if isLate { late.append(reading) }
    }

    mutating func advance(to time: Int64) {
        let before = watermark
        watermark = max(watermark, time)
        for (key, windows) in windows {
            for window in windows.keys
            where window.upperBound - 1 > before && window.upperBound - 1 <= watermark {
                emit(key, window)
            }
        }
    }

    private mutating func emit(_ key: Int, _ window: Range<Int64>) {
        results.append(
            SumOfWindow(
                key, window.lowerBound, window.upperBound, windows[key]?[window] ?? 0))
    }
}

@Suite(.everyStateBackend) struct `Lateness` {
    /// Random events among random watermarks, so that many are late.
    func script(seed: UInt64) -> [Reading] {
        var random = SplitMix64(seed: seed)
        var watermark = Int64.random(in: -100...100, using: &random)
        return (0..<120).map { _ in
            if Int.random(in: 0..<4, using: &random) == 0 {
                watermark += .random(in: 0...15, using: &random)
                var reading = Reading.watermark(0)
                reading.at = EventTime(nanoseconds: watermark)
                reading.watermark = reading.at
                return reading
            }
            var reading = Reading(
                .random(in: 0..<3, using: &random), .random(in: 1..<100, using: &random), at: 0)
            reading.at = EventTime(
                nanoseconds: watermark + .random(in: -70...30, using: &random))
            return reading
        }
    }

    @Test(arguments: 0..<40 as Range<UInt64>)
    func `decides what is dropped and what is given again`(seed: UInt64) async throws {
        let script = script(seed: seed)
        let lateness = Int64(seed % 3) * 20
        for (size, slide, combining) in [
            (20, 20, false), (20, 20, true), (40, 10, false), (40, 10, true), (25, 10, true),
            (25, 10, false),
        ] as [(Int64, Int64, Bool)] {
            var model = LatenessModel(lateness: lateness)
            for reading in script {
                if let watermark = reading.watermark {
                    model.advance(to: watermark.nanoseconds)
                } else {
                    model.add(
                        reading,
                        to: slidingWindows(reading.at.nanoseconds, size: size, slide: slide))
                }
            }
            model.advance(to: .max)
            let out: Outlet<Windowed<Int, Int>> = "out"
            let late: Outlet<Reading> = "late"
            let topology = Topology("t") {
                let windows = EventStream.script(script).keyed(by: \.key).window(
                    .sliding(.nanoseconds(size), every: .nanoseconds(slide)),
                    allowedLateness: .nanoseconds(lateness))
                let sums =
                    combining
                    ? windows.reduce(into: 0, { $0 += $1.value }, combine: { $0 += $1 })
                    : windows.reduce(into: 0) { $0 += $1.value }
                sums.sink(.outlet(out))
                windows.late.sink(.outlet(late))
            }
            var configuration = RunConfiguration(batchSize: 1, parallelism: 1, seed: 1)
            configuration.metricsInterval = .zero
            let running = try await topology.start(configuration)
            async let results = running.output(out).reduce(into: []) { $0.append(SumOfWindow($1)) }
            async let lateEvents = running.output(late).reduce(into: []) { $0.append($1) }
            #expect(try await results.sorted() == model.results.sorted())
            #expect(try await lateEvents == model.late)
            try await running.waitUntilFinished()
        }
    }

    @Test func `of a session ends when it can be extended no more`() async throws {
        let out: Outlet<Windowed<Int, Int>> = "out"
        let late: Outlet<Reading> = "late"
        let topology = Topology("t") {
            let windows = EventStream.script([
                Reading(1, 1, at: 0), Reading(1, 2, at: 15), .watermark(28),
                // Joins both sessions, which have fired, and gives the result again.
                Reading(1, 4, at: 7), Reading(1, 8, at: 50), .watermark(35),
                // Its own session would be over.
                Reading(1, 16, at: -20), .watermark(45), Reading(1, 32, at: 14),
            ]).keyed(by: \.key).window(
                .session(gap: .seconds(10)), allowedLateness: .seconds(20))
            windows.aggregate(.sum(of: \.value)).sink(.outlet(out))
            windows.late.sink(.outlet(late))
        }
        let running = try await topology.start(RunConfiguration(batchSize: 1, seed: 1))
        async let results = running.output(out).reduce(into: []) { $0.append(SumOfWindow($1)) }
        async let lateEvents = running.output(late).reduce(into: []) { $0.append($1.value) }
        let second: Int64 = 1_000_000_000
        #expect(
            try await results == [
                SumOfWindow(1, 0, 10 * second, 1), SumOfWindow(1, 15 * second, 25 * second, 2),
                SumOfWindow(1, 0, 25 * second, 7), SumOfWindow(1, 50 * second, 60 * second, 8),
            ])
        #expect(try await lateEvents == [16, 32])
        try await running.waitUntilFinished()
    }
}
