public import Logging
import Synchronization

/// The writing end of a sink; confined to the sink's stage.
public protocol SinkWriter<Element>: AnyObject {
    /// The type of the events.
    associatedtype Element: Sendable

    /// Writes a batch; it counts as written when this returns.
    ///
    /// When it throws, the same events come again, as often as the `attempts` of the sink's supervisor say, then one by
    /// one: an event that fails as often alone goes to the dead letters, the others are written. So events may be
    /// written more than once unless the writer sees to that.
    ///
    /// The task is cancelled when the run is: what waits for a receiver has to end then, for instance by throwing
    /// `CancellationError`, or the run can't.
    func write(_ batch: Batch<Element>) async throws

    /// Called when there is nothing more to write for now.
    func flush() async throws

    /// Called once after the last batch, also when the run is cancelled.
    func close() async throws
}

extension SinkWriter {
    /// Does nothing.
    public func flush() async throws {}

    /// Does nothing.
    public func close() async throws {}
}

/// A writer whose output becomes final only with a checkpoint: exactly once, together with a store.
///
/// Without a store, or when it is retried within a run, `write` counts as for any writer.
public protocol TransactionalSinkWriter<Element>: SinkWriter {
    /// Makes what was written so far durable, but not yet final: part of a checkpoint.
    ///
    /// - Parameter checkpoint: The checkpoint's number; `Int.max` for what is left when all streams
    ///   have ended.
    /// - Returns: What a run that begins with this checkpoint needs to make it final: it comes back
    ///   as ``SinkContext/restoredState``.
    func prepare(checkpoint: Int) async throws -> [UInt8]

    /// The checkpoint of this number is durable: makes final what was prepared for it and for those
    /// before. May come again for the same checkpoint.
    func commit(checkpoint: Int) async throws
}

/// A writer with nothing in it that could have gone bad: a restart of its stage leaves it as it is.
@usableFromInline
protocol LastingWriter: AnyObject {}

/// An error that says that the sink is away or broken, whatever the event: a full disk, a lost connection.
///
/// A write that fails with one is retried for as long as the intensity of the sink's supervisor allows; no event is
/// given up for it. The errors of the built-in files and connections are such errors.
public protocol SinkUnavailable: Error {}

/// Where events go to.
public struct Sink<Element: Sendable>: Sendable {
    @usableFromInline let label: String
    @usableFromInline let name: String?
    let endpoint: String?
    @usableFromInline let open: @Sendable (SinkContext) async throws -> AnySinkWriter
    /// An outlet has no writer: its consumer takes the batches.
    let outlet: String?

    /// Creates a sink.
    ///
    /// - Parameters:
    ///   - label: What kind of sink it is, for drawings and logs.
    ///   - name: The name of the sink's stage; made from the label when nil.
    ///   - endpoint: What only one sink of a topology may have; nil for none.
    ///   - open: Makes the writer, when the run starts and after each restart of the stage.
    @inlinable
    public init(
        _ label: String, name: String? = nil, endpoint: String? = nil,
        open: @escaping @Sendable (SinkContext) async throws -> any SinkWriter<Element>
    ) {
        self.init(label: label, name: name, endpoint: endpoint, outlet: nil) { context in
            let writer = try await open(context)
            var transactions: SinkTransactions?
            if let writer = writer as? any TransactionalSinkWriter<Element> {
                transactions = SinkTransactions(
                    prepare: { try await writer.prepare(checkpoint: $0) },
                    commit: { try await writer.commit(checkpoint: $0) })
            }
            var opened = AnySinkWriter(
                write: { batch in
                    try await writer.write(
                        unsafeDowncast(batch, to: BatchBox<Element>.self).batch)
                }, flush: { try await writer.flush() }, close: { try await writer.close() },
                transactions: transactions, isLasting: writer is any LastingWriter)
            if let writer = writer as? ImmediateWriter<Element> {
                opened.writeNow = {
                    try writer.callback(unsafeDowncast($0, to: BatchBox<Element>.self).batch)
                }
            }
            return opened
        }
    }

    init(outlet: String) {
        self.init(label: "outlet", name: outlet, endpoint: "outlet \(outlet)", outlet: outlet) {
            _ in AnySinkWriter(write: { _ in }, flush: {}, close: {})
        }
    }

    @usableFromInline
    init(
        label: String, name: String?, endpoint: String?, outlet: String?,
        open: @escaping @Sendable (SinkContext) async throws -> AnySinkWriter
    ) {
        self.label = label
        self.name = name
        self.endpoint = endpoint
        self.outlet = outlet
        self.open = open
    }

