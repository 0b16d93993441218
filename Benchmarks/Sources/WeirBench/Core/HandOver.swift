import AsyncAlgorithms
import Weir

extension Benchmark {
    static var handOver: Benchmark {
        Benchmark(
            id: "C2", group: .core, title: "hand-over of events between two tasks",
            workload: """
                EventRing.events; the upstream's code sends them one by one, the downstream, another \
                task, counts them and sums quantity. Weir: a KeyedHandler emits 512 events one by one \
                each time it is called, for the next stage, the sink; beside it flatMap with a lazy \
                sequence of 512, and a source that sends each event by itself to the sink.
                """,
            metric: .wallTime, events: 10_000_000, limits: [Limit(atMost: 10)],
            sides: [
                Side(
                    name: "Weir, emitted by a handler", isWeir: true,
                    run: { try await HandOverTopology.handler($0) }),
                Side(
                    name: "Weir, lazy sequence of flatMap",
                    run: { try await HandOverTopology.flatMap($0) }),
                Side(
                    name: "Weir, sent by a source",
                    run: { try await HandOverTopology.source($0) }),
                Side(
                    name: "AsyncChannel, per event", share: 0.02, bar: .faster(300),
                    run: { try await HandOverPeers.channel($0) }),
                Side(
                    name: "AsyncChannel, arrays of 256", bar: .faster(3),
                    run: { try await HandOverPeers.channelOfArrays($0) }),
                Side(
                    name: "AsyncStream, unbounded", share: 0.1,
                    run: { try await HandOverPeers.unboundedStream($0) }),
            ],
            expectedChecksum: { HandOverWork.sum($0) })
    }
}

enum HandOverWork {
    @inline(never)
    static func sum(_ count: Int) -> UInt64 {
        let ring = EventRing<Event>.events
        var tally = Tally()
        for index in 0..<count { tally.add(ring[index].quantity) }
        return tally.checksum
    }
}

/// Events of the ring, to be emitted one by one.
private struct Portion: Sendable {
    static let size = 512
    let range: Range<Int>

    /// One portion a batch, so that a batch of the next stage has 512 events.
    static func source(_ count: Int) -> Source<Portion> {
        Source("portions") { inlet in
            for start in stride(from: 0, to: count, by: size) {
                let portion = Portion(range: start..<min(start + size, count))
                try await inlet.send(Batch([portion]))
            }
        }
    }
}

private struct Emitter: KeyedHandler {
    struct State: Codable, Sendable {
        var emitted = 0
    }

    func initialState(for key: Int) -> State { State() }

    func on(_ portion: Portion, state: inout State, _ context: inout Context<Int, Event>) {
        let ring = EventRing<Event>.events
        for index in portion.range { context.emit(ring[index]) }
        state.emitted += portion.range.count
    }
}

private enum HandOverTopology {
    @concurrent
    static func handler(_ count: Int) async throws -> Sample {
        try await measure(
            EventStream("portions", from: Portion.source(count))
                .keyed(by: { _ in 0 })
                .handle("emit") { Emitter() })
    }

    @concurrent
    static func flatMap(_ count: Int) async throws -> Sample {
        try await measure(
            EventStream("portions", from: Portion.source(count))
                .flatMap { portion in
                    let ring = EventRing<Event>.events
                    return portion.range.lazy.map { ring[$0] }
                })
    }

    @concurrent
    static func source(_ count: Int) async throws -> Sample {
        let source = Source<Event>("one by one") { inlet in
            let ring = EventRing<Event>.events
            for index in 0..<count { try await inlet.send(ring[index]) }
        }
        return try await measure(EventStream("events", from: source))
    }

    private static func measure(_ stream: EventStream<Event>) async throws -> Sample {
        let watch = Stopwatch()
        let total = SinkTally()
        let topology = Topology("hand-over") {
            stream.sink(
                .forEachBatch { batch in
                    total.add { tally in
                        for event in batch.elements { tally.add(event.quantity) }
                    }
                })
        }
        try await topology.run()
        return watch.sample(total.total)
    }
}

private enum HandOverPeers {
    @concurrent
    static func channel(_ count: Int) async throws -> Sample {
        let watch = Stopwatch()
        let channel = AsyncChannel<Event>()
        let tally = await withTaskGroup(of: Void.self) { group in
            group.addTask {
                let ring = EventRing<Event>.events
                for index in 0..<count { await channel.send(ring[index]) }
                channel.finish()
            }
            var tally = Tally()
            for await event in channel { tally.add(event.quantity) }
            return tally
        }
        return watch.sample(tally)
    }

    @concurrent
    static func channelOfArrays(_ count: Int) async throws -> Sample {
        let watch = Stopwatch()
        let channel = AsyncChannel<[Event]>()
        let tally = await withTaskGroup(of: Void.self) { group in
            group.addTask {
                let ring = EventRing<Event>.events
                var batch: [Event] = []
                batch.reserveCapacity(256)
                for index in 0..<count {
                    batch.append(ring[index])
                    if batch.count == 256 {
                        await channel.send(batch)
                        batch = []
                        batch.reserveCapacity(256)
                    }
                }
                if !batch.isEmpty { await channel.send(batch) }
                channel.finish()
            }
            var tally = Tally()
            for await batch in channel {
                for event in batch { tally.add(event.quantity) }
            }
            return tally
        }
        return watch.sample(tally)
    }

    @concurrent
    static func unboundedStream(_ count: Int) async throws -> Sample {
        let watch = Stopwatch()
        let (stream, continuation) = AsyncStream.makeStream(
            of: Event.self, bufferingPolicy: .unbounded)
        let tally = await withTaskGroup(of: Void.self) { group in
            group.addTask {
                let ring = EventRing<Event>.events
                for index in 0..<count { continuation.yield(ring[index]) }
                continuation.finish()
            }
            var tally = Tally()
            for await event in stream { tally.add(event.quantity) }
            return tally
        }
        return watch.sample(tally)
    }
}
