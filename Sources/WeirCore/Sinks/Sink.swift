import Synchronization
public import Logging

/// The writing end of a sink; confined to the sink's stage.
public protocol SinkWriter<Element>: AnyObject {
    /// The type of the events.
    associatedtype Element: Sendable

    /// Writes a batch. It counts as written when this returns; when it throws, the sink's supervisor decides, and the
    /// same events come again.
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

/// Where events go to.
public struct Sink<Element: Sendable>: Sendable {
    let label: String
    let name: String?
    let endpoint: String?
    let open: @Sendable (SinkContext) async throws -> any SinkWriter<Element>
    /// An outlet has no writer: its consumer takes the batches.
    let outlet: String?

    /// Creates a sink.
    ///
    /// - Parameters:
    ///   - label: What kind of sink it is, for drawings and logs.
    ///   - name: The name of the sink's stage; made from the label when nil.
    ///   - endpoint: What only one sink of a topology may have; nil for none.
    ///   - open: Makes the writer, when the run starts and after each restart of the stage.
    public init(
        _ label: String, name: String? = nil, endpoint: String? = nil,
        open: @escaping @Sendable (SinkContext) async throws -> any SinkWriter<Element>
    ) {
        self.label = label
        self.name = name
        self.endpoint = endpoint
        self.open = open
        outlet = nil
    }

    init(outlet: String) {
        label = "outlet"
        name = outlet
        endpoint = "outlet \(outlet)"
        self.outlet = outlet
        open = { _ in CallbackWriter { _ in } }
    }

    /// The same sink under a stage name of its own.
    public func named(_ name: String) -> Sink {
        Sink(copy: self, name: name)
    }

    private init(copy: Sink, name: String) {
        label = copy.label
        self.name = name
        endpoint = copy.endpoint
        open = copy.open
        outlet = copy.outlet
    }

    var definition: SinkDefinition { SinkDefinition(endpoint: endpoint, outlet: outlet) }

    func makeReceiver(_ scope: StageScope) -> AnyReceiver {
        let runner = SinkRunner(sink: self, scope: scope)
        scope.writers.append(runner)
        return AnyReceiver(runner.receiver)
    }
}

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

    package let environment: RunEnvironment
    package let metrics: StageMetrics

    /// Processing time, virtual in a test.
    public var now: EventTime { environment.clock.now() }

    /// Suspends for a duration of processing time, virtual in a test. Throws `CancellationError`.
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
    func flush() async throws
    func close() async throws
    /// Forgets the writer, so that the next write opens it anew.
    func reset() async
    /// Takes the events out that could not be written.
    func abandonPending() -> [any Sendable]
    var hasPending: Bool { get }
}

private final class SinkRunner<Element: Sendable>: SinkDriver {
    private let sink: Sink<Element>
    private let context: SinkContext
    private var writer: (any SinkWriter<Element>)?
    private var pending: [Batch<Element>] = []

    init(sink: Sink<Element>, scope: StageScope) {
        self.sink = sink
        context = SinkContext(
            stage: scope.name, logger: scope.logger, resources: scope.environment.resources,
            environment: scope.environment, metrics: scope.metrics)
    }

    var receiver: Receiver<Element> {
        Receiver(
            batch: { [unowned self] batch in if !batch.isEmpty { pending.append(batch) } },
            signal: { _ in })
    }

    var hasPending: Bool { !pending.isEmpty }

    func open() async throws {
        _ = try await openedWriter()
    }

    private func openedWriter() async throws -> any SinkWriter<Element> {
        if let writer { return writer }
        let opened = try await sink.open(context)
        writer = opened
        return opened
    }

    func writePending() async throws {
        let writer = try await openedWriter()
        while let batch = pending.first {
            try await writer.write(batch)
            context.metrics.eventsOut.add(batch.count, ordering: .relaxed)
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
        // The writer has failed already; what its close says would hide the reason.
        try? await writer?.close()
        writer = nil
    }

    func abandonPending() -> [any Sendable] {
        defer { pending.removeAll() }
        return pending.flatMap { $0.elements.map { $0 as any Sendable } }
    }
}

/// A writer made of a closure.
final class CallbackWriter<Element: Sendable>: SinkWriter {
    private let callback: (Batch<Element>) async throws -> Void

    init(_ callback: @escaping (Batch<Element>) async throws -> Void) {
        self.callback = callback
    }

    func write(_ batch: Batch<Element>) async throws {
        try await callback(batch)
    }
}
