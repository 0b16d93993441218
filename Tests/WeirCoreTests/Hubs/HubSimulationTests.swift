import Synchronization
import Testing
import WeirCore

@testable import WeirTesting

/// What of a hub outlives a crash: nothing, and nothing of it comes twice from a checkpoint either.
@Suite struct `Hubs under crashes` {
    /// What the consumers of a hub have got in each life of the last run.
    private final class Log: Sendable {
        private struct State: Sendable {
            var lives: [[[Int]]] = []
            var lost = 0
            var repeated = 0
        }

        private let state = Mutex(State())

        /// A life begins with this many consumers; the first one of a run forgets the run before.
        func begin(_ life: Int, consumers: Int) {
            state.withLock { state in
                if life == 0 { state.lives = [] }
                state.lives.append(Array(repeating: [], count: consumers))
            }
        }

        func add(_ event: Int, to consumer: Int, in life: Int) {
            state.withLock { $0.lives[life][consumer].append(event) }
        }

        var lives: [[[Int]]] { state.withLock { $0.lives } }

        /// Counts what no life's consumers have got, and what those of several have.
        func compare(with all: [Int]) {
            let events = lives.flatMap { Set($0.joined()) }
            state.withLock { state in
                state.lost += Set(all).subtracting(events).count
                state.repeated += events.count - Set(events).count
            }
        }

        var lost: Int { state.withLock { $0.lost } }
        var repeated: Int { state.withLock { $0.repeated } }
    }

    private struct Wrong: Error, CustomStringConvertible {
        let description: String
    }

    private static func expect(
        _ isRight: Bool, _ text: @autoclosure () -> String
    ) throws {
        if !isRight { throw Wrong(description: text()) }
    }

    /// A consumer as part of the same topology: it lives as long as the process.
    private static func consume(
        _ consumer: HubConsumer<Int>, _ number: Int, _ world: SimulatedWorld, _ log: Log
    ) -> Pipeline {
        let life = world.life
        return EventStream("consumer \(number)", from: .sequence(consumer))
            .sink(.forEach { log.add($0, to: number, in: life) })
    }

    @Test func `give each consumer of a broadcast all events of its life in order`() throws {
        let log = Log()
        let numbers = Array(0..<24)
        let simulation = Simulation { world in
            log.begin(world.life, consumers: 2)
            let hub = BroadcastHub<Int>()
            return Topology("broadcast") {
                let source = EventStream("in", from: world.source("in", numbers))
                source.sink(hub.sink)
                source.scan(0) { $0 + $1 }.sink(world.sink("sums"))
                if let first = try? hub.attach(buffer: 2), let second = try? hub.attach() {
                    Self.consume(first, 0, world, log)
                    Self.consume(second, 1, world, log)
                }
            }
        }.check { _ in
            let lives = log.lives
            for life in lives {
                for events in life {
                    let start = events.first ?? 0
                    try Self.expect(
                        events == Array(start..<(start + events.count)), "a gap in \(events)")
                }
            }
            for events in lives.last ?? [] {
                try Self.expect(events.isEmpty || events.last == 23, "no end: \(events)")
            }
            if lives.count == 1 { try Self.expect(lives[0] == [numbers, numbers], "\(lives)") }
            log.compare(with: numbers)
        }.checkpoints(upTo: 20).crashes(upTo: 3).shrinking(upTo: 0)
        try simulation.run(seeds: 0..<150)
        // At most once: what a checkpoint has behind it is gone with the buffers, what comes after it
        // comes again.
        #expect(log.lost > 0)
        #expect(log.repeated > 0)
    }

