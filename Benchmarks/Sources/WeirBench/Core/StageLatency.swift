import Histogram
import Synchronization
import Weir

extension Benchmark {
    static var latency: Benchmark {
        Benchmark(
            id: "C5", group: .core, title: "latency at 10,000 events/s, open loop",
            workload: """
                OpenLoop sends an Event whose `at` is its intended time; the sink records now - at. \
                Weir: five stages, the last of which is the sink; the source passes each event on by \
                itself. AsyncStream: one hop between two tasks.
                """,
            metric: .medianLatency, events: 20_000,
            sides: [
                Side(
                    name: "Weir, five stages", isWeir: true,
                    run: { try await LatencyTopology.fiveStages($0) }),
                Side(
                    name: "AsyncStream, one hop", bar: .within(2),
                    run: { try await LatencyPeers.unboundedStream($0) }
                ),
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

/// How late a source's load was, for whoever reads it after the run.
private final class Lateness: Sendable {
    private let histogram = Mutex<Histogram<UInt64>?>(nil)

    var value: Histogram<UInt64>? { histogram.withLock { $0 } }

    func set(_ value: Histogram<UInt64>) { histogram.withLock { $0 = value } }
}

private enum LatencyTopology {
    @concurrent
    static func fiveStages(_ count: Int) async throws -> Sample {
        let recorder = LatencyRecorder()
        let total = SinkTally()
        let lateness = Lateness()
        let source = Source<Event>("open loop") { inlet in
            let late = await LatencyWork.load(count).run { index, intended in
                let batch = Batch([LatencyWork.event(index, intended: intended)])
                // A full mailbox holds the load up, which the latency then shows.
                while (try? inlet.trySend(batch)) == false {}
            }
            lateness.set(late)
        }
        let topology = Topology("latency") {
            EventStream("one", from: source)
                .stage("two").stage("three").stage("four")
                .sink(
                    .forEachBatch { batch in
                        total.add { tally in
                            for event in batch.elements {
                                LatencyWork.arrived(event, recorder, &tally)
                            }
                        }
                    })
        }
        let watch = Stopwatch()
        try await topology.run()
        var sample = watch.sample(total.total)
        sample.latency = lateness.value.map { recorder.latency(lateness: $0) }
        return sample
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
