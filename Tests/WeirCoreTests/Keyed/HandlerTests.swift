import Testing
import WeirCore

@Suite(.everyStateBackend) struct `A keyed handler` {
    struct Sum: KeyedHandler {
        func initialState(for key: Int) -> Int { 0 }
        func on(_ event: Reading, state: inout Int, _ context: inout Context<Int, [Int]>) {
            state += event.value
            context.emit([context.key, state])
        }
    }

    @Test(arguments: [1, 7, 512], [1, 4])
    func `keeps state per key and the order per key`(batchSize: Int, parallelism: Int) async throws
    {
        var random = SplitMix64(seed: 7)
        let readings = (0..<5_000).map { _ in
            Reading(.random(in: 0..<50, using: &random), .random(in: 0..<9, using: &random), at: 0)
        }
        let received = try await collect(batchSize: batchSize, parallelism: parallelism) {
            EventStream("in", from: .collection(readings)).keyed(by: \.key)
                .handle("sum") { Sum() }
        }
        var sums: [Int: Int] = [:]
        var expected: [Int: [Int]] = [:]
        for reading in readings {
            sums[reading.key, default: 0] += reading.value
            expected[reading.key, default: []].append(sums[reading.key, default: 0])
        }
        var found: [Int: [Int]] = [:]
        for pair in received { found[pair[0], default: []].append(pair[1]) }
        #expect(found == expected)
    }

    struct Alarm: KeyedHandler {
        func initialState(for key: Int) -> Int { 0 }
        func on(_ event: Reading, state: inout Int, _ context: inout Context<Int, [Double]>) {
            state += 1
            if event.value < 0 {
                context.cancelTimer(at: event.at.advanced(by: .seconds(10)))
            } else {
                context.setTimer(at: event.at.advanced(by: .seconds(event.value)))
            }
        }
        func onTimer(
            _ timer: FiredTimer, state: inout Int, _ context: inout Context<Int, [Double]>
        ) {
            let seconds = Double(timer.time.nanoseconds) / 1e9
            context.emit([Double(context.key), seconds, Double(state)])
        }
    }

    @Test func `fires event-time timers in time order once the watermark is there`() async throws {
        let received = try await collect(batchSize: 1) {
            EventStream.script([
                Reading(1, 10, at: 1), Reading(2, 5, at: 2), Reading(3, 100, at: 3),
                .watermark(6.9), Reading(2, 1, at: 7.5), .watermark(7), .watermark(20),
                Reading(3, 1, at: 30),
            ]).keyed(by: \.key).handle("alarm") { Alarm() }
        }
        #expect(received == [[2, 7, 2], [2, 8.5, 2], [1, 11, 1], [3, 31, 2], [3, 103, 2]])
    }

    @Test func `does not fire a timer that was cancelled`() async throws {
        let received = try await collect(batchSize: 1) {
            EventStream.script([
                Reading(1, 10, at: 1), Reading(1, -1, at: 1), Reading(2, 10, at: 1), .watermark(50),
            ]).keyed(by: \.key).handle("alarm") { Alarm() }
        }
        #expect(received == [[2, 11, 1]])
    }

    @Test func `fires a timer that is late when it is set after the batch`() async throws {
        let received = try await collect(batchSize: 1) {
            EventStream.script([
                .watermark(100), Reading(1, 10, at: 1), Reading(2, 200, at: 1),
            ]).keyed(by: \.key).handle("alarm") { Alarm() }
        }
        #expect(received == [[1, 11, 1], [2, 201, 1]])
    }

    @Test func `ends although its timers set new ones`() async throws {
        let received = try await collect(batchSize: 1) {
            EventStream.script([Reading(1, at: 0), .watermark(3.5)]).keyed(by: \.key)
                .handle("periodic") { Periodic() }
        }
        #expect(received == [1, 2, 3, 4].map { time($0) })
    }

    @Test func `sends timers' events on before the watermark`() async throws {
        // The second handler would see 20 if the watermark had gone ahead of the timers' events.
        struct Watermarks: KeyedHandler {
            func initialState(for key: Int) -> Int { 0 }
            func on(_ event: [Double], state: inout Int, _ context: inout Context<Int, Bool>) {
                context.emit(context.watermark < context.eventTime)
            }
        }
        let received = try await collect(batchSize: 1) {
            EventStream.script(
                (0..<100).map { Reading($0, 10, at: 1) } + [.watermark(5), .watermark(20)]
            ).keyed(by: \.key).handle("alarm") { Alarm() }
                .keyed(by: { Int($0[0]) }).handle("watermarks") { Watermarks() }
        }
        #expect(received == Array(repeating: true, count: 100))
    }

    struct Fussy: KeyedHandler {
        struct Refusal: Error {}
        func initialState(for key: Int) -> [Int] { [] }
        func on(
            _ event: Reading, state: inout [Int], _ context: inout Context<Int, [Int]>
        ) throws(Refusal) {
            state.append(event.value)
            context.emit(state)
            context.setTimer(at: time(Double(event.value)))
            context.emit(event.value, to: SideOutput<Int>("values"))
            if event.value == 13 { throw Refusal() }
        }
        func onTimer(
            _ timer: FiredTimer, state: inout [Int], _ context: inout Context<Int, [Int]>
        ) throws(Refusal) {
            context.emit([-1, Int(timer.time.nanoseconds / 1_000_000_000)])
            if timer.time == time(7) { throw Refusal() }
        }
    }

