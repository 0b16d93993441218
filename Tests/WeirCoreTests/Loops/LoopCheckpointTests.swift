import Testing
import WeirCore
import WeirTesting

@Suite struct `What goes round a loop` {
    private static func numbers(_ values: Int...) -> Batch<Int> { Batch(ContiguousArray(values)) }

    @Test func `is in the part of the head until the barrier starts, then in that of the end`() {
        let channel = LoopChannel<Int>(limit: 10)
        channel.attachTail(0)
        channel.attachTail(1)
        #expect(channel.feedBack(Self.numbers(1, 2), from: 0) == 2)
        #expect(channel.beginCheckpoint(1).map(\.elements) == [[1, 2]])
        #expect(channel.feedBack(Self.numbers(3), from: 0) == 1)
        #expect(channel.take().batches.map(\.elements) == [[1, 2], [3]])
        // The head sends it behind the barrier, so it is the end's.
        #expect(channel.feedBack(Self.numbers(4), from: 1) == 1)
        #expect(channel.finishCheckpoint(1, of: 0)?.map(\.elements) == [[3]])
        #expect(channel.feedBack(Self.numbers(5), from: 0) == 1)
        #expect(channel.feedBack(Self.numbers(6), from: 1) == 1)
        #expect(channel.finishCheckpoint(1, of: 1)?.map(\.elements) == [[4], [6]])
        #expect(channel.feedBack(Self.numbers(7), from: 1) == 1)
        #expect(channel.beginCheckpoint(2).flatMap(\.elements) == [4, 5, 6, 7])
    }

    @Test func `is all in the head's part when the end is in the same stage`() {
        let channel = LoopChannel<Int>(limit: 10)
        channel.attachTail(0)
        #expect(channel.feedBack(Self.numbers(1), from: 0) == 1)
        #expect(channel.finishCheckpoint(1, of: 0)?.isEmpty == true)
        #expect(channel.beginCheckpoint(1).map(\.elements) == [[1]])
        #expect(channel.feedBack(Self.numbers(2), from: 0) == 1)
        #expect(channel.finishCheckpoint(2, of: 0)?.isEmpty == true)
    }

    @Test func `makes a checkpoint fail that would have more than the loop may hold`() {
        let channel = LoopChannel<Int>(limit: 2)
        channel.attachTail(0)
        _ = channel.beginCheckpoint(1)
        for number in 0..<4 {
            #expect(channel.feedBack(Self.numbers(number), from: 0) == 1)
            _ = channel.take()
        }
        #expect(channel.finishCheckpoint(1, of: 0) == nil)
        _ = channel.beginCheckpoint(2)
        #expect(channel.finishCheckpoint(2, of: 0)?.isEmpty == true)
    }

    @Test func `is refused beyond the bound and behind the end`() {
        let channel = LoopChannel<Int>(limit: 3)
        channel.attachTail(0)
        #expect(channel.feedBack(Self.numbers(1, 2), from: 0) == 2)
        #expect(channel.feedBack(Self.numbers(3, 4), from: 0) == 1)
        #expect(channel.depth == 3)
        #expect(channel.take().batches.flatMap(\.elements) == [1, 2, 3])
        channel.end()
        #expect(channel.feedBack(Self.numbers(5), from: 0) == 0)
    }

    @Test func `has come back when the probe has come to all ends that go on`() {
        let channel = LoopChannel<Int>(limit: 3)
        channel.attachTail(0)
        channel.attachTail(1)
        channel.returned(round: 1, to: 0)
        #expect(channel.take().round == 0)
        channel.returned(round: 1, to: 1)
        #expect(channel.take().round == 1)
        channel.returned(round: 2, to: 0)
        channel.tailEnded(1)
        #expect(channel.take().round == 2)
        channel.tailEnded(0)
        #expect(channel.take().round == .max)
    }

    @Test func `goes on from where the run was suspended, with any parallelism`() throws {
        let continuation = Continuation<Reading, [Int]>(group: { $0[0] }, rescales: true) {
            readings in
            readings.map { Collatz($0.value) }
                .loop("collatz") { number in
                    let step = number.map { $0.value == 1 ? $0 : $0.next }.stage("between")
                        .mailbox(.bounded(2))
                        .keyed(by: { $0.start * 10_000 + $0.value }).distinct(name: "keyed")
                        .split { $0.value == 1 }
                    return (feedback: step.rest, output: step.matching)
                }
                .map { [$0.start, $0.steps] }
        }
        let readings = (1..<28).map { Reading(0, $0, at: 0) }
        try continuation.expectSame(readings.steps, seeds: 0..<30)
    }

    @Test func `is not in what an end leaves behind a checkpoint that was given up`() throws {
        let store = continuationStore()
        var configuration = TopologyTest.configuration
        configuration.store = store
        func run(_ steps: (TopologyTest, SourceProbe<Int>) throws -> Void) throws -> [Int] {
            let (numbers, other) = (SourceProbe<Int>(), SourceProbe<Int>())
            let out = SinkProbe<Int>("out")
            let topology = Topology("t") {
                EventStream("numbers", from: numbers.source)
                    .loop("down") { number in
                        let next = number.stage("slow").map { $0 - 1 }.split { $0 <= 0 }
                        let counts = number.chunked(count: 2).map(\.count)
                            .stage("narrow").mailbox(.bounded(1))
                        return (feedback: next.rest, output: next.matching.merge(counts))
                    }
                    .sink(out.sink)
                EventStream("other", from: other.source).stage("cut")
                    .sink(SinkProbe<Int>("cut away").sink)
                EventStream("open", from: SourceProbe<Int>().source)
                    .sink(SinkProbe<Int>("never").sink)
            }
            let test = try TopologyTest(topology, configuration: configuration)
            try steps(test, numbers)
            return out.received
        }
        let first = try run { test, numbers in
            let (slow, narrow) = (test.running.stage("slow"), test.running.stage("narrow"))
            slow?.pause()
            narrow?.pause()
            test.running.stage("cut")?.pause()
            numbers.send(3)
            try test.run()
            test.start { [running = test.running] in _ = try? await running.checkpoint() }
            try test.run()
            // Between the two ends of the loop.
            test.running.stage("cut")?.cancel()
            try test.run()
            slow?.resume()
            try test.run()
            numbers.finish()
            // The end of the loop has ended before its head, which waits for room.
            try test.run()
            narrow?.resume()
            try test.run()
            // The stage before the one that was cut off stops at the first barrier.
            _ = try? test.perform { [running = test.running] in try await running.checkpoint() }
            _ = try test.perform { [running = test.running] in try await running.checkpoint() }
            try test.cancel()
        }
        #expect(first.sorted() == [0, 1, 2])
        let second = try run { test, numbers in
            numbers.finish()
            try test.drain()
        }
        #expect(second == [])
    }
}
