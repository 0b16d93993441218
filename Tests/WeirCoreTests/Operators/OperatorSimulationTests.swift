import Testing
import WeirCore
import WeirTesting

/// Crashes anywhere, and transactions that are undone: what an operator remembers of a stream is as
/// if nothing had happened.
@Suite struct `Operators with state under crashes` {
    enum Way: CaseIterable, Sendable {
        case scan, enumerated, distinct, distinctWithin, removeDuplicates, changes, prefix,
            dropFirst
        case chunked, chunkedTimes, lookUps
        case keyedScan, keyedReduce, keyedDistinct, keyedChanges, expiring
    }

    static let readings = {
        var random = SplitMix64(seed: 5)
        var seconds = 0
        return (0..<24).map { index in
            seconds += Int.random(in: 1...3, using: &random) / 2 + index % 2
            return Reading(index % 3, .random(in: 1...9, using: &random), at: Double(seconds))
        }
    }()

    private static func topology(_ way: Way, _ world: SimulatedWorld) -> Topology {
        Topology("operators") {
            let source = EventStream("in", from: world.source("in", readings))
            let timed = source.eventTime(\.at, .monotonic.neverIdle)
            let keyed = source.keyed(by: \.key)
            switch way {
            case .scan:
                source.scan([0, 0]) { [$0[0] + $1.value, $0[1] + 1] }.fallible().sink(whole(world))
            case .enumerated:
                source.enumerated().map { [$0.offset, $0.element.value] }.fallible().sink(
                    whole(world))
            case .distinct:
                source.distinct(by: \.value, memory: 4).fallible().map(numbers).sink(whole(world))
            case .distinctWithin:
                timed.distinct(by: \.value, within: .seconds(4)).fallible().map(numbers).sink(
                    whole(world))
            case .removeDuplicates:
                source.map { $0.value % 2 == 0 ? nil : $0.value % 3 }.removeDuplicates()
                    .fallible().map { [$0 ?? -1] }.sink(whole(world))
            case .changes:
                source.changes { $0.value > 7 }.fallible().map(numbers).sink(whole(world))
            case .prefix: source.prefix(17).fallible().map(numbers).sink(whole(world))
            case .dropFirst: source.dropFirst(11).fallible().map(numbers).sink(whole(world))
            case .chunked:
                source.chunked(count: 5).fallible().map { $0.map(\.value) }.sink(whole(world))
            case .chunkedTimes:
                timed.chunked(count: 5).withEventTime().fallible()
                    .map { $0.element.map(\.value) + [Int($0.time?.nanoseconds ?? -1)] }.sink(
                        whole(world))
            case .lookUps:
                source.enrich(by: \.value, cache: 2, lookUp: { $0 * 100 }) { [$0.value, $1] }
                    .sink(whole(world))
            case .keyedScan:
                keyed.scan(into: 0) { sum, reading in
                    sum += reading.value
                    return [reading.key, sum]
                }.fallible().sink(byKey(world))
            case .keyedReduce:
                keyed.reduce(into: 0) { sum, reading throws in sum += try positive(reading.value) }
                    .map { [$0.key, $0.value] }.sink(byKey(world))
            case .keyedDistinct:
                source.keyed { $0.value % 7 }.distinct().fallible()
                    .map { [$0.value % 7, $0.value] }.sink(byKey(world))
            case .keyedChanges:
                keyed.changes { $0.value % 2 }.fallible().map(numbers).sink(byKey(world))
            case .expiring:
                timed.keyed(by: \.key)
                    .reduce(into: 0, ttl: StateTTL(.seconds(3))) { $0 += $1.value }.fallible()
                    .map { [$0.key, $0.value] }.sink(byKey(world))
            }
        }
    }

    private static func whole(_ world: SimulatedWorld) -> Sink<[Int]> { world.sink("out") }

    private static func byKey(_ world: SimulatedWorld) -> Sink<[Int]> {
        world.sink("out", order: .perKey { $0[0] })
    }

