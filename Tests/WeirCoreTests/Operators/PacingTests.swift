import Synchronization
import Testing
import WeirCore
import WeirTesting

@Suite struct `Pacing events` {
    private struct Bench {
        let numbers = SourceProbe<Int>()
        let sink = SinkProbe<[Int]>()
        let test: TopologyTest

        init(
            seed: UInt64 = 0, _ build: (EventStream<Int>) -> EventStream<[Int]>
        ) throws {
            let (numbers, sink) = (numbers, sink)
            test = try TopologyTest(
                Topology("t") {
                    build(EventStream("in", from: numbers.source)).sink(sink.sink)
                }, seed: seed)
        }

        var received: [[Int]] { sink.received }

        func dropped(_ reason: DropReason) -> Int {
            test.running.instances.joined().reduce(0) {
                $0 + $1.metrics.droppedByReason[reason, default: 0]
            }
        }
    }

    private static func single(_ value: Int) -> [Int] { [value] }

    @Test func `throttle delays what comes too fast, in order and without loss`() throws {
        let bench = try Bench {
            $0.throttle(events: 2, per: .seconds(1)).map(Self.single)
        }
        bench.numbers.send(1, 2, 3, 4, 5)
        try bench.test.run()
        #expect(bench.received == [[1], [2]])
        try bench.test.advance(by: .milliseconds(499))
        #expect(bench.received.count == 2)
        try bench.test.advance(by: .milliseconds(1))
        #expect(bench.received == [[1], [2], [3]])
        try bench.test.advance(by: .seconds(1))
        #expect(bench.received == [[1], [2], [3], [4], [5]])
    }

    @Test func `throttle suspends the source while events wait`() throws {
        let bench = try Bench {
            $0.mailbox(.bounded(4)).throttle(events: 1, per: .seconds(1)).mailbox(.bounded(4))
                .map(Self.single)
        }
        bench.numbers.send(contentsOf: 0..<1_000)
        bench.numbers.finish()
        try bench.test.run()
        #expect(bench.numbers.pending > 900)
        try bench.test.advance(by: .seconds(1_000))
        try bench.test.finish()
        #expect(bench.received == (0..<1_000).map { [$0] })
    }

    @Test func `throttle lets the events that wait at the end pass at their time`() throws {
        let bench = try Bench {
            $0.throttle(events: 1, per: .seconds(1)).map(Self.single)
        }
        bench.numbers.send(1, 2)
        bench.numbers.finish()
        try bench.test.run()
        #expect(bench.received == [[1]])
        try bench.test.advance(by: .seconds(1))
        #expect(bench.received == [[1], [2]])
        try bench.test.finish()
    }

    @Test func `throttle never holds the last event for ever`() throws {
        let bench = try Bench {
            $0.throttle(events: 1, per: .seconds(1), mode: .latest).map(Self.single)
        }
        bench.numbers.send(1)
        try bench.test.run()
        bench.numbers.send(2)
        try bench.test.run()
        bench.numbers.send(3)
        try bench.test.run()
        #expect(bench.received == [[1]])
        try bench.test.advance(by: .seconds(1))
        #expect(bench.received == [[1], [3]])
        #expect(bench.dropped(.throttled) == 1)
        bench.numbers.send(4)
        bench.numbers.finish()
        try bench.test.finish()
        #expect(bench.received == [[1], [3], [4]])
    }

    @Test func `throttle drops the newest`() throws {
        let bench = try Bench {
            $0.throttle(events: 2, per: .seconds(1), mode: .dropNewest).map(Self.single)
        }
        bench.numbers.send(Batch([1, 2, 3, 4]))
        try bench.test.advance(by: .seconds(10))
        #expect(bench.received == [[1], [2]])
        #expect(bench.dropped(.throttled) == 2)
    }

    @Test func `throttle drops the oldest`() throws {
        let bench = try Bench {
            $0.throttle(events: 2, per: .seconds(1), mode: .dropOldest).map(Self.single)
        }
        bench.numbers.send(Batch([1, 2, 3, 4, 5]))
        try bench.test.advance(by: .seconds(10))
        #expect(bench.received == [[1], [2], [4], [5]])
        #expect(bench.dropped(.throttled) == 1)
    }

    @Test func `debounce emits the last event after a quiet time`() throws {
        let bench = try Bench { $0.debounce(.seconds(1)).map(Self.single) }
        bench.numbers.send(1)
        try bench.test.advance(by: .milliseconds(900))
        bench.numbers.send(2)
        try bench.test.advance(by: .milliseconds(999))
        #expect(bench.received == [])
        try bench.test.advance(by: .milliseconds(1))
        #expect(bench.received == [[2]])
        #expect(bench.dropped(.debounced) == 1)
    }

    @Test func `debounce emits the event that waits at the end`() throws {
        let bench = try Bench { $0.debounce(.seconds(1)).map(Self.single) }
        bench.numbers.send(1)
        bench.numbers.finish()
        try bench.test.finish()
        #expect(bench.received == [[1]])
    }

