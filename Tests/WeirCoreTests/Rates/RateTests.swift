import Synchronization
import Testing
import WeirTesting

@testable import WeirCore

@Suite struct `A keyed rate limit` {
    private static func second(_ number: Int) -> Reading { Reading(number % 2, number, at: 0) }

    @Test func `lets each key have its rate and puts the rest aside`() throws {
        let input = SourceProbe<Reading>()
        let (passed, excess) = (SinkProbe<Int>("passed"), SinkProbe<Int>("excess"))
        let test = try TopologyTest(
            Topology("drop") {
                let limited = EventStream("in", from: input.source).keyed(by: \.key)
                    .rateLimit(events: 2, per: .seconds(1), name: "limit")
                limited.passed.map(\.value).sink(passed.sink)
                limited.excess.map(\.value).sink(excess.sink)
            })
        for number in 0..<8 { input.send(Self.second(number)) }
        try test.run()
        #expect(passed.received == [0, 1, 2, 3])
        #expect(excess.received == [4, 5, 6, 7])
        try test.advance(by: .milliseconds(500))
        for number in 8..<12 { input.send(Self.second(number)) }
        try test.run()
        #expect(passed.received.dropFirst(4) == [8, 9])
        let stage = test.running.status().stages.first { $0.name == "limit" }
        #expect(stage?.stateKeys == 2)
        // Full again, the buckets are forgotten.
        try test.advance(by: .seconds(2))
        #expect(test.running.status().stages.first { $0.name == "limit" }?.stateKeys == 0)
    }

    @Test func `delays what is too fast, and event time with it`() throws {
        let input = SourceProbe<Reading>()
        let passed = SinkProbe<String>("passed")
        let test = try TopologyTest(
            Topology("delay") {
                EventStream("in", from: input.source)
                    .eventTime(\.at, .monotonic.neverIdle).keyed(by: \.key)
                    .rateLimit(
                        events: 1, per: .seconds(1), mode: .delay(waitingPerKey: 2), name: "limit"
                    ).passed
                    .keyed(by: \.key).window(.tumbling(.seconds(10))).aggregate(.count())
                    .map { "\($0.key) \($0.value)" }.sink(passed.sink)
            })
        for number in 0..<3 { input.send(Reading(1, number, at: Double(number))) }
        input.send(Reading(2, 9, at: 20))
        try test.run()
        #expect(passed.received == [])
        try test.advance(by: .seconds(1))
        #expect(passed.received == [])
        try test.advance(by: .seconds(1))
        #expect(passed.received == ["1 3"])
        input.finish()
        try test.finish()
        #expect(passed.received == ["1 3", "2 1"])
    }

    @Test func `lets event time go on after a checkpoint`() throws {
        let store = continuationStore()
        let passed = SinkProbe<String>("passed")
        for piece in 0..<2 {
            let input = SourceProbe<Reading>()
            var configuration = TopologyTest.configuration
            configuration.store = store
            let test = try TopologyTest(
                Topology("kept") {
                    EventStream("in", from: input.source)
                        .eventTime(\.at, .monotonic.neverIdle).keyed(by: \.key)
                        .rateLimit(events: 1, per: .seconds(1), mode: .delay(), name: "limit")
                        .passed
                        .keyed(by: \.key).window(.tumbling(.seconds(10))).aggregate(.count())
                        .map { "\($0.key) \($0.value)" }.sink(passed.sink)
                }, configuration: configuration)
            if piece == 0 {
                for number in 0..<3 { input.send(Reading(1, number, at: Double(number))) }
                input.send(Reading(2, 9, at: 20))
                try test.run()
                try test.perform { [running = test.running] in _ = try await running.suspend() }
                #expect(passed.received == [])
            } else {
                // No event comes, and so no newer watermark.
                try test.advance(by: .seconds(5))
                #expect(passed.received == ["1 3"])
            }
        }
    }

    @Test func `waits at the end for what is delayed, and puts aside what finds no room`() throws {
        let input = SourceProbe<Reading>()
        let (passed, excess) = (SinkProbe<Int>("passed"), SinkProbe<Int>("excess"))
        let test = try TopologyTest(
            Topology("end") {
                let limited = EventStream("in", from: input.source).keyed(by: \.key)
                    .rateLimit(events: 1, per: .seconds(1), mode: .delay(waitingPerKey: 3))
                limited.passed.map(\.value).sink(passed.sink)
                limited.excess.map(\.value).sink(excess.sink)
            })
        for number in 0..<6 { input.send(Reading(1, number, at: 0)) }
        input.finish()
        try test.run()
        #expect(passed.received == [0])
        try test.advance(by: .seconds(3))
        try test.finish()
        #expect(passed.received == [0, 1, 2, 3])
        #expect(excess.received == [4, 5])
    }

    @Test func `goes on from a checkpoint with any parallelism`() throws {
        let continuation = Continuation<Reading, Int>(group: { $0 % 3 }, rescales: true) { events in
            events.keyed(by: \.key)
                .rateLimit(events: 1, per: .nanoseconds(40), burst: 2, mode: .delay()).passed
                .map { $0.value * 3 + $0.key }
        }
        let readings = (0..<40).map { Reading($0 % 3, $0, at: 0) }
        try continuation.expectSame(readings.steps(seed: 3, upTo: .nanoseconds(20)))
    }

    @Test func `loses nothing under crashes`() throws {
        let readings = (0..<24).map { Reading($0 % 3, $0, at: 0) }
        let simulation = Simulation { world in
            Topology("rates") {
                EventStream("in", from: world.source("in", readings)).keyed(by: \.key)
                    .rateLimit(events: 1, per: .milliseconds(1), mode: .delay()).passed
                    .sink(world.sink("out", order: .perKey(\.key)))
            }
        }.parallelism(1...4).ignoringState()
        try simulation.run(seeds: 0..<40)
    }

