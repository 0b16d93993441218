import Synchronization
import Testing
import WeirCore
import WeirJournal
import WeirTesting

/// What happens to a run: an event, or that time passes.
enum RunStep<Event: Sendable>: Sendable {
    case event(Event)
    case advance(Duration)
}

/// Runs operators over the same events uninterrupted and in pieces that are continued from
/// checkpoints; both must give the same.
struct Continuation<Event: Sendable, Output: Sendable & Equatable> {
    var batchSize = 1
    /// The group whose outputs keep their order; one for all unless the stream is keyed.
    var group: @Sendable (Output) -> Int = { _ in 0 }
    /// Whether the pieces run with another parallelism each.
    var rescales = false
    /// Whether each event has been handled before the next comes, for what depends on the order in
    /// which several inputs are handled.
    var settles = false
    let build: @Sendable (EventStream<Event>) -> EventStream<Output>

    func expectSame(
        _ steps: [RunStep<Event>], seeds: Range<UInt64> = 0..<6,
        sourceLocation: Testing.SourceLocation = #_sourceLocation
    ) throws {
        let whole = grouped(try run(steps, cuts: [], seed: 0, parallelism: [1]))
        #expect(!whole.isEmpty, sourceLocation: sourceLocation)
        for seed in seeds {
            var random = SplitMix64(seed: seed)
            let cuts = (0..<Int.random(in: 1...3, using: &random)).map { _ in
                Int.random(in: 0...steps.count, using: &random)
            }.sorted()
            let parallelism = rescales ? [1, 3, 2, 5] : [1]
            let pieces = grouped(
                try run(steps, cuts: cuts, seed: seed, parallelism: parallelism))
            #expect(pieces == whole, "seed \(seed), cuts \(cuts)", sourceLocation: sourceLocation)
        }
    }

    private func suspend(_ test: TopologyTest) throws {
        let isOver = Mutex(false)
        test.start { [running = test.running] in
            // A run that has ended by itself can't be suspended any more.
            _ = try? await running.suspend()
            isOver.withLock { $0 = true }
        }
        try test.run()
        // What waits for tokens lets no barrier pass.
        for _ in 0..<1_000 where !isOver.withLock({ $0 }) {
            try test.advance(by: .nanoseconds(50))
        }
        #expect(isOver.withLock { $0 })
    }

    private func grouped(_ outputs: [Output]) -> [Int: [Output]] {
        Dictionary(grouping: outputs, by: group)
    }

    private func run(
        _ steps: [RunStep<Event>], cuts: [Int], seed: UInt64, parallelism: [Int]
    ) throws -> [Output] {
        let store = continuationStore(seed: seed)
        var random = SplitMix64(seed: seed)
        var outputs: [Output] = []
        var now = EventTime()
        var next = 0
        for (piece, cut) in (cuts + [steps.count]).enumerated() {
            let isLast = piece == cuts.count
            let events = SourceProbe<Event>()
            let results = SinkProbe<Output>("results")
            var configuration = TopologyTest.configuration
            configuration.batchSize = batchSize
            configuration.parallelism = parallelism[piece % parallelism.count]
            configuration.store = store
            let test = try TopologyTest(
                Topology("continued") {
                    build(EventStream("events", from: events.source)).sink(results.sink)
                }, seed: seed, startingAt: now, configuration: configuration)
            while next < cut {
                switch steps[next] {
                case .event(let event): events.send(event)
                case .advance(let duration): try test.advance(by: duration)
                }
                next += 1
                if settles || Bool.random(using: &random) { try test.run() }
            }
            if isLast {
                try test.run()
                events.finish()
                try test.advance(by: .seconds(10_000))
                try test.finish()
            } else {
                try suspend(test)
                // What the source had not sent is the next piece's.
                next -= events.pending
            }
            outputs += results.received
            now = test.now
        }
        return outputs
    }
}

/// An empty store that takes checkpoints when asked, on a simulated disk.
func continuationStore(seed: UInt64 = 0) -> StateStore {
    var store = StateStore.directory("/store", checkpointEvery: .zero)
    store.fileSystem = SimulatedFileSystem(seed: seed)
    return store
}

extension [Reading] {
    var steps: [RunStep<Reading>] { map { .event($0) } }

    /// The events with processing time passing between them, 0 to `maximum` ns.
    func steps(seed: UInt64, upTo maximum: Duration) -> [RunStep<Reading>] {
        var random = SplitMix64(seed: seed)
        return flatMap { reading -> [RunStep<Reading>] in
            let (seconds, attoseconds) = maximum.components
            let nanoseconds = seconds * 1_000_000_000 + attoseconds / 1_000_000_000
            return [
                .event(reading),
                .advance(.nanoseconds(Int64.random(in: 0...nanoseconds, using: &random))),
            ]
        }
    }
}
