import Testing
import WeirTesting

@testable import WeirCore

@Suite struct `Hubs` {
    @Test func `merge producers that come and go`() async throws {
        let hub = MergeHub<Int>(capacity: 2)
        let first = try hub.attach()
        let topology = Topology("merge") {
            EventStream("in", from: hub.source).sink(.outlet("out"))
        }
        let running = try await topology.start()
        var iterator = try running.output(Outlet<Int>("out")).makeAsyncIterator()
        try await first.send(1)
        #expect(try await iterator.next() == 1)
        let second = try hub.attach()
        #expect(hub.producers == 2)
        first.finish()
        await #expect(throws: HubError.finished) { try await first.send(2) }
        try await second.send(3)
        #expect(try await iterator.next() == 3)
        hub.finish()
        #expect(throws: HubError.finished) { _ = try hub.attach() }
        try await second.send(4)
        second.finish()
        #expect(try await iterator.next() == 4)
        #expect(try await iterator.next() == nil)
        try await running.waitUntilFinished()
    }

    @Test func `keep the order of each producer`() async throws {
        let hub = MergeHub<Int>(capacity: 3)
        let producers = try (0..<4).map { _ in try hub.attach() }
        hub.finish()
        let sending = producers.enumerated().map { number, producer in
            Task {
                for event in 0..<200 { try await producer.send(number * 1_000 + event) }
                producer.finish()
            }
        }
        let events = try await collect { EventStream("in", from: hub.source) }
        for task in sending { try await task.value }
        #expect(events.count == 800)
        for number in 0..<4 {
            #expect(events.filter { $0 / 1_000 == number }.map { $0 % 1_000 } == Array(0..<200))
        }
    }

    @Test func `let go of a producer that is cancelled while it waits`() async throws {
        let hub = MergeHub<Int>(capacity: 1)
        let producer = try hub.attach()
        #expect(producer.trySend(1))
        #expect(!producer.trySend(2))
        let waiting = Task { try await producer.send(2) }
        waiting.cancel()
        await #expect(throws: CancellationError.self) { try await waiting.value }
        producer.finish()
        hub.finish()
        #expect(try await collect { EventStream("in", from: hub.source) } == [1])
    }

    @Test func `take no more producers than they may`() throws {
        let hub = MergeHub<Int>(maximumProducers: 1)
        var producer: MergeHub<Int>.Producer? = try hub.attach()
        do {
            _ = try hub.attach()
            Issue.record("a second producer was attached")
        } catch let error as HubError {
            #expect(error.code == .tooManyAttached)
        }
        // Gone with the last copy of it.
        _ = producer
        producer = nil
        #expect(hub.producers == 0)
        _ = try hub.attach()
    }

    @Test func `give all events to each consumer`() async throws {
        let hub = BroadcastHub<Int>(waitingFor: 2)
        let consumers = [try hub.attach(buffer: 4), try hub.attach(buffer: 7)]
        let taking = consumers.map { consumer in
            Task { try await consumer.reduce(into: [Int]()) { $0.append($1) } }
        }
        let running = try await Topology("broadcast") {
            EventStream("in", from: .collection(0..<100)).sink(hub.sink)
        }.start()
        for task in taking { #expect(try await task.value == Array(0..<100)) }
        try await running.waitUntilFinished()
    }

    @Test func `do with a slow consumer as its policy says`() async throws {
        let hub = BroadcastHub<Int>()
        let oldest = try hub.attach(buffer: 3, whenFull: .dropOldest)
        let newest = try hub.attach(buffer: 3, whenFull: .dropNewest)
        let detached = try hub.attach(buffer: 3, whenFull: .detach)
        try await Topology("slow") {
            EventStream("in", from: .collection(0..<10)).sink(hub.sink)
        }.run()
        #expect(try await oldest.reduce(into: [Int]()) { $0.append($1) } == [7, 8, 9])
        #expect(try await newest.reduce(into: [Int]()) { $0.append($1) } == [0, 1, 2])
        #expect(oldest.dropped == 7 && newest.dropped == 7)
        var iterator = detached.makeAsyncIterator()
        var taken: [Int] = []
        await #expect(throws: HubError.tooSlow) {
            while let event = try await iterator.next() { taken.append(event) }
        }
        #expect(taken == [0, 1, 2])
    }

