import Testing
import WeirCore
import WeirTesting

/// Crashes anywhere, also while windows are open, merge, or wait for late events: results and late
/// events stay the same.
@Suite struct `Windows under crashes` {
    struct Case: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var window: Window
        var lateness: Duration = .zero
        var trigger: WindowTrigger = .atEnd

        init(
            _ name: String, _ window: Window, lateness: Duration = .zero,
            trigger: WindowTrigger = .atEnd
        ) {
            testDescription = name
            self.window = window
            self.lateness = lateness
            self.trigger = trigger
        }
    }

    static let shapes = [
        Case("sliding", .sliding(.seconds(12), every: .seconds(4))),
        Case("sliding, not by panes of one slide", .sliding(.seconds(10), every: .seconds(4))),
        Case("cumulative", .cumulative(.seconds(12), step: .seconds(4))),
        Case("sessions that merge", .session(gap: .seconds(4))),
    ]

    /// Readings of three keys, up to 5 seconds out of order.
    private static let readings = disordered(seed: 7, count: 30)

    @Test(arguments: shapes)
    func `give the same in event time`(_ shape: Case) throws {
        let simulation = Simulation { world in
            Topology("windows") {
                EventStream("in", from: world.source("in", Self.readings))
                    .eventTime(\.at, .boundedOutOfOrderness(.seconds(8)).neverIdle)
                    .keyed(by: \.key).window(shape.window)
                    .sums()
                    .sink(world.sink("sums", order: .any))
            }
        }.reordering(within: 2).parallelism(1...4)
        try simulation.run(seeds: 0..<25)
    }

    static let counted = [
        Case("count", .count(4)),
        Case("count, sliding", .count(6, every: 4)),
        Case("global", .global(trigger: .every(3))),
        Case("global, discarding", .global(trigger: .every(3, .discarding))),
    ]

    @Test(arguments: counted)
    func `give the same by count`(_ shape: Case) throws {
        let simulation = Simulation { world in
            Topology("counted") {
                EventStream("in", from: world.source("in", Self.readings))
                    .keyed(by: \.key).window(shape.window)
                    .reduce(into: 0) { sum, reading throws in
                        sum += try positive(reading.value)
                    } combine: { sum, other in
                        sum += other
                    }
                    .map { [$0.key, $0.value] }
                    .sink(world.sink("sums", order: .perKey { $0[0] }))
            }
        }.parallelism(1...4).ignoringState()
        try simulation.run(seeds: 0..<25)
    }

    static let patient =
        shapes.map { shape in
            var shape = shape
            shape.lateness = .seconds(6)
            shape.testDescription += ", lateness"
            return shape
        } + [
            Case("tumbling, late events only", .tumbling(.seconds(5))),
            Case("sessions, late events only", .session(gap: .seconds(4))),
            Case("tumbling, lateness", .tumbling(.seconds(5)), lateness: .seconds(6)),
            Case(
                "tumbling, lateness, counted", .tumbling(.seconds(10)), lateness: .seconds(6),
                trigger: .every(2)),
            Case(
                "tumbling, lateness, counted, discarding", .tumbling(.seconds(10)),
                lateness: .seconds(6), trigger: .every(2, .discarding)),
            Case(
                "sliding, lateness, counted", .sliding(.seconds(12), every: .seconds(4)),
                lateness: .seconds(6), trigger: .every(3)),
            Case(
                "sessions, lateness, counted, discarding", .session(gap: .seconds(4)),
                lateness: .seconds(6), trigger: .every(2, .discarding)),
        ]

    /// Readings with watermarks among them, behind which half of the readings come.
    private static let script = late(seed: 3, count: 36)

    @Test(arguments: patient)
    func `give the same again, and the same late events`(_ shape: Case) throws {
        let counts = SimulatedCounts()
        let simulation = Simulation { world in
            Topology("late") {
                let windows = world.paced("in", Self.script).scripted()
                    .keyed(by: \.key)
                    .window(
                        shape.window, allowedLateness: shape.lateness, trigger: shape.trigger)
                windows.sums().sink(world.sink("sums", order: .any))
                windows.late.sink(world.sink("late", order: .perKey(\.key)))
            }
        }.parallelism(1...4).check { outcome in
            counts.note(outcome, "sums", of: SumOfWindow.self)
            counts.note(outcome, "late", of: Reading.self)
        }
        try simulation.run(seeds: 0..<25)
        #expect(counts["sums"] > 5)
        #expect(counts["late"] > 0)
    }

    @Test func `give the same of what can't be combined, and of collections`() throws {
        let simulation = Simulation { world in
            Topology("collections") {
                let keyed = world.paced("in", Self.script).scripted().keyed(by: \.key)
                let sliding = keyed.window(
                    .sliding(.seconds(12), every: .seconds(4)), allowedLateness: .seconds(6))
                sliding.reduce(into: 0) { sum, reading throws in
                    sum += try positive(reading.value)
                }.map { SumOfWindow($0) }.sink(world.sink("sums", order: .any))
                keyed.window(.session(gap: .seconds(4)), allowedLateness: .seconds(6))
                    .collect(maximum: 3).fallible()
                    .map { "\($0.key) \($0.value.events.map(\.value)) \($0.value.omitted)" }
                    .sink(world.sink("collections", order: .any))
            }
        }.parallelism(1...4)
        try simulation.run(seeds: 0..<25)
    }

    @Test(arguments: [
        Case("tumbling", .tumbling(.hours(10), in: .processingTime)),
        Case("sliding", .sliding(.hours(4), every: .hours(2), in: .processingTime)),
        Case("cumulative", .cumulative(.hours(10), step: .hours(2)).processingTime),
        Case("session", .session(gap: .hours(1), in: .processingTime)),
        Case("at intervals", .global(trigger: .every(.hours(1), .discarding))),
    ])
    func `give the same in processing time`(_ shape: Case) throws {
        let simulation = Simulation { world in
            Topology("by the clock") {
                world.paced("in", Array(Self.readings.prefix(20)), by: 5)
                    .keyed(by: { _ in 0 }).window(shape.window)
                    .reduce(into: [Int]()) { values, reading throws in
                        values.append(try positive(reading.value))
                    } combine: { values, more in
                        values += more
                    }
                    .map { $0.value.sorted() }
                    .sink(world.sink("values", order: .any))
            }
        }.parallelism(1...4).ignoringState()
        try simulation.run(seeds: 0..<25)
    }

    @Test func `give the same by the time at which events come in`() throws {
        let simulation = Simulation { world in
            Topology("ingestion time") {
                world.paced("in", Self.readings, by: 5, every: .seconds(100)).ingestionTime()
                    .keyed(by: \.key).window(.session(gap: .seconds(10)))
                    .aggregate(.sum(of: \.value)).fallible()
                    .map { [$0.key, $0.value] }
                    .sink(world.sink("sums", order: .perKey { $0[0] }))
            }
        }.parallelism(1...4).ignoringState()
        try simulation.run(seeds: 0..<25)
    }
}

