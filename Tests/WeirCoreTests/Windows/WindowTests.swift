import Synchronization
import Testing

@testable import WeirCore

@Suite(.everyStateBackend) struct `A window` {
    @Test func `costs nothing for stretches without events`() async throws {
        // A thousand years in milliseconds would be 3·10^13 windows.
        let readings = [Reading(1, 1, at: -4e9), Reading(1, 2, at: 0.5), Reading(1, 4, at: 4e9)]
        for window in [
            Window.tumbling(.milliseconds(1)), .sliding(.milliseconds(3), every: .milliseconds(1)),
        ] {
            let received = try await collect {
                EventStream("in", from: .collection(readings)).eventTime(\.at, .monotonic)
                    .keyed(by: \.key).window(window).aggregate(.sum(of: \.value))
            }
            let results = window == .tumbling(.milliseconds(1)) ? 3 : 9
            #expect(received.count == results)
            #expect(received.map(\.value).reduce(0, +) == 7 * results / 3)
        }
    }

    @Test func `takes events at the ends of time`() async throws {
        let readings = [EventTime.max, EventTime(nanoseconds: .min + 1), EventTime()].map { time in
            var reading = Reading(1, 1, at: 0)
            reading.at = time
            return reading
        }
        for window in [
            Window.tumbling(.seconds(1)), .sliding(.seconds(3), every: .seconds(1)),
            .session(gap: .seconds(1)), .cumulative(.seconds(3), step: .seconds(1)),
        ] {
            let received = try await collect {
                EventStream("in", from: .collection(readings)).eventTime(\.at)
                    .keyed(by: \.key).window(window).aggregate(.count())
            }
            #expect(received.count >= 2)
        }
    }

    @Test func `gives the results of one time in the order of the keys' first events`() async throws
    {
        let readings = [5, 3, 9, 3, 1, 5].map { Reading($0, 1, at: 1) }
        let received = try await collect {
            EventStream("in", from: .collection(readings)).eventTime(\.at).keyed(by: \.key)
                .window(.tumbling(.seconds(10))).aggregate(.count())
        }
        #expect(received.map(\.key) == [5, 3, 9, 1])
        #expect(received.map(\.value) == [2, 2, 1, 1])
    }

    @Test func `gives early results by count, accumulating or discarding`() async throws {
        let readings = (1...7).map { Reading(1, $0, at: Double($0)) }
        for (trigger, expected) in [
            (WindowTrigger.every(3), [6, 21, 28]), (.every(3, .discarding), [6, 15, 7]),
        ] {
            let received = try await collect {
                EventStream("in", from: .collection(readings)).eventTime(\.at).keyed(by: \.key)
                    .window(.tumbling(.seconds(10)), trigger: trigger)
                    .reduce(into: 0) { $0 += $1.value }
            }
            #expect(received.map(\.value) == expected)
            let global = try await collect {
                EventStream("in", from: .collection(readings)).keyed(by: \.key)
                    .window(.global(trigger: trigger)).reduce(into: 0) { $0 += $1.value }
            }
            #expect(global.map(\.value) == expected)
        }
    }

    @Test func `follows the clock when it is told to`() async throws {
        let out: Outlet<Windowed<Int, Int>> = "out"
        let (events, input) = AsyncStream<Int>.makeStream()
        let topology = Topology("t") {
            EventStream("in", from: .sequence(events)).keyed(by: { $0 })
                .window(.tumbling(.seconds(10)).processingTime).aggregate(.count())
                .sink(.outlet(out))
        }
        var configuration = RunConfiguration(seed: 1)
        configuration.metricsInterval = .zero
        configuration.clock = JumpingClock(start: time(103))
        let running = try await topology.start(configuration)
        var iterator = try running.output(out).makeAsyncIterator()
        input.yield(1)
        #expect(try await iterator.next()?.window == time(100)..<time(110))
        input.yield(1)
        #expect(try await iterator.next()?.window == time(110)..<time(120))
        input.finish()
        #expect(try await iterator.next() == nil)
    }

    @Test func `collects up to a bound`() async throws {
        let readings = (1...7).map { Reading(1, $0, at: Double($0)) }
        let received = try await collect {
            EventStream("in", from: .collection(readings)).eventTime(\.at).keyed(by: \.key)
                .window(.tumbling(.seconds(100))).collect(maximum: 3)
        }
        #expect(received.map(\.value.events) == [Array(readings[..<3])])
        #expect(received.map(\.value.omitted) == [4])
    }

    @Test func `keeps no state once its results are out`() async throws {
        // Every key is new; what stays would grow with the number of windows.
        let readings = (0..<20_000).map { Reading($0, 1, at: Double($0) / 10) }
        for window in [
            Window.tumbling(.seconds(1)), .sliding(.seconds(3), every: .seconds(1)),
            .session(gap: .seconds(1)),
        ] {
            let most = Most()
            _ = try await collect(batchSize: 64) {
                EventStream("in", from: .collection(readings)).eventTime(\.at, .monotonic)
                    .keyed(by: \.key).window(window, allowedLateness: .seconds(2))
                    .aggregate(.count()).watchingState(most)
            }
            #expect(most.keys > 0 && most.keys < 300)
        }
    }

    @Test func `refuses arguments that make no sense`() {
        for window in [
            Window.tumbling(.zero), .sliding(.seconds(1), every: .seconds(2)), .count(0),
            .sliding(.seconds(1), every: .zero), .session(gap: .seconds(-1)), .count(3, every: 4),
            .cumulative(.seconds(3), step: .seconds(2)), .global(trigger: .atEnd),
            .session(gap: .seconds(1)),
        ] {
            let topology = Topology("t") {
                EventStream("in", from: .collection([Reading(1, at: 1)])).eventTime(\.at)
                    .keyed(by: \.key).window(window).reduce(into: 0) { $0 += $1.value }
                    .sink(.print)
            }
            #expect(throws: TopologyError.self) { try topology.validate() }
        }
        let withoutTimes = Topology("t") {
            EventStream("in", from: .collection([Reading(1, at: 1)])).keyed(by: \.key)
                .window(.tumbling(.seconds(1))).aggregate(.count()).sink(.print)
        }
        #expect(throws: TopologyError.self) { try withoutTimes.validate() }
    }
}

/// The most keys that a stage was seen to hold.
// Safety: written by the one stage of a test and read after its run has ended.
final class Most: @unchecked Sendable {
    var keys = 0
}

extension EventStream {
    func watchingState(_ most: Most) -> EventStream {
        transform("watch", at: SourceLocation(#fileID, #line)) { scope, downstream in
            Receiver(
                batch: { batch in
                    scope.publishMetrics()
                    let keys = scope.metrics.stateKeys.load(ordering: .relaxed)
                    most.keys = Swift.max(most.keys, keys)
                    try downstream.batch(batch)
                }, signal: downstream.signal)
        }
    }
}