    @Test func `refuses rates that make no sense`() {
        func problem(_ mode: KeyedRateMode, _ events: Int, _ period: Duration) -> Bool {
            let topology = Topology("refused") {
                EventStream("in", from: .collection([Reading]())).keyed(by: \.key)
                    .rateLimit(events: events, per: period, mode: mode).passed.sink(.discard)
            }
            do { try topology.validate() } catch { return true }
            return false
        }
        #expect(!problem(.drop, 1, .seconds(1)))
        #expect(problem(.drop, 0, .seconds(1)))
        #expect(problem(.drop, 1, .zero))
        #expect(problem(.delay(waitingPerKey: 0), 1, .seconds(1)))
    }
}

@Suite struct `A circuit breaker` {
    private struct Away: Error {}

    private static func breaker(_ mode: CircuitBreaker.Mode, trials: Int = 1) -> CircuitBreaker {
        CircuitBreaker(
            failures: 2, of: 4, pause: .seconds(10), trials: trials, whileOpen: mode)
    }

    @Test func `opens, tries again, and closes`() {
        var machine = CircuitBreakerStateMachine(Self.breaker(.reject, trials: 2))
        func call(_ seconds: Double) -> Int? {
            guard case .call(let generation) = machine.admit(at: time(seconds)) else { return nil }
            return generation
        }
        for outcome in [true, false, false, false] {
            machine.report(outcome, generation: call(0) ?? -1, at: time(0))
        }
        // The failure is out of the window by now.
        machine.report(true, generation: call(0) ?? -1, at: time(0))
        let old = call(0) ?? -1
        machine.report(true, generation: call(1) ?? -1, at: time(1))
        #expect(machine.state == .open(until: time(11)))
        #expect(call(10) == nil)
        let first = call(11)
        let second = call(11)
        #expect(first != nil && second != nil && call(11) == nil)
        machine.report(false, generation: first ?? -1, at: time(12))
        // A call of before says nothing about now.
        machine.report(true, generation: old, at: time(12))
        #expect(machine.state == .halfOpen(underWay: 1, succeeded: 1))
        machine.report(false, generation: second ?? -1, at: time(12))
        #expect(machine.state == .closed(outcomes: 0))
    }

    /// Calls fail for the events 1 to 3.
    private func run(
        _ mode: CircuitBreaker.Mode, retry: RetryPolicy = .none
    ) throws -> (
        test: TopologyTest, input: SourceProbe<Int>, out: SinkProbe<Int>, aside: SinkProbe<Int>,
        calls: Calls
    ) {
        let input = SourceProbe<Int>()
        let (out, aside) = (SinkProbe<Int>("out"), SinkProbe<Int>("aside"))
        let calls = Calls()
        let test = try TopologyTest(
            Topology("breaker") {
                let guarded = EventStream("in", from: input.source)
                    .mapAsync(
                        breaker: Self.breaker(mode), inFlight: 1, retry: retry, name: "calls"
                    ) { event throws(Away) in
                        calls.made.withLock { $0.append(event) }
                        if (1...3).contains(event), calls.isAway.withLock({ $0 }) { throw Away() }
                        return event
                    }
                guarded.results.recover(from: Away.self) { _ in .skip }.sink(out.sink)
                guarded.rejected.sink(aside.sink)
            })
        return (test, input, out, aside, calls)
    }

    private final class Calls: Sendable {
        let made = Mutex<[Int]>([])
        let isAway = Mutex(true)
    }

    @Test func `rejects events while it is open`() throws {
        let (test, input, out, aside, calls) = try run(.reject)
        for event in 0...5 { input.send(event) }
        try test.run()
        #expect(out.received == [0])
        #expect(aside.received == [3, 4, 5])
        #expect(calls.made.withLock { $0 } == [0, 1, 2])
        try test.advance(by: .seconds(10))
        input.send(6)
        input.send(7)
        try test.run()
        #expect(out.received == [0, 6, 7])
    }

    @Test func `has events wait while it is open`() throws {
        let (test, input, out, aside, calls) = try run(.wait)
        for event in 0...5 { input.send(event) }
        try test.run()
        #expect(out.received == [0])
        calls.isAway.withLock { $0 = false }
        try test.advance(by: .seconds(9))
        #expect(out.received == [0])
        try test.advance(by: .seconds(1))
        #expect(out.received == [0, 3, 4, 5])
        #expect(aside.received == [])
    }
}

@Suite struct `Balance` {
    @Test func `spreads a stream over its workers and loses nothing`() async throws {
        let (events, running) = try await run(batchSize: 4) {
            EventStream("in", from: .collection(0..<1_000))
                .balance(over: 3, name: "worker") { $0.map { $0 * 2 } }
        }
        #expect(events.sorted() == (0..<1_000).map { $0 * 2 })
        let counts = running.status().stages.filter { $0.name.hasPrefix("worker-") }
        #expect(counts.count == 3)
        #expect(counts.allSatisfy { $0.eventsIn > 0 })
    }

    @Test func `keeps event time behind the slowest worker`() async throws {
        let readings = (0..<200).map { Reading($0 % 3, $0, at: Double($0)) }
        let sums = try await collect(batchSize: 8) {
            EventStream("in", from: .collection(readings)).eventTime(\.at, .monotonic.neverIdle)
                .balance(over: 2) { $0.map { $0 } }
                .keyed(by: \.key).window(.tumbling(.seconds(50))).aggregate(.count())
                .map(\.value)
        }
        #expect(sums.reduce(0, +) == 200)
    }
}
