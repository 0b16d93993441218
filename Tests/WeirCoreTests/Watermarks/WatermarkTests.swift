import Testing

@testable import WeirCore

@Suite struct `A watermark` {
    @Test func `stays behind the latest event by the bound and one nanosecond`() {
        var watermark = BoundedWatermark(bound: .seconds(5))
        #expect(watermark.advance(to: time(10))?.nanoseconds == 4_999_999_999)
        #expect(watermark.advance(to: time(8))?.nanoseconds == 4_999_999_999)
        #expect(watermark.advance(to: time(-20))?.nanoseconds == 4_999_999_999)
        #expect(watermark.advance(to: time(20))?.nanoseconds == 14_999_999_999)
    }

    @Test func `is reported only when it has advanced`() {
        var tracker = WatermarkTracker(Idleness())
        #expect(tracker.received(time(1), now: time(100)) == time(1))
        #expect(tracker.received(time(1), now: time(100)) == nil)
        #expect(tracker.received(nil, now: time(100)) == nil)
        #expect(tracker.received(time(0), now: time(100)) == nil)
        #expect(tracker.received(time(2), now: time(100)) == time(2))
    }

    @Test func `is given up to idleness after the time without events`() {
        var tracker = WatermarkTracker(Idleness(quiet: .seconds(30), advances: false))
        #expect(tracker.nextCheck(now: time(0)) == nil)
        _ = tracker.received(time(1), now: time(100))
        #expect(tracker.nextCheck(now: time(100)) == time(130))
        _ = tracker.received(time(2), now: time(110))
        #expect(tracker.timePassed(now: time(130)) == (nil, false))
        #expect(tracker.nextCheck(now: time(130)) == time(140))
        #expect(tracker.timePassed(now: time(140)) == (nil, true))
        #expect(tracker.nextCheck(now: time(140)) == nil)
        #expect(tracker.timePassed(now: time(150)) == (nil, false))
        _ = tracker.received(time(3), now: time(200))
        #expect(tracker.nextCheck(now: time(200)) == time(230))
    }

    @Test func `is not given up for time in which nothing could come`() {
        var tracker = WatermarkTracker(Idleness(quiet: .seconds(30), advances: false))
        _ = tracker.received(time(1), now: time(100))
        tracker.note(.init(total: .seconds(20), free: .zero), now: time(130))
        #expect(tracker.timePassed(now: time(130)) == (nil, false))
        #expect(tracker.nextCheck(now: time(130)) == time(150))
        tracker.note(.init(total: .seconds(25), free: .seconds(5)), now: time(150))
        #expect(tracker.timePassed(now: time(150)) == (nil, false))
        tracker.note(.init(total: .seconds(25), free: .seconds(10)), now: time(155))
        #expect(tracker.timePassed(now: time(155)) == (nil, true))
        // What was before an event does not count.
        _ = tracker.received(time(2), now: time(200))
        tracker.note(.init(total: .seconds(60), free: .seconds(12)), now: time(210))
        #expect(tracker.nextCheck(now: time(210)) == time(230))
        tracker.note(.init(total: .seconds(90), free: .seconds(5)), now: time(220))
        #expect(tracker.nextCheck(now: time(220)) == time(245))
    }

    @Test func `goes on with the clock only while something could come`() {
        var tracker = WatermarkTracker(Idleness(quiet: .seconds(10), advances: true))
        _ = tracker.received(time(50), now: time(100))
        #expect(tracker.timePassed(now: time(110)) == (time(60), true))
        tracker.note(.init(total: .seconds(4), free: .seconds(1)), now: time(115))
        #expect(tracker.timePassed(now: time(115)) == (time(61), true))
    }

    @Test func `goes on with the clock while idle when asked to`() {
        var tracker = WatermarkTracker(Idleness(quiet: .seconds(10), advances: true))
        _ = tracker.received(time(50), now: time(100))
        #expect(tracker.timePassed(now: time(110)) == (time(60), true))
        #expect(tracker.nextCheck(now: time(110)) == time(111))
        #expect(tracker.timePassed(now: time(111)) == (time(61), true))
        #expect(tracker.received(time(55), now: time(112)) == nil)
        #expect(tracker.received(time(62), now: time(113)) == time(62))
    }

    @Test func `never becomes idle when told so`() {
        var tracker = WatermarkTracker(Idleness(quiet: nil, advances: false))
        _ = tracker.received(time(50), now: time(100))
        #expect(tracker.nextCheck(now: time(100)) == nil)
        #expect(tracker.timePassed(now: time(1_000_000)) == (nil, false))
    }