    @Test func `go on without a consumer that has left`() async throws {
        let hub = BroadcastHub<Int>()
        var leaving: HubConsumer<Int>? = try hub.attach(buffer: 1)
        let staying = try hub.attach(buffer: 100)
        let running = try await Topology("leaving") {
            EventStream("in", from: .collection(0..<50)).sink(hub.sink)
        }.start()
        // The hub waits for it until it goes.
        _ = leaving
        leaving = nil
        try await running.waitUntilFinished()
        #expect(try await staying.reduce(into: [Int]()) { $0.append($1) } == Array(0..<50))
    }

    @Test func `give each event to one consumer, by its key`() async throws {
        let hub = PartitionHub<Int>(by: { $0 % 10 })
        let consumers = try (0..<3).map { _ in try hub.attach(buffer: 1_000) }
        try await Topology("partition") {
            EventStream("in", from: .collection(0..<300)).sink(hub.sink)
        }.run()
        var all: [Int] = []
        for consumer in consumers {
            let events = try await consumer.reduce(into: [Int]()) { $0.append($1) }
            // All of a key, or none.
            for key in Set(events.map { $0 % 10 }) {
                #expect(
                    events.filter { $0 % 10 == key } == Array(stride(from: key, to: 300, by: 10)))
            }
            all += events
        }
        #expect(all.sorted() == Array(0..<300))
    }

    @Test func `give what waits for a consumer that leaves to another one`() throws {
        let hub = PartitionHub<Int>(by: { $0 % 2 })
        let source = SourceProbe<Int>()
        let topology = Topology("t") { EventStream("in", from: source.source).sink(hub.sink) }
        let test = try TopologyTest(topology)
        let leaving = try hub.attach(buffer: 1)
        source.send(1, 3, 5)
        try test.run()
        let staying = try hub.attach()
        leaving.cancel()
        try test.run()
        source.finish()
        try test.finish()
        let taken = try test.perform {
            (try await leaving.all(), try await staying.all())
        }
        #expect(taken.0 == [1])
        #expect(taken.1 == [3, 5])
    }

    @Test func `give what is too much for a consumer that is detached to another one`() throws {
        let hub = PartitionHub<Int>(by: { _ in 0 })
        let source = SourceProbe<Int>()
        let topology = Topology("t") { EventStream("in", from: source.source).sink(hub.sink) }
        let test = try TopologyTest(topology)
        let slow = try hub.attach(buffer: 1, whenFull: .detach)
        source.send(1, 2, 3)
        try test.run()
        let staying = try hub.attach()
        source.finish()
        try test.finish()
        #expect(try test.perform { try await staying.all() } == [2, 3])
        #expect(throws: HubError.tooSlow) { try test.perform { try await slow.all() } }
    }

    @Test func `that wait for a consumer wait for the next one when it leaves`() throws {
        let hub = BroadcastHub<Int>(waitingFor: 1)
        let source = SourceProbe<Int>()
        let topology = Topology("t") { EventStream("in", from: source.source).sink(hub.sink) }
        let test = try TopologyTest(topology)
        let leaving = try hub.attach(buffer: 1)
        source.send(1, 2, 3)
        try test.run()
        leaving.cancel()
        try test.run()
        let next = try hub.attach()
        source.finish()
        try test.finish()
        #expect(try test.perform { try await next.all() } == [2, 3])
    }

    @Test func `serve one topology after the other`() throws {
        let hub = PartitionHub<Int>(by: { $0 })
        for run in 1...2 {
            let source = SourceProbe<Int>()
            let topology = Topology("t") { EventStream("in", from: source.source).sink(hub.sink) }
            let test = try TopologyTest(topology)
            let consumer = try hub.attach()
            source.send(run)
            source.finish()
            try test.finish()
            #expect(try test.perform { try await consumer.all() } == [run])
            #expect(throws: HubError.finished) { _ = try hub.attach() }
        }
    }

    @Test func `go on when their stage restarts`() throws {
        let hub = BroadcastHub<Int>()
        let source = SourceProbe<Int>()
        let topology = Topology("t") {
            EventStream("in", from: source.source).sink(hub.sink.named("hub"))
        }
        let test = try TopologyTest(topology)
        let consumer = try hub.attach()
        source.send(1)
        try test.run()
        test.running.stage("hub")?.restart()
        try test.run()
        source.send(2)
        source.finish()
        try test.finish()
        #expect(try test.perform { try await consumer.all() } == [1, 2])
    }
}

extension HubConsumer {
    fileprivate func all() async throws -> [Element] {
        try await reduce(into: []) { $0.append($1) }
    }
}
