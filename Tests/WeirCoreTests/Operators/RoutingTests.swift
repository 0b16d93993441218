import Testing
import WeirCore
import WeirTesting

@Suite struct `Routing events` {
    @Test func `split sends each event one of two ways`() throws {
        let even = SinkProbe<Int>("even")
        let odd = SinkProbe<Int>("odd")
        let test = try TopologyTest(
            Topology("t") {
                let ways = EventStream("in", from: .collection(0..<10)).split { $0 % 2 == 0 }
                ways.matching.sink(even.sink)
                ways.rest.map { -$0 }.sink(odd.sink)
            })
        try test.finish()
        #expect(even.received == [0, 2, 4, 6, 8])
        #expect(odd.received == [-1, -3, -5, -7, -9])
        #expect(even.isClosed && odd.isClosed)
    }

    @Test func `a way that nobody takes is not connected`() throws {
        let even = SinkProbe<Int>()
        let test = try TopologyTest(
            Topology("t") {
                EventStream("in", from: .collection(0..<10)).split { $0 % 2 == 0 }.matching
                    .sink(even.sink)
            })
        try test.finish()
        #expect(even.received == [0, 2, 4, 6, 8])
    }

    @Test func `branch sends each event to the stream of its index`() throws {
        let sinks = (0..<3).map { SinkProbe<Int>("s\($0)") }
        let test = try TopologyTest(
            Topology("t") {
                let branches = EventStream("in", from: .collection(0..<9)).branch(3) { $0 % 3 }
                for (branch, sink) in zip(branches, sinks) { branch.sink(sink.sink) }
            })
        try test.finish()
        #expect(sinks.map(\.received) == [[0, 3, 6], [1, 4, 7], [2, 5, 8]])
    }

    @Test func `branch sends an event without a stream to the dead letters`() throws {
        let sink = SinkProbe<Int>()
        let test = try TopologyTest(
            Topology("t") {
                EventStream("in", from: .collection(0..<3)).branch(2) { $0 }[0].sink(sink.sink)
            })
        try test.finish()
        #expect(sink.received == [0])
        #expect(test.running.deadLetters.letters.map { $0.event as? Int } == [2])
    }

    private enum Size: CaseIterable, Sendable { case small, large }

    @Test func `branch sends each event to the stream of its case`() throws {
        let small = SinkProbe<Int>("small")
        let large = SinkProbe<Int>("large")
        let test = try TopologyTest(
            Topology("t") {
                let sizes = EventStream("in", from: .collection(0..<6)).branch { value -> Size in
                    value < 4 ? .small : .large
                }
                sizes[.small].sink(small.sink)
                sizes[.large].sink(large.sink)
            })
        try test.finish()
        #expect(small.received == [0, 1, 2, 3])
        #expect(large.received == [4, 5])
    }

    @Test(arguments: TopologyTest.seeds(3))
    func `a slow branch of a broadcast holds the other back and nothing is lost`(
        seed: UInt64
    ) throws {
        let numbers = SourceProbe<Int>()
        let fast = SinkProbe<Int>("fast")
        let slow = SinkProbe<Int>("slow")
        slow.pause()
        let stream = EventStream("in", from: numbers.source).mailbox(.bounded(4))
        var configuration = TopologyTest.configuration
        configuration.batchSize = 2
        let test = try TopologyTest(
            Topology("t") {
                stream.stage("a").mailbox(.bounded(4)).sink(fast.sink)
                stream.stage("b").mailbox(.bounded(4)).sink(slow.sink)
            }, seed: seed, configuration: configuration)
        numbers.send(contentsOf: 0..<20_000)
        numbers.finish()
        try test.run()
        #expect(fast.received.count < 20_000, "\(test)")
        slow.resume()
        try test.finish()
        #expect(fast.received == Array(0..<20_000), "\(test)")
        #expect(slow.received == Array(0..<20_000), "\(test)")
    }
}