    @Test(arguments: Way.allCases) func `give the same`(_ way: Way) throws {
        let counts = SimulatedCounts()
        let simulation = Simulation { world in Self.topology(way, world) }
            .parallelism(1...4).check { counts.note($0, "out", of: [Int].self) }
        // What has expired goes when somebody looks, which is at no certain time.
        try (way == .expiring ? simulation.ignoringState() : simulation).run(seeds: 0..<40)
        #expect(counts["out"] > 3)
    }

    /// Emits for each event how many there were, and all of them when event time has passed it.
    private struct Remembering: KeyedHandler {
        static let even = SideOutput<[Int]>("even")
        func initialState(for key: Int) -> [Int] { [] }

        func on(
            _ event: Reading, state: inout [Int], _ context: inout Context<Int, [Int]>
        ) throws(NotPositive) {
            state.append(try positive(event.value))
            context.setTimer(at: event.at.advanced(by: .seconds(3)))
            if state.count % 3 == 0 { context.cancelTimer(at: event.at.advanced(by: .seconds(1))) }
            if event.value % 2 == 0 { context.emit([event.key, event.value], to: Self.even) }
            if state.count == 7 { context.clearState() }
            context.emit([event.key, state.count])
        }

        func onTimer(
            _ timer: FiredTimer, state: inout [Int], _ context: inout Context<Int, [Int]>
        ) {
            context.emit([context.key, Int(timer.time.nanoseconds)] + state)
        }
    }

    @Test func `give the same with handlers, their timers and side outputs`() throws {
        let simulation = Simulation { world in
            Topology("handler") {
                let handled = world.paced("in", Self.readings)
                    .eventTime(\.at, .boundedOutOfOrderness(.seconds(1)).neverIdle)
                    .keyed(by: \.key).handle("remembering") { Remembering() }
                handled.sink(world.sink("out", order: .perKey { $0[0] }))
                handled.sideOutput(Remembering.even)
                    .sink(world.sink("even", order: .perKey { $0[0] }))
            }
        }.parallelism(1...4)
        try simulation.run(seeds: 0..<30)
    }

    /// What has come of a key per checkpoint: the newest event, and whether each was newer than the
    /// one before, in a later checkpoint.
    private struct Newest: Codable, Sendable {
        var at = EventTime.min
        var checkpoint = -1
        var isInOrder = true
    }

    @Test func `give the newest of each key once per checkpoint`() throws {
        let counts = SimulatedCounts()
        let simulation = Simulation { world in
            Topology("per checkpoint") {
                let newest = EventStream("in", from: world.source("in", Self.readings))
                    .eventTime(\.at, .monotonic.neverIdle)
                    .keyed(by: \.key).latestPerCheckpoint()
                    .keyed(by: \.element.key)
                // How many there are depends on the checkpoints, the last one and the order do not.
                newest.window(.global(trigger: .every(1_000_000)))
                    .reduce(into: Newest()) { newest, event in
                        newest.isInOrder =
                            newest.isInOrder && event.element.at > newest.at
                            && event.checkpoint > newest.checkpoint
                        newest.at = event.element.at
                        newest.checkpoint = event.checkpoint
                    }
                    .map { "\($0.key): \($0.value.at) \($0.value.isInOrder)" }
                    .sink(world.sink("newest", order: .any))
                // Event time waits for them.
                let windows = newest.window(.tumbling(.seconds(3)))
                windows.aggregate(.count()).sink(.forEach { _ in })
                windows.late.sink(world.sink("late"))
            }
        }.parallelism(1...4).ignoringState().check { outcome in
            counts.note(outcome, "newest", of: String.self)
            counts.note(outcome, "late", of: Checkpointed<Reading>.self)
        }
        try simulation.run(seeds: 0..<40)
        #expect(counts["newest"] == 3)
        #expect(counts["late"] == 0)
    }

    private static func numbers(_ reading: Reading) -> [Int] { [reading.key, reading.value] }
}

private struct NotPositive: Error {}

private func positive(_ value: Int) throws(NotPositive) -> Int {
    if value <= 0 { throw NotPositive() }
    return value
}