    @Test func `takes back all that a failing event did, and nothing else`() async throws {
        let readings = (1...20).map { Reading($0 % 2, $0, at: 0.5) }
        let (received, running) = try await run {
            EventStream("in", from: .collection(readings)).eventTime(\.at).keyed(by: \.key)
                .handle("fussy") { Fussy() }
        }
        let states = received.filter { $0[0] > 0 }
        #expect(states.last { $0[0] == 1 } == (1...20).filter { $0 % 2 == 1 && $0 != 13 })
        #expect(states.last { $0[0] == 2 } == (1...20).filter { $0 % 2 == 0 })
        #expect(states.count == 19)
        let timers = received.filter { $0[0] == -1 }.map { $0[1] }
        #expect(timers == (1...20).filter { $0 != 13 && $0 != 7 })
        #expect(running.deadLetters.total == 2)
    }

    @Test func `sends to several side outputs by name and type`() async throws {
        struct Split: KeyedHandler {
            func initialState(for key: Int) -> Int { 0 }
            func on(_ event: Reading, state: inout Int, _ context: inout Context<Int, Int>) {
                context.emit(event.value)
                if event.value % 2 == 0 { context.emit(event.value, to: SideOutput<Int>("even")) }
                if event.value % 3 == 0 {
                    context.emit("\(event.value)", to: SideOutput<String>("third"))
                }
            }
        }
        let readings = (0..<30).map { Reading(1, $0, at: 0) }
        let even: Outlet<Int> = "even"
        let third: Outlet<String> = "third"
        let topology = Topology("t") {
            let handled = EventStream("in", from: .collection(readings)).keyed(by: \.key)
                .handle("split") { Split() }
            handled.map { $0 }.sideOutput(SideOutput<Int>("even")).sink(.outlet(even))
            handled.sideOutput(SideOutput<String>("third")).sink(.outlet(third))
        }
        let running = try await topology.start()
        async let evens = running.output(even).reduce(into: []) { $0.append($1) }
        async let thirds = running.output(third).reduce(into: []) { $0.append($1) }
        #expect(try await evens == (0..<30).filter { $0 % 2 == 0 })
        #expect(try await thirds == (0..<30).filter { $0 % 3 == 0 }.map { "\($0)" })
        try await running.waitUntilFinished()
    }

    @Test func `refuses a side output without a handler`() {
        let topology = Topology("t") {
            EventStream("in", from: .collection([1])).sideOutput(SideOutput<Int>("x")).sink(.print)
        }
        #expect(throws: TopologyError.self) { try topology.validate() }
    }

    @Test func `forgets state that is cleared or has outlived its time`() async throws {
        struct Counter: KeyedHandler {
            func initialState(for key: Int) -> Int { 0 }
            func on(_ event: Reading, state: inout Int, _ context: inout Context<Int, Int>) {
                state += 1
                context.emit(state)
                if event.value == 99 { context.clearState() }
            }
        }
        let received = try await collect(batchSize: 1) {
            EventStream.script([
                Reading(1, at: 0), Reading(1, at: 9), Reading(1, at: 20), Reading(1, 99, at: 21),
                Reading(1, at: 22), .watermark(100), Reading(1, at: 101),
            ]).keyed(by: \.key).handle("counter", ttl: StateTTL(.seconds(10))) { Counter() }
        }
        #expect(received == [1, 2, 1, 2, 1, 1])
    }

    @Test func `fires processing-time timers by the clock of the run`() async throws {
        struct Delay: KeyedHandler {
            func initialState(for key: Int) -> Int { 0 }
            func on(_ event: Int, state: inout Int, _ context: inout Context<Int, EventTime>) {
                context.setTimer(at: context.now.advanced(by: .seconds(5)), in: .processingTime)
            }
            func onTimer(
                _ timer: FiredTimer, state: inout Int, _ context: inout Context<Int, EventTime>
            ) {
                context.emit(context.now)
            }
        }
        let out: Outlet<EventTime> = "out"
        let (events, input) = AsyncStream<Int>.makeStream()
        let topology = Topology("t") {
            EventStream("in", from: .sequence(events)).keyed(by: { $0 })
                .handle("delay") { Delay() }.sink(.outlet(out))
        }
        var configuration = RunConfiguration(seed: 1)
        configuration.metricsInterval = .zero
        configuration.clock = JumpingClock(start: time(100))
        let running = try await topology.start(configuration)
        input.yield(1)
        var iterator = try running.output(out).makeAsyncIterator()
        #expect(try await iterator.next() == time(105))
        input.yield(2)
        #expect(try await iterator.next() == time(110))
        input.finish()
        #expect(try await iterator.next() == nil)
    }
}

@Suite(.everyStateBackend) struct `Keyed state without a handler` {
    @Test(arguments: [1, 4]) func `scans, reduces and finds what is new`(parallelism: Int)
        async throws
    {
        let readings = (0..<1_000).map { Reading($0 % 10, $0 / 100, at: Double($0)) }
        let source = EventStream("in", from: .collection(readings)).eventTime(\.at)
        let sums = try await collect(parallelism: parallelism) {
            source.keyed(by: \.key).reduce(into: 0) { $0 += $1.value }
        }
        #expect(sums.filter { $0.key == 3 }.last?.value == 450)
        let scanned = try await collect(parallelism: parallelism) {
            source.keyed(by: \.key).scan(into: 0) { count, _ in
                count += 1
                return count
            }
        }
        #expect(scanned.filter { $0 == 100 }.count == 10)
        let changes = try await collect(parallelism: parallelism) {
            source.keyed(by: \.key).changes(of: \.value)
        }
        #expect(changes.count == 100)
        let distinct = try await collect(parallelism: parallelism) {
            source.keyed(by: \.key).distinct()
        }
        #expect(distinct.map(\.at).sorted() == (0..<10).map { time(Double($0)) })
        let again = try await collect(batchSize: 1, parallelism: parallelism) {
            source.keyed(by: \.key).distinct(ttl: StateTTL(.seconds(500)))
        }
        #expect(again.count == 20)
    }
}
