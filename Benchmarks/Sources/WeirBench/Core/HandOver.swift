import AsyncAlgorithms

extension Benchmark {
    static var handOver: Benchmark {
        Benchmark(
            id: "C2", group: .core, title: "hand-over of events between two tasks",
            workload: """
                EventRing.events; the upstream's code sends them one by one, the downstream, another \
                task, counts them and sums quantity.
                """,
            metric: .wallTime, events: 10_000_000, limits: [Limit(atMost: 10)],
            sides: [
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
