import Histogram

extension Benchmark {
    static var latency: Benchmark {
        Benchmark(
            id: "C5", group: .core, title: "latency at 10,000 events/s, open loop",
            workload: """
                OpenLoop sends an Event whose `at` is its intended time; the sink records now - at. \
                Weir: five stages; AsyncStream: one hop between two tasks.
                """,
            metric: .medianLatency, events: 20_000,
            sides: [
                Side(
                    name: "AsyncStream, one hop", bar: .within(2),
                    run: { try await LatencyPeers.unboundedStream($0) }
                )
            ],
            expectedChecksum: { HandOverWork.sum($0) })
    }
}

enum LatencyWork {
    static func load(_ count: Int) -> OpenLoop { OpenLoop(eventsPerSecond: 10_000, count: count) }

    @inline(__always)
    static func event(_ index: Int, intended: UInt64) -> Event {
        var event = EventRing<Event>.events[index]
        event.at = Int64(bitPattern: intended)
        return event
    }

    /// What the sink does with an event.
    @inline(__always)
    static func arrived(_ event: Event, _ recorder: LatencyRecorder, _ tally: inout Tally) {
        recorder.recordArrival(intended: UInt64(bitPattern: event.at))
        tally.add(event.quantity)
    }
}

private enum LatencyPeers {
    @concurrent
    static func unboundedStream(_ count: Int) async throws -> Sample {
        let recorder = LatencyRecorder()
        let (stream, continuation) = AsyncStream.makeStream(
            of: Event.self, bufferingPolicy: .unbounded)
        let watch = Stopwatch()
        return await withTaskGroup(of: Histogram<UInt64>.self) { group in
            group.addTask {
                let lateness = await LatencyWork.load(count).run { index, intended in
                    continuation.yield(LatencyWork.event(index, intended: intended))
                }
                continuation.finish()
                return lateness
            }
            var tally = Tally()
            for await event in stream { LatencyWork.arrived(event, recorder, &tally) }
            var sample = watch.sample(tally)
            for await lateness in group { sample.latency = recorder.latency(lateness: lateness) }
            return sample
        }
    }
}
