import Testing
import WeirCore
import WeirTesting

private struct Gap: KeyedHandler {
    struct State: Codable, Sendable {
        var count = 0
        var sum = 0
    }

    var domain = TimeDomain.eventTime

    func initialState(for key: Int) -> State { State() }

    func on(_ event: Reading, state: inout State, _ context: inout Context<Int, String>) {
        state.count += 1
        state.sum += event.value
        let time = domain == .eventTime ? event.at : context.now
        context.setTimer(at: time.advanced(by: .nanoseconds(15)), in: domain)
        if state.count % 5 == 0 { context.clearState() }
        context.emit("\(context.key) on \(state.count) \(state.sum)")
    }

    func onTimer(_ timer: FiredTimer, state: inout State, _ context: inout Context<Int, String>) {
        context.emit("\(context.key) at \(timer.time.nanoseconds) \(state.sum)")
    }
}

@Suite(.everyStateBackend) struct `Keyed state goes on from a checkpoint` {
    private let readings = randomReadings(seed: 21, count: 80)

    /// In event time they are this far apart too.
    private var spaced: [RunStep<Reading>] { readings.steps(seed: 2, upTo: .nanoseconds(8)) }

    private func expectSame(
        _ steps: [RunStep<Reading>]? = nil,
        sourceLocation: Testing.SourceLocation = #_sourceLocation,
        _ build: @escaping @Sendable (EventStream<Reading>) -> EventStream<String>
    ) throws {
        try Continuation(
            group: { Int($0.prefix(1)) ?? -1 }, rescales: true, build: build
        ).expectSame(steps ?? readings.steps, sourceLocation: sourceLocation)
    }

    @Test func `with timers in event time`() throws {
        try expectSame {
            $0.eventTime(\.at, .boundedOutOfOrderness(.nanoseconds(10))).keyed(by: \.key)
                .handle("gap") { Gap() }
        }
    }

    @Test func `with timers in processing time`() throws {
        try expectSame(spaced) {
            $0.keyed(by: \.key).handle("gap") { Gap(domain: .processingTime) }
        }
    }

    @Test func `and a timer fires although no event follows`() throws {
        try expectSame([.event(Reading(1, at: 0)), .advance(.seconds(1))]) {
            $0.keyed(by: \.key).handle("gap") { Gap(domain: .processingTime) }
        }
    }

    @Test func `and expires when it is due`() throws {
        let ttl = StateTTL(.nanoseconds(20))
        try expectSame {
            $0.eventTime(\.at, .boundedOutOfOrderness(.nanoseconds(10))).keyed(by: \.key)
                .handle("gap", ttl: ttl) { Gap() }
        }
        try expectSame(spaced) {
            $0.keyed(by: \.key).reduce(into: 0, ttl: ttl) { $0 += $1.value }
                .map { "\($0.key) \($0.value)" }
        }
        try expectSame(spaced) {
            $0.keyed(by: \.key).distinct(ttl: ttl).map { "\($0.key) \($0.value)" }
        }
    }

    @Test func `scan, reduce, distinct and changes`() throws {
        try expectSame {
            $0.keyed(by: \.key).scan(into: [Int]()) { values, reading in
                values.append(reading.value)
                return "\(reading.key) \(values)"
            }
        }
        try expectSame {
            $0.keyed(by: { $0.value % 9 }).distinct().map { "\($0.value % 9) \($0.value)" }
        }
        try expectSame {
            $0.keyed(by: \.key).changes(of: { $0.value % 2 }).map { "\($0.key) \($0.value)" }
        }
        try expectSame {
            $0.keyed(by: \.key).changes(of: { $0.value % 3 == 0 ? nil : 1 as Int? })
                .map { "\($0.key) \($0.value)" }
        }
    }
}