    /// The same sink under a stage name of its own.
    public func named(_ name: String) -> Sink {
        Sink(label: label, name: name, endpoint: endpoint, outlet: outlet, open: open)
    }

    @usableFromInline
    var definition: SinkDefinition { SinkDefinition(endpoint: endpoint, outlet: outlet) }

    @inlinable
    func makeReceiver(_ scope: StageScope) -> AnyReceiver {
        let runner = SinkRunner(open: open, scope: scope)
        return AnyReceiver(
            Receiver<Element>(
                batch: { (batch: consuming Batch<Element>) in
                    if !batch.isEmpty { runner.receive(scope.box(batch)) }
                },
                signal: { _ in }))
    }
}

/// A writer without its element type.
@usableFromInline
package struct AnySinkWriter {
    let write: (any AnyBatch) async throws -> Void
    let flush: () async throws -> Void
    let close: () async throws -> Void
    let transactions: SinkTransactions?
    /// Writes without waiting; nil for a writer that may have to wait.
    @usableFromInline var writeNow: ((any AnyBatch) throws -> Void)?
    /// Whether a restart leaves it as it is.
    let isLasting: Bool

    @usableFromInline
    package init(
        write: @escaping (any AnyBatch) async throws -> Void,
        flush: @escaping () async throws -> Void, close: @escaping () async throws -> Void,
        transactions: SinkTransactions? = nil, isLasting: Bool = false
    ) {
        self.isLasting = isLasting
        self.write = write
        self.flush = flush
        self.close = close
        self.transactions = transactions
    }
}

/// What a transactional writer does at checkpoints.
@usableFromInline
package struct SinkTransactions {
    let prepare: (Int) async throws -> [UInt8]
    let commit: (Int) async throws -> Void

    @usableFromInline
    package init(
        prepare: @escaping (Int) async throws -> [UInt8],
        commit: @escaping (Int) async throws -> Void
    ) {
        self.prepare = prepare
        self.commit = commit
    }
}

@usableFromInline
package struct SinkDefinition: Sendable {
    package let endpoint: String?
    package let outlet: String?
}

/// What a sink may use.
public struct SinkContext: Sendable {
    /// The name of the stage.
    public let stage: String

    /// The run's logger.
    public let logger: Logger

    /// What the sources and sinks of the run share, such as servers.
    public let resources: RunResources

    /// What a ``TransactionalSinkWriter`` had prepared for the checkpoint that the run begins with;
    /// nil when there is none, and when the writer is opened again later in the run.
    public internal(set) var restoredState: [UInt8]?

    package let environment: RunEnvironment
    package let metrics: StageMetrics

    /// Whether the run takes checkpoints.
    public var hasStore: Bool { environment.checkpoints != nil }

    /// Processing time, virtual in a test.
    public var now: EventTime { environment.clock.now() }

    /// Suspends for a duration of processing time, virtual in a test.
    ///
    /// Throws `CancellationError`.
    public func sleep(for duration: Duration) async throws {
        try await environment.clock.sleep(for: duration)
    }

    /// Counts events that the sink dropped by a policy of its own, such as a receiver that is too slow.
    public func countDropped(_ count: Int) {
        metrics.countDropped(count, reason: .slowConsumer)
    }

    /// Gives an event up.
    public func deadLetter(_ event: any Sendable, reason: String) {
        metrics.deadLetters.add(1, ordering: .relaxed)
        environment.deadLetters.append(
            DeadLetter(stage: stage, event: event, reason: reason, attempts: 1, time: now))
    }
}

/// The asynchronous half of a sink's stage.
package protocol SinkDriver: AnyObject {
    /// Opens the writer, so that a sink that can't be opened shows before the first event.
    func open() async throws
    /// Writes what the committed batch has left; throws what the writer throws and keeps what is not written.
    func writePending() async throws
    /// Does the same if that needs no waiting; false when something is left, such as an error for ``writePending()``.
    func writePendingNow() -> Bool
    /// Whether no write ever waits.
    var neverWaits: Bool { get }
    func flush() async throws
    func close() async throws
    /// Forgets the writer, so that the next write opens it anew.
    func reset() async
    /// Whether what it writes becomes final only with a checkpoint.
    var isTransactional: Bool { get }
    /// Makes durable what was written so far, as part of a checkpoint; what it returns is kept in it.
    func prepare(checkpoint: Int) async throws -> [UInt8]?
    /// Makes final what was prepared for this checkpoint and those before.
    func commit(checkpoint: Int) async throws
    /// Takes note of what the checkpoint holds with which the run begins; before `open`.
    func restore(_ state: [UInt8])
    /// Takes the events out that have not been written.
    func abandonPending() -> [any Sendable]
    /// Takes the batch out that stands first.
    func abandonFirst() -> (any AnyBatch)?
    /// Makes a batch of each event of the one that stands first; false when it has but one.
    func isolateFirst() -> Bool
    var hasPending: Bool { get }
    var pendingBatches: Int { get }
}

