import OpenCombine
import Weir

extension Benchmark {
    static var operators: Benchmark {
        Benchmark(
            id: "C1", group: .core, title: "map, filter, map over 48-byte events",
            workload: """
                EventRing.events; map: quantity += key; filter: amount < 50 (half of them); \
                map: quantity *= 3; the sink sums quantity. An event is one of the source's. Weir: a \
                whole topology, that is a source, one stage with the three operators, and a sink, \
                which is a stage too; its start and end are measured with it.
                """,
            metric: .wallTime, events: 20_000_000, limits: [Limit(atMost: 8)],
            sides: [
                Side(
                    name: "Weir, source, stage and sink", isWeir: true,
                    run: { try await OperatorTopology.run($0) }),
                Side(name: "raw loop", run: { try await OperatorPeers.rawLoop($0) }),
                Side(
                    name: "AsyncSequence operators", share: 0.1, bar: .faster(50),
                    run: { try await OperatorPeers.asyncSequence($0) }),
                Side(
                    name: "OpenCombine PassthroughSubject", share: 0.1, bar: .faster(30),
                    run: { try await OperatorPeers.openCombine($0) }),
            ],
            expectedChecksum: { OperatorWork.sum($0) })
    }
}

/// The three steps of C1.
enum OperatorWork {
    @inline(__always)
    static func first(_ event: Event) -> Event {
        var event = event
        event.quantity &+= event.key
        return event
    }

    @inline(__always)
    static func passes(_ event: Event) -> Bool { event.amount < 50 }

    @inline(__always)
    static func last(_ event: Event) -> Event {
        var event = event
        event.quantity &*= 3
        return event
    }

    @inline(never)
    static func sum(_ count: Int) -> UInt64 {
        let ring = EventRing<Event>.events
        var sum: Int64 = 0
        for index in 0..<count {
            let event = first(ring[index])
            if passes(event) { sum &+= last(event).quantity }
        }
        return UInt64(bitPattern: sum)
    }
}

/// The ring as an `AsyncSequence` that never suspends.
struct EventSequence: AsyncSequence, Sendable {
    typealias Element = Event
    typealias Failure = Never
    let count: Int

    struct Iterator: AsyncIteratorProtocol {
        private let ring = EventRing<Event>.events
        private let count: Int
        private var index = 0

        init(count: Int) {
            self.count = count
        }

        mutating func next() async -> Event? { advance() }

        mutating func next(isolation actor: isolated (any Actor)?) async -> Event? { advance() }

        @inline(__always)
        private mutating func advance() -> Event? {
            guard index < count else { return nil }
            defer { index += 1 }
            return ring[index]
        }
    }

    func makeAsyncIterator() -> Iterator { Iterator(count: count) }
}

private enum OperatorTopology {
    @concurrent
    static func run(_ count: Int) async throws -> Sample {
        let watch = Stopwatch()
        let total = SinkTally()
        let topology = Topology("operators") {
            EventStream("events", from: .ring(.events, count: count))
                .map { OperatorWork.first($0) }
                .filter { OperatorWork.passes($0) }
                .map { OperatorWork.last($0) }
                .sink(
                    .forEachBatch { batch in
                        total.add { tally in
                            for event in batch.elements { tally.add(event.quantity) }
                        }
                    })
        }
        try await topology.run()
        return watch.sample(events: count, checksum: total.total.checksum)
    }
}

private enum OperatorPeers {
    @concurrent
    static func rawLoop(_ count: Int) async throws -> Sample {
        let watch = Stopwatch()
        let sum = OperatorWork.sum(count)
        return watch.sample(events: count, checksum: sum)
    }

    @concurrent
    static func asyncSequence(_ count: Int) async throws -> Sample {
        let watch = Stopwatch()
        let results = EventSequence(count: count)
            .map { OperatorWork.first($0) }
            .filter { OperatorWork.passes($0) }
            .map { OperatorWork.last($0) }
        var sum: Int64 = 0
        for await event in results { sum &+= event.quantity }
        return watch.sample(events: count, checksum: UInt64(bitPattern: sum))
    }

    @concurrent
    static func openCombine(_ count: Int) async throws -> Sample { pushThroughSubject(count) }

    @inline(never)
    private static func pushThroughSubject(_ count: Int) -> Sample {
        let ring = EventRing<Event>.events
        let watch = Stopwatch()
        let subject = PassthroughSubject<Event, Never>()
        var sum: Int64 = 0
        let subscription =
            subject
            .map { OperatorWork.first($0) }
            .filter { OperatorWork.passes($0) }
            .map { OperatorWork.last($0) }
            .sink { sum &+= $0.quantity }
        for index in 0..<count { subject.send(ring[index]) }
        subject.send(completion: .finished)
        let sample = watch.sample(events: count, checksum: UInt64(bitPattern: sum))
        subscription.cancel()
        return sample
    }
}