    @Test func `sample emits the newest event of each interval, and none twice`() throws {
        let bench = try Bench { $0.sample(every: .seconds(1)).map(Self.single) }
        bench.numbers.send(1, 2)
        try bench.test.advance(by: .milliseconds(400))
        bench.numbers.send(3)
        try bench.test.advance(by: .milliseconds(600))
        #expect(bench.received == [[3]])
        try bench.test.advance(by: .seconds(5))
        #expect(bench.received == [[3]])
        bench.numbers.send(4)
        try bench.test.advance(by: .seconds(1))
        #expect(bench.received == [[3], [4]])
        #expect(bench.dropped(.sampled) == 2)
    }

    @Test func `chunked emits full chunks and the open one at the end`() throws {
        let bench = try Bench { $0.chunked(count: 3) }
        bench.numbers.send(contentsOf: 0..<7)
        try bench.test.advance(by: .seconds(100))
        #expect(bench.received == [[0, 1, 2], [3, 4, 5]])
        bench.numbers.finish()
        try bench.test.finish()
        #expect(bench.received == [[0, 1, 2], [3, 4, 5], [6]])
    }

    @Test func `chunked emits an open chunk when its first event has waited`() throws {
        let bench = try Bench { $0.chunked(count: 3, within: .seconds(1)) }
        bench.numbers.send(1)
        try bench.test.advance(by: .milliseconds(600))
        bench.numbers.send(2)
        try bench.test.advance(by: .milliseconds(399))
        #expect(bench.received == [])
        try bench.test.advance(by: .milliseconds(1))
        #expect(bench.received == [[1, 2]])
        bench.numbers.send(3, 4, 5)
        try bench.test.run()
        #expect(bench.received == [[1, 2], [3, 4, 5]])
        try bench.test.advance(by: .seconds(10))
        #expect(bench.received.count == 2)
    }

    @Test func `a watermark waits for the event that waits`() throws {
        let numbers = SourceProbe<Int>()
        let sink = SinkProbe<Int>()
        let test = try TopologyTest(
            Topology("t") {
                EventStream("in", from: numbers.source).debounce(.seconds(1)).sink(sink.sink)
            })
        let stage = try #require(test.running.instances.last?.first)
        numbers.send(1, at: EventTime(milliseconds: 5))
        numbers.sendWatermark(EventTime(milliseconds: 10))
        try test.run()
        #expect(stage.metrics.watermark.load(ordering: .relaxed) == Int64.min)
        try test.advance(by: .seconds(1))
        #expect(stage.metrics.watermark.load(ordering: .relaxed) == 10_000_000)
        #expect(sink.times == [EventTime(milliseconds: 5)])
    }

    @Test func `an event that fails behind a timer is handled alone`() throws {
        struct Bad: Error {}
        let bench = try Bench {
            $0.throttle(events: 3, per: .seconds(1), mode: .dropOldest)
                .map { (value) throws(Bad) in
                    if value == 5 { throw Bad() }
                    return [value]
                }
        }
        bench.numbers.send(Batch([1, 2, 3, 4, 5, 6]))
        try bench.test.advance(by: .seconds(10))
        #expect(bench.received == [[1], [2], [3], [4], [6]])
        #expect(bench.test.running.deadLetters.letters.map { $0.event as? Int } == [5])
    }

    @Test(arguments: TopologyTest.seeds(10))
    func `conflate merges while the next stage is full and loses nothing`(seed: UInt64) throws {
        let numbers = SourceProbe<Int>()
        let sink = SinkProbe<Int>()
        sink.pause()
        let test = try TopologyTest(
            Topology("t") {
                EventStream("in", from: numbers.source).conflate { $0 + $1 }
                    .stage("slow").mailbox(.bounded(1)).sink(sink.sink)
            }, seed: seed)
        numbers.send(contentsOf: 1...2_000)
        numbers.finish()
        try test.run()
        #expect(numbers.pending == 0, "the source is never held up, \(test)")
        sink.resume()
        try test.finish()
        #expect(sink.received.reduce(0, +) == 2_000 * 2_001 / 2, "\(test)")
        #expect(sink.received.count < 2_000)
        let merged = test.running.instances.joined().reduce(0) {
            $0 + $1.metrics.droppedByReason[.conflated, default: 0]
        }
        #expect(merged == 2_000 - sink.received.count, "\(test)")
    }
}

@Suite struct `A token bucket` {
    @Test func `brings exactly its rate over a long time`() {
        var bucket = TokenBucket(events: 3, per: .seconds(1), burst: 1)
        var now = EventTime()
        var taken = 0
        while now.nanoseconds < 1_000_000_000_000 {
            taken += bucket.take(1, at: now)
            now = bucket.nextToken(after: now)
        }
        #expect(taken == 3_000)
    }

    @Test func `never holds more than its burst`() {
        var bucket = TokenBucket(events: 10, per: .seconds(1), burst: 5)
        #expect(bucket.take(100, at: EventTime()) == 5)
        #expect(bucket.take(100, at: EventTime(milliseconds: 3_600_000)) == 5)
        #expect(bucket.take(100, at: .max) == 5)
    }

    @Test func `is not confused by a clock that steps back`() {
        var bucket = TokenBucket(events: 1, per: .seconds(1), burst: 1)
        #expect(bucket.take(1, at: EventTime(milliseconds: 10_000)) == 1)
        #expect(bucket.take(1, at: EventTime(milliseconds: 0)) == 0)
        #expect(bucket.take(1, at: EventTime(milliseconds: 10_500)) == 0)
        #expect(bucket.take(1, at: EventTime(milliseconds: 11_000)) == 1)
    }
}
