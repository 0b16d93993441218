import Synchronization
import Testing
import WeirTesting

@testable import WeirCore

/// A run whose source takes in what a test submits, on a disk in memory.
private struct IngestRun {
    let test: TopologyTest
    let sink = SinkProbe<Int>("out")
    private let shared = Shared()

    private final class Shared: Sendable {
        let journal = Mutex<IngestJournal?>(nil)
    }

    private struct NoNumber: Error {}

    init(_ store: StateStore, _ limits: IngestLimits) throws {
        let (sink, shared) = (sink, shared)
        let source = Source<Int>("in") { inlet in
            guard let journal = try await inlet.context.ingestJournal(limits) else { return }
            let delivery = IngestDelivery(journal: journal, inlet: inlet) { _ in
                { bytes, batch in
                    guard let number = Int(String(decoding: bytes, as: UTF8.self)) else {
                        throw NoNumber()
                    }
                    batch.append(number)
                }
            }
            try await delivery.begin()
            shared.journal.withLock { $0 = journal }
            try await withTaskCancellationHandler {
                try await delivery.run()
            } onCancel: {
                journal.finish()
            }
        }
        var configuration = TopologyTest.configuration
        configuration.store = store
        test = try TopologyTest(
            Topology("ingest") { EventStream("in", from: source).sink(sink.sink) },
            configuration: configuration)
        try test.run()
    }

    var journal: IngestJournal {
        get throws { try #require(shared.journal.withLock { $0 }) }
    }

    /// Submits texts as the messages of one record, and lets the stage handle them.
    func submit(_ texts: String...) throws {
        var record = IngestRecord(origin: "here")
        for text in texts { Array(text.utf8).withUnsafeBytes { record.append($0) } }
        #expect(try journal.submit(record))
        try test.run()
    }

    @discardableResult
    func checkpoint() throws -> Int {
        let running = test.running
        return try test.perform("checkpoint") { try await running.checkpoint() }
    }

    func suspend() throws {
        let running = test.running
        _ = try test.perform("suspend") { try await running.suspend() }
    }
}

@Suite struct `A source with an ingest journal` {
    private static var limits: IngestLimits {
        var limits = IngestLimits()
        limits.segmentBytes = 4_096
        limits.journalBytes = 16_384
        return limits
    }

    private func store(keeping: Int) -> StateStore {
        var store = continuationStore()
        store.keeping = keeping
        return store
    }

    @Test func `lets go of what is no event`() throws {
        let run = try IngestRun(store(keeping: 1), Self.limits)
        let rubbish = String(repeating: "x", count: 1_000)
        for round in 1...100 {
            try run.submit(rubbish)
            if round % 5 == 0 {
                try run.checkpoint()
                try #require(try run.journal.trouble == nil, "round \(round)")
            }
        }
        #expect(run.test.running.deadLetters.total == 100)
        try run.submit("1")
        #expect(run.sink.received == [1])
        try run.test.cancel()
    }

    @Test(arguments: 0..<20 as Range<UInt64>)
    func `handles each message once over restarts, whether it is an event or not`(
        _ seed: UInt64
    ) throws {
        let store = store(keeping: 2)
        var random = SplitMix64(seed: seed)
        var (received, rubbish, next, refused): ([Int], Int, Int, Int) = ([], 0, 0, 0)
        for _ in 0..<6 {
            let run = try IngestRun(store, IngestLimits())
            for _ in 0..<Int.random(in: 0...6, using: &random) {
                if Bool.random(using: &random) {
                    try run.submit("\(next)", "x", "\(next + 1)", "y")
                    next += 2
                    rubbish += 2
                } else {
                    try run.submit("x", "y", "z")
                    rubbish += 3
                }
                if Bool.random(using: &random) { try run.checkpoint() }
            }
            try run.suspend()
            received += run.sink.received
            refused += run.test.running.deadLetters.total
        }
        #expect(received == Array(0..<next))
        #expect(refused == rubbish)
    }

    @Test func `can go back to each checkpoint that is kept`() throws {
        var store = store(keeping: 3)
        var limits = Self.limits
        limits.journalBytes = 1 << 20
        var number = 0
        // The second run takes one checkpoint, and keeps two of the first one's.
        for checkpoints in [3, 1] {
            let run = try IngestRun(store, limits)
            for _ in 0..<checkpoints {
                for _ in 0..<20 {
                    try run.submit("\(number)", String(repeating: "x", count: 500))
                    number += 1
                }
                try run.checkpoint()
            }
            try run.test.cancel()
        }
        store.start = .checkpoint(2)
        let run = try IngestRun(store, limits)
        #expect(run.sink.received == Array(40..<80))
        try run.test.cancel()
    }
}
