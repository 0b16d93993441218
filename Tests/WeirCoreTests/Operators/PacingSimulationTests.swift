import Testing
import WeirCore
import WeirTesting

/// Crashes anywhere, also while events wait for their time: each comes out once, and none that was
/// left out comes back.
@Suite struct `Operators in processing time under crashes` {
    enum Way: CaseIterable, Sendable {
        case debounce, sample, chunkedWithin, dropNewest, dropOldest, latest, excess
        case timers, expiring, lasting, distinct
        case conflate, conflateToLatest
    }

    /// Says when no event has come for an hour.
    private struct Quiet: KeyedHandler {
        func initialState(for key: Int) -> [Int] { [] }

        func on(_ event: Int, state: inout [Int], _ context: inout Context<Int, [Int]>) {
            state.append(event)
            context.setTimer(at: context.now.advanced(by: .hours(1)), in: .processingTime)
        }

        func onTimer(
            _ timer: FiredTimer, state: inout [Int], _ context: inout Context<Int, [Int]>
        ) {
            // Events of one burst may come at several times after a failure.
            if !state.isEmpty { context.emit(state) }
            context.clearState()
        }
    }

    private static func topology(_ way: Way, _ world: SimulatedWorld) -> Topology {
        Topology("pacing") {
            let bursts = world.paced("in", Array(1...20), by: 5)
            switch way {
            case .debounce:
                bursts.debounce(.minutes(10)).fallible().map(alone).sink(whole(world))
                // Gives crashes and checkpoints moments while an event waits.
                bursts.sink(world.sink("all"))
            case .sample:
                bursts.sample(every: .hours(2)).fallible().map(alone).sink(whole(world))
                bursts.sink(world.sink("all"))
            case .chunkedWithin:
                bursts.chunked(count: 3, within: .hours(1)).fallible().sink(whole(world))
            case .dropNewest:
                // No token comes while it runs.
                quickBursts(world)
                    .throttle(events: 1, per: .hours(24), burst: 12, mode: .dropNewest).fallible()
                    .map(alone).sink(whole(world))
            case .dropOldest:
                bursts.throttle(events: 2, per: .hours(1), mode: .dropOldest).fallible()
                    .map(alone).sink(whole(world))
            case .latest:
                bursts.throttle(events: 2, per: .hours(1), mode: .latest).fallible()
                    .map(alone).sink(whole(world))
            case .excess:
                let limited = quickBursts(world).keyed { $0 % 2 }
                    .rateLimit(events: 1, per: .hours(24), burst: 6)
                limited.passed.fallible().map(alone).sink(byKey(world))
                limited.excess.fallible().sink(world.sink("excess", order: .perKey { $0 % 2 }))
            case .timers:
                bursts.keyed { $0 % 2 }.handle("quiet") { Quiet() }.fallible().sink(byKey(world))
            case .expiring, .lasting:
                bursts.keyed { $0 % 2 }
                    .scan(
                        into: [Int](), ttl: StateTTL(way == .lasting ? .days(30) : .hours(1))
                    ) { past, number in
                        past.append(number)
                        return past
                    }.fallible().sink(byKey(world))
            case .distinct:
                bursts.distinct(by: { $0 % 12 }, within: .days(30)).fallible().map(alone).sink(
                    whole(world))
            case .conflate:
                // Which are merged depends on the order of turns, their sum does not.
                numbers(world).conflate { $0 + $1 }.stage("slow").mailbox(.bounded(1))
                    .keyed { _ in 0 }.window(.global(trigger: .every(1_000_000)))
                    .reduce(into: 0) { $0 += $1 }.map { [$0.value] }.sink(whole(world))
            case .conflateToLatest:
                numbers(world).conflateToLatest().stage("slow").mailbox(.bounded(1))
                    .keyed { _ in 0 }.window(.global(trigger: .every(1_000_000)))
                    .reduce(into: [0, 1]) { last, number in
                        last = [number, number > last[0] ? last[1] : 0]
                    }.map { $0.value }.sink(whole(world))
            }
        }
    }

    private static func numbers(_ world: SimulatedWorld) -> EventStream<Int> {
        EventStream("in", from: world.source("in", Array(1...30)))
    }

    private static func quickBursts(_ world: SimulatedWorld) -> EventStream<Int> {
        world.paced("in", Array(1...20), by: 5, every: .seconds(600))
    }

    private static func alone(_ number: Int) -> [Int] { [number] }

    private static func whole(_ world: SimulatedWorld) -> Sink<[Int]> { world.sink("out") }

    private static func byKey(_ world: SimulatedWorld) -> Sink<[Int]> {
        world.sink("out", order: .perKey { $0[0] % 2 })
    }

    @Test(arguments: Way.allCases) func `give the same`(_ way: Way) throws {
        let counts = SimulatedCounts()
        let simulation = Simulation { world in Self.topology(way, world) }
            .parallelism(1...4).ignoringState()
            .check { counts.note($0, "out", of: [Int].self) }
        try simulation.run(seeds: 0..<80)
        let isOne = way == .conflate || way == .conflateToLatest
        #expect(counts["out"] >= (isOne ? 1 : 4))
    }
}
