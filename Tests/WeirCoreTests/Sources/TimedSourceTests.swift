import Testing
import WeirCore
import WeirTesting

@Suite struct `Sources of time` {
    @Test func `ticks come at regular times and don't drift`() throws {
        let sink = SinkProbe<EventTime>()
        let test = try TopologyTest(
            Topology("t") {
                EventStream("in", from: .ticks(every: .milliseconds(250))).sink(sink.sink)
            })
        try test.advance(by: .seconds(1))
        #expect(sink.received == [250, 500, 750, 1_000].map { EventTime(milliseconds: $0) })
        try test.drain()
    }

    @Test func `ticks end after their count`() throws {
        let sink = SinkProbe<EventTime>()
        let test = try TopologyTest(
            Topology("t") {
                EventStream("in", from: .ticks(every: .seconds(1), count: 3)).sink(sink.sink)
            })
        try test.advance(by: .seconds(100))
        try test.finish()
        #expect(sink.received.count == 3)
    }

    @Test func `a rate is kept and each event carries its time`() throws {
        let sink = SinkProbe<Int>()
        let test = try TopologyTest(
            Topology("t") {
                EventStream("in", from: .rate(perSecond: 3, count: 7) { $0 }).sink(sink.sink)
            })
        try test.advance(by: .seconds(1))
        #expect(sink.received == [0, 1, 2, 3])
        #expect(
            sink.times
                == [0, 333_333_333, 666_666_667, 1_000_000_000].map {
                    EventTime(nanoseconds: $0)
                })
        try test.advance(by: .seconds(1))
        try test.finish()
        #expect(sink.received == Array(0..<7))
    }

    @Test func `a rate catches up after the mailbox was full`() throws {
        let sink = SinkProbe<Int>()
        sink.pause()
        var configuration = TopologyTest.configuration
        configuration.batchSize = 8
        let test = try TopologyTest(
            Topology("t") {
                EventStream("in", from: .rate(perSecond: 100_000, count: 100_000) { $0 })
                    .sink(sink.sink)
            }, configuration: configuration)
        try test.advance(by: .milliseconds(600))
        sink.resume()
        try test.advance(by: .milliseconds(400))
        try test.finish()
        #expect(sink.received == Array(0..<100_000))
    }
}