    @Test func `give the events of a key to the same consumer in every life`() throws {
        let log = Log()
        let numbers = Array(0..<24)
        let simulation = Simulation { world in
            log.begin(world.life, consumers: 3)
            let hub = PartitionHub<Int>(by: { $0 % 5 })
            let consumers = (0..<3).compactMap { _ in try? hub.attach(buffer: 2) }
            return Topology("partition") {
                let source = EventStream("in", from: world.source("in", numbers))
                source.sink(hub.sink)
                source.scan(0) { $0 + $1 }.sink(world.sink("sums"))
                for (number, consumer) in consumers.enumerated() {
                    Self.consume(consumer, number, world, log)
                }
            }
        }.check { _ in
            let lives = log.lives
            var owners: [Int: Int] = [:]
            for life in lives {
                for (consumer, events) in life.enumerated() {
                    for (key, own) in Dictionary(grouping: events, by: { $0 % 5 }) {
                        let owner = owners[key] ?? consumer
                        owners[key] = owner
                        try Self.expect(owner == consumer, "key \(key) has two consumers")
                        let first = own.first ?? 0
                        try Self.expect(
                            own == own.indices.map { first + 5 * $0 }, "a gap in \(own)")
                    }
                }
            }
            let last = (lives.last ?? []).joined().sorted()
            try Self.expect(
                last == Array((last.first ?? 24)..<24), "not all once in the last life: \(last)")
            if lives.count == 1 { try Self.expect(last == numbers, "not all: \(last)") }
            log.compare(with: numbers)
        }.checkpoints(upTo: 20).crashes(upTo: 3).shrinking(upTo: 0)
        try simulation.run(seeds: 0..<150)
        #expect(log.lost > 0)
        #expect(log.repeated > 0)
    }

    /// Clients that send all their events in every life, as those do who got no acknowledgement.
    private static func clients(
        _ hub: MergeHub<Int>, _ shares: [[Int]]
    ) -> EventStream<Int> {
        EventStream(
            "clients",
            from: Source("clients") { inlet in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for share in shares {
                        let producer = try hub.attach()
                        group.addTask {
                            for event in share {
                                try await producer.send(event)
                                try await inlet.context.sleep(for: .milliseconds(1))
                            }
                            producer.finish()
                        }
                    }
                    hub.finish()
                    try await group.waitForAll()
                }
            })
    }

    @Test func `take what is sent again, once behind a checkpoint that knows it`() throws {
        let simulation = Simulation { world in
            let hub = MergeHub<Int>(capacity: 3)
            let numbers = world.events("in", Array(0..<24))
            return Topology("merge") {
                Self.clients(
                    hub, [numbers.filter { $0 % 2 == 0 }, numbers.filter { $0 % 2 == 1 }]
                ).sink(.forEach { _ in })
                EventStream("hub", from: hub.source)
                    .distinct().fallible()
                    .sink(world.sink("out", order: .perKey { $0 % 2 }))
            }
        }
        try simulation.run(seeds: 0..<60)
    }

    @Test func `lose what no checkpoint has, and repeat nothing that one has`() throws {
        let numbers = Array(0..<24)
        let log = Log()
        let sent = Mutex(0)
        let simulation = Simulation { world in
            if world.life == 0 { sent.withLock { $0 = 0 } }
            let hub = MergeHub<Int>(capacity: 3)
            // What the hub has taken is not sent again. The first event of a life says that it began.
            let rest = numbers.dropFirst(sent.withLock { $0 })
            log.begin(world.life, consumers: 1)
            return Topology("merge") {
                Self.clients(hub, [[1_000 + world.life] + rest]).sink(.forEach { _ in })
                EventStream("hub", from: hub.source).fallible()
                    .map { event in
                        sent.withLock { $0 = max($0, event < 1_000 ? event + 1 : 0) }
                        return event
                    }
                    .keyed { _ in 0 }.window(.global(trigger: .every(1_000_000)))
                    .reduce(into: [Int]()) { $0.append($1) }
                    .map { window in
                        let events = window.value.filter { $0 < 1_000 }
                        log.add(numbers.count - events.count, to: 0, in: world.life)
                        return events == Set(events).sorted()
                    }
                    // A life that begins behind the end of the last one has a window of its own.
                    .distinct()
                    .sink(world.sink("each once, in order"))
            }
        }.ignoringState().check { _ in
            log.compare(with: [])
            let isUndisturbed = log.lives.count == 1
            let missing = log.lives.last?.first?.last ?? 0
            try Self.expect(!isUndisturbed || missing == 0, "\(missing) are missing")
        }
        try simulation.run(seeds: 0..<30)
    }
}
