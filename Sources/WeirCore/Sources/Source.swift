import Synchronization
public import Logging

/// Where events come from.
///
/// A source is described by a closure that runs for as long as events come: it sends them into an ``Inlet`` and returns
/// when there are no more. It is cancelled when the topology drains, and called anew when its supervisor restarts it.
public struct Source<Element: Sendable>: Sendable {
    let label: String
    let endpoint: String?
    let run: @Sendable (Inlet<Element>) async throws -> Void

    /// Creates a source.
    ///
    /// - Parameters:
    ///   - label: What kind of source it is, for drawings and logs.
    ///   - endpoint: What only one source of a topology may have, such as a port and path; nil for none.
    ///   - run: Sends the events; returns when there are no more, throws what its supervisor is to handle. It is
    ///     cancelled when the topology drains: it then returns soon, having sent what it has taken from outside.
    public init(
        _ label: String, endpoint: String? = nil,
        run: @escaping @Sendable (Inlet<Element>) async throws -> Void
    ) {
        self.label = label
        self.endpoint = endpoint
        self.run = run
    }

    var definition: SourceDefinition {
        let run = run
        return SourceDefinition(endpoint: endpoint) { mailbox, context in
            let core = InletCore<Element>(mailbox: mailbox, batchSize: context.batchSize)
            mailbox.attach(core)
            let inlet = Inlet(core: core, context: context)
            return RunnableSource(run: { try await run(inlet) }, flush: { try await core.flush() })
        }
    }
}

/// A source without its element type.
package struct SourceDefinition: Sendable {
    package let endpoint: String?
    package let connect: @Sendable (Mailbox, SourceContext) -> RunnableSource
}

/// A source bound to the mailbox it feeds.
package struct RunnableSource: Sendable {
    package let run: @Sendable () async throws -> Void
    package let flush: @Sendable () async throws -> Void
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

    var batchSize: Int { environment.batchSize }

    /// The largest number of events a batch should have.
    public var preferredBatchSize: Int { environment.batchSize }

    /// Processing time, virtual in a test.
    public var now: EventTime { environment.clock.now() }

    /// Suspends for a duration of processing time, virtual in a test. Throws `CancellationError`.
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
