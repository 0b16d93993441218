public import Logging
import Synchronization

/// Where events come from.
///
/// A source is described by a closure that runs for as long as events come: it sends them into an ``Inlet`` and returns
/// when there are no more. It is cancelled when the topology drains, and called anew when its supervisor restarts it.
public struct Source<Element: Sendable>: Sendable {
    @usableFromInline let label: String
    let endpoint: String?
    @usableFromInline let definition: SourceDefinition

    /// Creates a source.
    ///
    /// - Parameters:
    ///   - label: What kind of source it is, for drawings and logs.
    ///   - endpoint: What only one source of a topology may have, such as a port and path; nil for none.
    ///   - prepare: Sets up what must be there before any event flows, such as a listening socket; what it throws is
    ///     thrown by `start()`.
    ///   - run: Sends the events; returns when there are no more, throws what its supervisor is to handle. It is
    ///     cancelled when the topology drains: it then returns soon, having sent what it has taken from outside.
    @inlinable
    public init(
        _ label: String, endpoint: String? = nil,
        prepare: @escaping @Sendable (SourceContext) async throws -> Void = { _ in },
        run: @escaping @Sendable (Inlet<Element>) async throws -> Void
    ) {
        self.init(
            label: label, endpoint: endpoint,
            definition: SourceDefinition(endpoint: endpoint, prepare: prepare) { mailbox, context in
                let core = InletCore<Element>(
                    mailbox: mailbox, batchSize: context.preferredBatchSize)
                mailbox.attach(core)
                let inlet = Inlet(core: core, context: context)
                return RunnableSource(
                    run: { try await run(inlet) }, flush: { try await core.flush() })
            })
    }

    @usableFromInline
    init(label: String, endpoint: String?, definition: SourceDefinition) {
        self.label = label
        self.endpoint = endpoint
        self.definition = definition
    }
}

/// A source without its element type.
@usableFromInline
package struct SourceDefinition: Sendable {
    package let endpoint: String?
    package let prepare: @Sendable (SourceContext) async throws -> Void
    package let connect: @Sendable (Mailbox, SourceContext) -> RunnableSource
    /// Connects what reads recorded input in place of the source; nil for one without an ingest
    /// journal.
    package var connectRecorded:
        (@Sendable (Mailbox, SourceContext, RecordedInput) -> RunnableSource)?

    @usableFromInline
    package init(
        endpoint: String?, prepare: @escaping @Sendable (SourceContext) async throws -> Void,
        connect: @escaping @Sendable (Mailbox, SourceContext) -> RunnableSource
    ) {
        self.endpoint = endpoint
        self.prepare = prepare
        self.connect = connect
    }
}

/// A source bound to the mailbox it feeds.
@usableFromInline
package struct RunnableSource: Sendable {
    package let run: @Sendable () async throws -> Void
    package let flush: @Sendable () async throws -> Void

    @usableFromInline
    package init(
        run: @escaping @Sendable () async throws -> Void,
        flush: @escaping @Sendable () async throws -> Void
    ) {
        self.run = run
        self.flush = flush
    }
}

/// Where a run's checkpoint has a source go on; known once the run has been set up.
package final class SourceStart: Sendable {
    private let value = Mutex<SourcePosition?>(nil)

    package init() {}

    package var position: SourcePosition? {
        get { value.withLock { $0 } }
        set { value.withLock { $0 = newValue } }
    }
}

/// What a source or component of a running topology may use.
public struct SourceContext: Sendable {
    /// The name of the stage.
    public let stage: String

    /// The run's logger.
    public let logger: Logger

    /// What the sources and sinks of the run share, such as servers.
    public let resources: RunResources

    package let environment: RunEnvironment
    package let metrics: StageMetrics
    package let start: SourceStart

    /// Where the checkpoint says from which the run was restored; nil for the very beginning.
    public var restoredPosition: SourcePosition? { start.position }

    /// Whether the run takes checkpoints.
    public var hasStore: Bool { environment.checkpoints != nil }

    /// The largest number of events a batch should have.
    public var preferredBatchSize: Int { environment.batchSize }

    /// Processing time, virtual in a test.
    public var now: EventTime { environment.clock.now() }

    /// Suspends for a duration of processing time, virtual in a test.
    ///
    /// Throws `CancellationError`.
    public func sleep(for duration: Duration) async throws {
        try await environment.clock.sleep(for: duration)
    }

    /// Gives up something that cannot become an event, such as bytes that do not decode.
    ///
    /// - Parameters:
    ///   - payload: What arrived; bytes as `[UInt8]`.
    ///   - reason: Why it is refused.
    ///   - origin: Where it came from, such as the peer's address.
    public func deadLetter(_ payload: any Sendable, reason: String, origin: String? = nil) {
        metrics.deadLetters.add(1, ordering: .relaxed)
        environment.deadLetters.append(
            DeadLetter(
                stage: stage, event: payload, reason: reason, attempts: 1, time: now, origin: origin
            ))
    }
}