    @Test func `of merged inputs is that of the slowest one that is not idle`() {
        var channels = InputChannels(count: 3)
        #expect(channels.received(.watermark(time(10)), on: 0) == .none)
        #expect(channels.received(.watermark(time(5)), on: 1) == .none)
        #expect(channels.received(.idle, on: 2) == .watermark(time(5)))
        #expect(channels.received(.idle, on: 1) == .watermark(time(10)))
        #expect(channels.received(.watermark(time(7)), on: 2) == .none)
        #expect(channels.received(.watermark(time(20)), on: 0) == .none)
        #expect(channels.received(.end, on: 2) == .watermark(time(20)))
        #expect(channels.received(.end, on: 0) == .idle(after: nil))
    }

    struct Watermarks: KeyedHandler {
        func initialState(for key: Int) -> Int { 0 }
        func on(_ event: Reading, state: inout Int, _ context: inout Context<Int, EventTime>) {
            context.emit(context.watermark)
        }
    }

    struct EveryThird: WatermarkGenerator {
        var count = 0
        var latest: EventTime?
        mutating func observe(_ event: Reading, at time: EventTime) {
            count += 1
            if count % 3 == 0 { latest = time }
        }
        mutating func watermark(now: EventTime) -> EventTime? { latest }
    }

    @Test(arguments: [
        (WatermarkStrategy<Reading>.monotonic, [nil, 0, 1, 2, 3, 4]),
        (.boundedOutOfOrderness(.seconds(2)), [nil, -2, -1, 0, 1, 2]),
        (.punctuated { $0.value % 2 == 0 ? $0.at : nil }, [nil, 0, 0, 2, 2, 4]),
        (.custom { EveryThird() }, [nil, nil, nil, 2, 2, 2]),
    ])
    func `follows the strategy`(
        strategy: WatermarkStrategy<Reading>, seconds: [Int?]
    ) async throws {
        let readings = (0..<6).map { Reading(1, $0, at: Double($0)) }
        let received = try await collect(batchSize: 1) {
            EventStream("in", from: .collection(readings)).eventTime(\.at, strategy)
                .keyed(by: \.key).handle("watermarks") { Watermarks() }
        }
        let behind: Int64 = strategy.isBounded ? 1 : 0
        #expect(
            received
                == seconds.map { seconds in
                    guard let seconds else { return .min }
                    return EventTime(nanoseconds: Int64(seconds) * 1_000_000_000 - behind)
                })
    }

    @Test func `goes back with a batch that fails`() async throws {
        struct Refusal: Error {}
        let readings = [Reading(1, 1, at: 1), Reading(1, 2, at: 100), Reading(1, 13, at: 2)]
        let (received, _) = try await run {
            EventStream("in", from: .collection(readings)).eventTime(\.at, .monotonic)
                .map { (reading) throws(Refusal) in
                    if reading.value == 13 { throw Refusal() }
                    return reading
                }
                .keyed(by: \.key).handle("watermarks") { Watermarks() }
        }
        #expect(received.first == .min)
        #expect(received.count == 2)
    }

    @Test func `is not moved by events that are too far ahead`() async throws {
        let readings = [Reading(1, at: 1), Reading(1, at: 1_000_000), Reading(1, at: 2)]
        let (received, running) = try await run(batchSize: 1, clock: JumpingClock(start: time(0))) {
            EventStream("in", from: .collection(readings))
                .eventTime(
                    \.at, WatermarkStrategy.monotonic.maximumAhead(.seconds(3_600)).neverIdle
                ).keyed(by: \.key).handle("watermarks") { Watermarks() }
        }
        #expect(received == [.min, EventTime(nanoseconds: 999_999_999)])
        #expect(running.deadLetters.total == 1)
    }

    @Test func `needs sensible arguments`() {
        for strategy: WatermarkStrategy<Reading> in [
            .boundedOutOfOrderness(.seconds(-1)), .monotonic.idle(after: .zero),
            .monotonic.maximumAhead(.seconds(-1)),
        ] {
            let topology = Topology("t") {
                EventStream("in", from: .collection([Reading(1, at: 1)])).eventTime(\.at, strategy)
                    .sink(.print)
            }
            #expect(throws: TopologyError.self) { try topology.validate() }
        }
    }
}

extension WatermarkStrategy<Reading> {
    /// Whether it subtracts the nanosecond that a bound implies.
    fileprivate var isBounded: Bool {
        let instance = make()
        let reading = Reading(1, 0, at: 0)
        let watermark = instance.observe(Batch([reading], times: [reading.at]), reading.at, .min)
        return watermark.map { $0.nanoseconds % 10 != 0 } ?? false
    }
}