private struct NotPositive: Error {}

private func positive(_ value: Int) throws -> Int {
    if value <= 0 { throw NotPositive() }
    return value
}

extension WindowedStream<Int, Reading> {
    fileprivate func sums() -> EventStream<SumOfWindow> {
        reduce(into: 0) { sum, reading throws in
            sum += try positive(reading.value)
        } combine: { sum, other in
            sum += other
        }.map { SumOfWindow($0) }
    }
}

extension `Windows under crashes` {
    /// Readings of three keys, one a second or two, each up to 5 seconds late.
    fileprivate static func disordered(seed: UInt64, count: Int) -> [Reading] {
        var random = SplitMix64(seed: seed)
        var seconds = 10
        return (0..<count).map { index in
            seconds += Int.random(in: 0...2, using: &random)
            return Reading(
                index % 3, 1 + index, at: Double(seconds - .random(in: 0...5, using: &random)))
        }
    }

    /// Readings of two keys from 30 seconds behind the watermark on, and watermarks among them.
    static func late(seed: UInt64, count: Int) -> [Reading] {
        var random = SplitMix64(seed: seed)
        var watermark = 20
        return (0..<count).map { index in
            if index % 3 == 2 {
                watermark += Int.random(in: 0...6, using: &random)
                return .watermark(Double(watermark))
            }
            return Reading(
                Int.random(in: 0...1, using: &random), 1 + index,
                at: Double(watermark + .random(in: -30...8, using: &random)))
        }
    }
}
