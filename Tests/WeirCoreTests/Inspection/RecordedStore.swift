import Logging
import Synchronization

@testable import WeirCore

/// A store whose ingest journal a test fills, with a topology that reads it.
///
/// A message is a number as text; `x` can't be decoded.
struct RecordedStore {
    let directory: TemporaryDirectory
    var store: StateStore { .directory(directory("store"), checkpointEvery: .zero) }

    init() throws {
        directory = try TemporaryDirectory()
    }

    static var quiet: RunConfiguration {
        var configuration = RunConfiguration()
        configuration.metricsInterval = .zero
        configuration.logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        return configuration
    }

    /// Fills the journal of a source: a record for each time, with its messages.
    func record(
        _ records: [(second: Int64, messages: [String])], of source: String = "numbers"
    ) async throws {
        let directory = CheckpointDirectory(store)
        var limits = IngestLimits()
        limits.segmentBytes = 1 << 16
        let journal = IngestJournal(
            directory: directory.ingestDirectory(of: source), stage: source,
            files: directory.files, options: limits,
            logger: Self.quiet.logger, isInline: true)
        try await journal.open(from: nil)
        for (second, messages) in records {
            var record = IngestRecord(
                origin: "test", time: EventTime(milliseconds: second * 1_000))
            for message in messages { Array(message.utf8).withUnsafeBytes { record.append($0) } }
            _ = journal.submit(record)
        }
        await journal.flush()
        await journal.close()
    }

    /// A source that a replay can feed; in a run it sends what it is told.
    static func source(_ sent: [(numbers: [Int], position: Int64)] = []) -> Source<Int> {
        Source<Int>("recorded") { inlet in
            for (numbers, position) in sent where position > inlet.position?.offset ?? 0 {
                var batch = Batch<Int>()
                for number in numbers { batch.append(number) }
                try await inlet.send(batch, position: SourcePosition(offset: position))
            }
            try await inlet.context.sleep(for: .seconds(1_000_000))
        }.recorded { bytes, batch in
            guard let number = Int(String(decoding: bytes, as: UTF8.self)) else {
                throw InvalidNumber()
            }
            batch.append(number)
        }
    }

    struct InvalidNumber: Error {}

    /// Running totals of the numbers' last digits.
    static func totals(
        _ source: Source<Int>, name: String = "totals", above limit: Int = 0
    ) -> Topology {
        Topology("recorded") {
            EventStream("numbers", from: source)
                .keyed(by: { $0 % 10 })
                .reduce(into: 0, name: name) { $0 += $1 }
                .filter { $0.value > limit }
                .map { "\($0.key): \($0.value)" }
                .sink(.print.named("out"))
        }
    }
}

/// What a replay has handed over.
final class Emitted: Sendable {
    private let state = Mutex<(events: [ReplayedEvent], steps: [ReplayStep])>(([], []))

    func add(_ event: ReplayedEvent) { state.withLock { $0.events.append(event) } }
    func add(_ step: ReplayStep) { state.withLock { $0.steps.append(step) } }

    var texts: [String] { state.withLock { $0.events.map { "\($0.event)" } } }
    var lines: [String] { state.withLock { $0.events.map { "\($0.sink) \($0.json)" } } }
    var steps: [ReplayStep] { state.withLock { $0.steps } }
}
