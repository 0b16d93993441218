import Testing
import WeirCore
import WeirTesting

@Suite struct `The status of a running topology` {
    @Test func `names a sink that waits for something outside as the bottleneck`() throws {
        let source = SourceProbe<Int>()
        let sink = SinkProbe<Int>("slow")
        let topology = Topology("t") {
            EventStream("in", from: source.source).stage("middle").sink(sink.sink)
        }
        var configuration = TopologyTest.configuration
        configuration.batchSize = 512
        let test = try TopologyTest(topology, configuration: configuration)
        #expect(test.running.status().bottleneck == nil)
        sink.pause()
        source.send(Batch(ContiguousArray(0..<60_000)))
        try test.run()
        _ = test.running.status()
        try test.advance(by: .seconds(5))
        let status = test.running.status()
        let bottleneck = try #require(status.bottleneck)
        #expect(bottleneck.stage == "slow")
        #expect(bottleneck.kind == "slow")
        #expect(bottleneck.evidence.contains("now writing"))
        #expect(bottleneck.evidence.contains("'middle' waits for it 100 % of the time, also now"))
        // The wait is not over, but counts.
        let middle = try #require(status.stage("middle"))
        #expect(middle.activity == "blocked")
        #expect(middle.blockedRatio == 1)
        #expect(try #require(status.stage("slow")).busyRatio > 0.99)
        #expect(status.edges.first { $0.to == "slow" }.map(\.blockedSeconds) == 5)
        try test.advance(by: .seconds(10))
        #expect(test.running.status().bottleneck?.kind == "stalled")
        sink.resume()
        try test.run()
        try test.advance(by: .seconds(1))
        _ = test.running.status()
        try test.advance(by: .seconds(1))
        let after = test.running.status()
        #expect(after.bottleneck == nil)
        #expect(after.stage("middle")?.idleRatio == 1)
        #expect(after.stage("slow")?.eventsOut == 60_000)
    }

    @Test func `names a paused stage and an outlet that nobody reads`() throws {
        let source = SourceProbe<Int>()
        let out: Outlet<Int> = "out"
        let topology = Topology("t") {
            EventStream("in", from: source.source).stage("middle").sink(.outlet(out))
        }
        let test = try TopologyTest(topology)
        source.send(Batch(ContiguousArray(0..<60_000)))
        try test.run()
        #expect(test.running.status().bottleneck?.stage == "out")
        #expect(test.running.status().bottleneck?.kind == "unread")
        let taken = try test.collect(out)
        try test.run()
        #expect(taken.received.count == 60_000)
        try #require(test.running.stage("middle")).pause()
        source.send(Batch(ContiguousArray(0..<60_000)))
        try test.run()
        #expect(test.running.status().bottleneck?.stage == "middle")
        #expect(test.running.status().bottleneck?.kind == "paused")
    }

    @Test func `tells which input holds event time back`() throws {
        let left = SourceProbe<Int>()
        let right = SourceProbe<Int>()
        let topology = Topology("t") {
            EventStream("left", from: left.source)
                .merge(EventStream("right", from: right.source))
                .sink(SinkProbe<Int>().sink)
        }
        let test = try TopologyTest(topology)
        left.sendWatermark(EventTime(milliseconds: 5_000))
        try test.run()
        #expect(test.running.status().stage("merge")?.watermarkHeldBackBy == ["right"])
        right.sendWatermark(EventTime(milliseconds: 7_000))
        try test.advance(by: .seconds(9))
        let merge = try #require(test.running.status().stage("merge"))
        #expect(merge.watermarkHeldBackBy == ["left"])
        #expect(merge.watermark == EventTime(milliseconds: 5_000))
        #expect(merge.watermarkLagSeconds == 4)
    }

    @Test func `is a table for people and JSON for programs`() throws {
        let source = SourceProbe<Int>()
        let topology = Topology("t") {
            EventStream("in", from: source.source).sink(SinkProbe<Int>("out").sink)
        }
        let test = try TopologyTest(topology)
        source.send(contentsOf: 0..<30)
        try test.advance(by: .seconds(10))
        let status = test.running.status()
        #expect(status.stage("in")?.eventsInPerSecond == 3)
        let lines = status.description.split(separator: "\n")
        #expect(lines.first == "topology t, last 10 s")
        #expect(lines.contains { $0.hasPrefix("in ") && $0.contains(" 3 ") })
        #expect(lines.last == "bottleneck: none")
    }
}