/// The sink of a stage: takes what a batch leaves and writes it when the batch is done.
@usableFromInline
final class SinkRunner: SinkDriver {
    private let makeWriter: @Sendable (SinkContext) async throws -> AnySinkWriter
    private var context: SinkContext
    private var writer: AnySinkWriter?
    private var pending: [any AnyBatch] = []
    /// Why the first batch could not be written at once.
    private var failure: (any Error)?

    @usableFromInline
    init(
        open: @escaping @Sendable (SinkContext) async throws -> AnySinkWriter, scope: StageScope
    ) {
        makeWriter = open
        context = SinkContext(
            stage: scope.name, logger: scope.logger, resources: scope.environment.resources,
            restoredState: nil, environment: scope.environment, metrics: scope.metrics)
        scope.writers.append(self)
    }

    @usableFromInline
    func receive(_ batch: any AnyBatch) {
        pending.append(batch)
    }

    var hasPending: Bool { !pending.isEmpty }

    var pendingBatches: Int { pending.count }

    func isolateFirst() -> Bool {
        guard let first = pending.first, first.count > 1 else { return false }
        pending.replaceSubrange(0...0, with: (0..<first.count).map { first.slice($0..<($0 + 1)) })
        return true
    }

    func abandonFirst() -> (any AnyBatch)? {
        pending.isEmpty ? nil : pending.removeFirst()
    }

    func open() async throws {
        _ = try await openedWriter()
    }

    private func openedWriter() async throws -> AnySinkWriter {
        if let writer { return writer }
        let opened =
            if let substitutes = context.environment.substitutes {
                substitutes.writer(for: context.stage)
            } else {
                try await makeWriter(context)
            }
        writer = opened
        context.restoredState = nil
        return opened
    }

    var isTransactional: Bool { writer?.transactions != nil }

    func prepare(checkpoint: Int) async throws -> [UInt8]? {
        try await openedWriter().transactions?.prepare(checkpoint)
    }

    func commit(checkpoint: Int) async throws {
        try await openedWriter().transactions?.commit(checkpoint)
    }

    func restore(_ state: [UInt8]) {
        context.restoredState = state
    }

    var neverWaits: Bool { writer?.writeNow != nil }

    func writePendingNow() -> Bool {
        guard !pending.isEmpty else { return true }
        guard failure == nil, let writeNow = writer?.writeNow else { return false }
        context.metrics.activity = .writing
        defer { context.metrics.activity = .handling }
        while let batch = pending.first {
            do {
                try writeNow(batch)
            } catch {
                failure = error
                return false
            }
            context.metrics.eventsOut.advance(by: batch.count)
            pending.removeFirst()
        }
        return true
    }

    func writePending() async throws {
        if let error = failure.take() { throw error }
        let writer = try await openedWriter()
        while let batch = pending.first {
            try await writer.write(batch)
            context.metrics.eventsOut.advance(by: batch.count)
            pending.removeFirst()
        }
    }

    func flush() async throws {
        try await writer?.flush()
    }

    func close() async throws {
        defer { writer = nil }
        try await writer?.close()
    }

    func reset() async {
        if writer?.isLasting ?? false { return }
        // The writer has failed already; what its close says would hide the reason.
        try? await writer?.close()
        writer = nil
    }

    func abandonPending() -> [any Sendable] {
        defer { pending.removeAll() }
        return pending.flatMap { batch in (0..<batch.count).map { batch.event(at: $0) } }
    }
}

/// A writer made of a closure.
@usableFromInline
final class CallbackWriter<Element: Sendable>: SinkWriter {
    @usableFromInline let callback: (Batch<Element>) async throws -> Void

    @inlinable
    init(_ callback: @escaping (Batch<Element>) async throws -> Void) {
        self.callback = callback
    }

    @inlinable
    func write(_ batch: Batch<Element>) async throws {
        try await callback(batch)
    }
}
