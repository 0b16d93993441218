import AsyncAlgorithms
import Weir

extension Benchmark {
    static var fiveStages: Benchmark {
        Benchmark(
            id: "C3", group: .core, title: "five stages in a row",
            workload: """
                EventRing.events; a source feeds five stages in a row, each an actor or task of its \
                own that adds 1 to quantity; the fifth counts and sums it. The bar of 60 M events/s is \
                16.7 ns.
                """,
            metric: .wallTime, events: 10_000_000, limits: [Limit(atMost: 16.7)],
            sides: [
                Side(
                    name: "Weir, five stages", isWeir: true,
                    run: { try await FiveStageTopology.events($0) }),
                Side(
                    name: "five AsyncChannels, per event", share: 0.01, bar: .faster(1_000),
                    run: { try await FiveStagePeers.events($0) }),
                Side(
                    name: "five AsyncChannels, arrays of 256",
                    run: { try await FiveStagePeers.arrays($0) }),
            ],
            expectedChecksum: { FiveStageWork.sum($0) })
    }

    static var fiveStagesWithStrings: Benchmark {
        Benchmark(
            id: "C4", group: .core, title: "five stages in a row, events with a String",
            workload: """
                As C3 over EventRing.namedEvents, whose name has 20 characters; the fifth stage sums \
                quantity + name.utf8.count.
                """,
            metric: .wallTime, events: 5_000_000, limits: [Limit(atMost: 60)],
            sides: [
                Side(
                    name: "Weir, five stages", isWeir: true,
                    run: { try await FiveStageTopology.namedEvents($0) }),
                Side(
                    name: "five AsyncChannels, per event", share: 0.01,
                    run: { try await FiveStagePeers.namedEvents($0) }),
            ],
            expectedChecksum: { FiveStageWork.namedSum($0) })
    }

    static var allocations: Benchmark {
        Benchmark(
            id: "C6", group: .core, title: "allocations per event in steady state, five stages",
            workload: """
                As C3, in batches of 512 where a side has batches; calls of the C allocator in a run \
                of 3n events less those of a run of n.
                """,
            metric: .allocations, events: 1_000_000, limits: [Limit(atMost: 0.01)],
            sides: [
                Side(
                    name: "Weir, five stages", isWeir: true,
                    run: { try await FiveStageTopology.events($0) }),
                Side(
                    name: "five AsyncChannels, per event", share: 0.02,
                    run: { try await FiveStagePeers.events($0) }),
                Side(
                    name: "five AsyncChannels, arrays of 256",
                    run: { try await FiveStagePeers.arrays($0) }),
            ],
            expectedChecksum: { FiveStageWork.sum($0) })
    }
}

enum FiveStageWork {
    static let stages = 5

    @inline(__always)
    static func step(_ event: inout Event) {
        event.quantity &+= 1
    }

    @inline(__always)
    static func step(_ event: inout NamedEvent) {
        event.quantity &+= 1
    }

    @inline(__always)
    static func value(_ event: Event) -> Int64 { event.quantity }

    @inline(__always)
    static func value(_ event: NamedEvent) -> Int64 {
        event.quantity &+ Int64(event.name.utf8.count)
    }

    @inline(never)
    static func sum(_ count: Int) -> UInt64 {
        HandOverWork.sum(count) &+ UInt64(count * stages)
    }

    @inline(never)
    static func namedSum(_ count: Int) -> UInt64 { sum(count) &+ UInt64(count * 20) }
}

private enum FiveStageTopology {
    @concurrent
    static func events(_ count: Int) async throws -> Sample {
        let watch = Stopwatch()
        let total = SinkTally()
        let topology = Topology("five stages") {
            EventStream("one", from: .ring(.events, count: count)).map { Self.stepped($0) }
                .stage("two").map { Self.stepped($0) }
                .stage("three").map { Self.stepped($0) }
                .stage("four").map { Self.stepped($0) }
                .sink(
                    .forEachBatch { batch in
                        total.add { tally in
                            for event in batch.elements {
                                tally.add(FiveStageWork.value(Self.stepped(event)))
                            }
                        }
                    })
        }
        try await topology.run()
        return watch.sample(total.total)
    }

    @concurrent
    static func namedEvents(_ count: Int) async throws -> Sample {
        let watch = Stopwatch()
        let total = SinkTally()
        let topology = Topology("five stages") {
            EventStream("one", from: .ring(.namedEvents, count: count)).map { Self.stepped($0) }
                .stage("two").map { Self.stepped($0) }
                .stage("three").map { Self.stepped($0) }
                .stage("four").map { Self.stepped($0) }
                .sink(
                    .forEachBatch { batch in
                        total.add { tally in
                            for event in batch.elements {
                                tally.add(FiveStageWork.value(Self.stepped(event)))
                            }
                        }
                    })
        }
        try await topology.run()
        return watch.sample(total.total)
    }

    @inline(__always)
    private static func stepped(_ event: Event) -> Event {
        var event = event
        FiveStageWork.step(&event)
        return event
    }

    @inline(__always)
    private static func stepped(_ event: NamedEvent) -> NamedEvent {
        var event = event
        FiveStageWork.step(&event)
        return event
    }
}

private enum FiveStagePeers {
    @concurrent
    static func events(_ count: Int) async throws -> Sample {
        let ring = EventRing<Event>.events
        return await channels(
            feed: { channel in
                for index in 0..<count { await channel.send(ring[index]) }
            },
            step: { FiveStageWork.step(&$0) },
            collect: { event, tally in tally.add(FiveStageWork.value(event)) })
    }

    @concurrent
    static func arrays(_ count: Int) async throws -> Sample {
        let ring = EventRing<Event>.events
        return await channels(
            feed: { channel in
                for start in stride(from: 0, to: count, by: 256) {
                    await channel.send((start..<min(start + 256, count)).map { ring[$0] })
                }
            },
            step: { (batch: inout [Event]) in
                for index in batch.indices { FiveStageWork.step(&batch[index]) }
            },
            collect: { batch, tally in
                for event in batch { tally.add(FiveStageWork.value(event)) }
            })
    }

    @concurrent
    static func namedEvents(_ count: Int) async throws -> Sample {
        let ring = EventRing<NamedEvent>.namedEvents
        return await channels(
            feed: { channel in
                for index in 0..<count { await channel.send(ring[index]) }
            },
            step: { FiveStageWork.step(&$0) },
            collect: { event, tally in tally.add(FiveStageWork.value(event)) })
    }

    /// Five tasks, each with the channel that it reads from; the last is the caller.
    private static func channels<Element: Sendable>(
        feed: @escaping @Sendable (AsyncChannel<Element>) async -> Void,
        step: @escaping @Sendable (inout Element) -> Void,
        collect: (Element, inout Tally) -> Void
    ) async -> Sample {
        let watch = Stopwatch()
        let channels = (0..<FiveStageWork.stages).map { _ in AsyncChannel<Element>() }
        let first = channels[0]
        let last = channels[FiveStageWork.stages - 1]
        let tally = await withTaskGroup(of: Void.self) { group in
            group.addTask {
                await feed(first)
                first.finish()
            }
            for (input, output) in zip(channels, channels.dropFirst()) {
                group.addTask {
                    for await element in input {
                        var element = element
                        step(&element)
                        await output.send(element)
                    }
                    output.finish()
                }
            }
            var tally = Tally()
            for await element in last {
                var element = element
                step(&element)
                collect(element, &tally)
            }
            return tally
        }
        return watch.sample(tally)
    }
}
