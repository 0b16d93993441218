import Synchronization
import Testing
import WeirCore
import WeirTesting

/// What calls and copies of stages hold is in checkpoints as well: crashes anywhere change no result.
@Suite struct `Rates, calls and copies under crashes` {
    enum Way: CaseIterable, Sendable {
        case retriedCalls, orderedCalls, waitingBreaker, balanced, shaped, rated, urgent, hub
        case codeBehindCalls, codeBehindLookUps, codeBehindShaped
    }

    private struct Away: Error {}

    /// A service that is away for the first two calls with each third number.
    private final class Service: Sendable {
        private let calls = Mutex<[Int: Int]>([:])

        func twice(_ number: Int) throws -> Int {
            let count = calls.withLock { calls in
                calls[number, default: 0] += 1
                return calls[number, default: 0]
            }
            if number % 3 == 0, count <= 2 { throw Away() }
            return 2 * number
        }
    }

    private static func topology(_ way: Way, _ world: SimulatedWorld) -> Topology {
        let service = Service()
        let retry = RetryPolicy.exponential(attempts: 4)
        return Topology("calls") {
            let numbers = EventStream("in", from: world.source("in", Array(0..<24)))
            switch way {
            case .retriedCalls:
                numbers.mapAsync(inFlight: 3, ordered: false, retry: retry) {
                    try service.twice($0)
                }.sink(world.sink("out", order: .any))
            case .orderedCalls:
                numbers.mapAsync(inFlight: 4, retry: retry) { try service.twice($0) }
                    .sink(world.sink("out"))
            case .waitingBreaker:
                numbers.mapAsync(
                    breaker: CircuitBreaker(
                        failures: 3, of: 6, pause: .milliseconds(20), whileOpen: .wait),
                    inFlight: 2, retry: retry
                ) { try service.twice($0) }.results
                    .sink(world.sink("out", order: .any))
            case .balanced:
                numbers.balance(over: 3) { part in
                    part.map { number throws in
                        if number < 0 { throw Away() }
                        return 2 * number
                    }
                }.sink(world.sink("out", order: .any))
            case .shaped:
                numbers.throttle(events: 1, per: .milliseconds(1)).sink(world.sink("out"))
            case .rated:
                numbers.keyed(by: { $0 % 3 })
                    .rateLimit(events: 2, per: .milliseconds(5), mode: .delay()).passed
                    .sink(world.sink("out", order: .perKey { $0 % 3 }))
            case .urgent:
                EventStream("urgent", from: world.source("urgent", Array(100..<110)))
                    .merge(prioritisedOver: numbers, maximumRun: 3).mailbox(.bounded(2))
                    .sink(world.sink("out", order: .any))
            case .codeBehindCalls:
                numbers.mapAsync(inFlight: 3, ordered: false) { 2 * $0 }.fallible()
                    .sink(world.sink("out", order: .any))
            case .codeBehindLookUps:
                numbers.enrich(by: { $0 % 5 }, cache: 2, lookUp: { 100 * $0 }) { $0 + $1 }
                    .fallible().sink(world.sink("out"))
            case .codeBehindShaped:
                numbers.throttle(events: 1, per: .milliseconds(5)).fallible()
                    .sink(world.sink("out"))
            case .hub:
                numbers.sink(BroadcastHub<Int>().sink)
                numbers.sink(world.sink("out"))
            }
        }
    }

    @Test(arguments: Way.allCases) func `stay the same`(_ way: Way) throws {
        let simulation = Simulation { world in Self.topology(way, world) }
            .parallelism(1...4).ignoringState()
        try simulation.run(seeds: 0..<30)
    }
}
