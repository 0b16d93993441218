/// A place where any number of consumers can be attached to a running topology, and leave again: each
/// gets all events from then on.
///
/// ```swift
/// let hub = BroadcastHub<Payment>()
/// let running = try await Topology("payments") { payments.sink(hub.sink) }.start()
/// let consumer = try hub.attach(whenFull: .dropOldest)
/// Task { for try await payment in consumer { print(payment) } }
/// try await running.waitUntilFinished()
/// ```
///
/// As long as nobody is attached, events go nowhere, unless it waits for a number of consumers. What consumers get is
/// at most once: it is not repeated after a crash, except where the topology handles the events anew.
public final class BroadcastHub<Element: Sendable>: Sendable {
    private let attached: HubConsumers<Element>
    private let minimum: Int

    /// Creates a hub.
    ///
    /// - Parameters:
    ///   - minimumConsumers: Upstream is suspended while fewer consumers are attached. Default 0: events
    ///     that nobody takes are gone.
    ///   - maximumConsumers: How many may be attached at a time. Default 10,000.
    public init(waitingFor minimumConsumers: Int = 0, maximumConsumers: Int = 10_000) {
        minimum = max(0, minimumConsumers)
        attached = HubConsumers(maximum: maximumConsumers)
    }

    /// How many consumers are attached.
    public var consumers: Int { attached.all.count }

    /// The sink that gives events to the consumers; for one running topology at a time.
    ///
    /// **Suspends upstream when** a consumer whose policy is `wait` is full, or too few are attached.
    /// **Finishes when** the input ends: the consumers then see the end.
    public var sink: Sink<Element> {
        let (attached, minimum) = (attached, minimum)
        return Sink("broadcastHub") { context in
            context.metrics.show(live: .hubMembers) { Double(attached.all.count) }
            return HubWriter(attached) { event in
                var isGiven = false
                repeat {
                    if minimum > 0 { try await attached.wait(for: minimum) }
                    let consumers = attached.all
                    for consumer in consumers {
                        if try await attached.give(event, to: consumer) { isGiven = true }
                    }
                    // Those that there were may all have left instead of taking it.
                } while minimum > 0 && !isGiven
            }
        }
    }

    /// Attaches a consumer.
    ///
    /// - Parameters:
    ///   - capacity: How many events wait for it, at least 1. Default 256.
    ///   - policy: What happens when that is full. Default: all wait for it.
    /// - Throws: ``HubError`` `finished` or `tooManyAttached`.
    public func attach(
        buffer capacity: Int = 256, whenFull policy: SlowConsumerPolicy = .wait
    ) throws -> HubConsumer<Element> {
        try attached.attach(capacity, policy)
    }
}

/// A place where any number of consumers can be attached to a running topology, and leave again: each
/// event goes to one of them.
///
/// As long as nobody is attached, upstream is suspended. See ``BroadcastHub``.
public final class PartitionHub<Element: Sendable>: Sendable {
    private let attached: HubConsumers<Element>
    private let hash: @Sendable (Element) -> UInt64

    /// Creates a hub that gives events of the same key to the same consumer, as long as that is attached.
    ///
    /// When a consumer comes or leaves, only keys that it gets or had change their consumer (rendezvous hashing, Thaler
    /// and Ravishankar 1998).
    ///
    /// - Parameters:
    ///   - maximumConsumers: How many may be attached at a time. Default 10,000.
    ///   - key: The key of an event; a pure function.
    public init<Key: Hashable & Codable & Sendable>(
        maximumConsumers: Int = 10_000, by key: @escaping @Sendable (Element) -> Key
    ) {
        attached = HubConsumers(maximum: maximumConsumers)
        hash = { stableHash(key($0)) }
    }

    /// How many consumers are attached.
    public var consumers: Int { attached.all.count }

    /// The sink that gives events to the consumers; for one running topology at a time.
    ///
    /// **Suspends upstream when** the consumer of an event is full and its policy is `wait`, or nobody is attached.
    /// **Finishes when** the input ends: the consumers then see the end.
    public var sink: Sink<Element> {
        let (attached, hash) = (attached, hash)
        return Sink("partitionHub") { context in
            context.metrics.show(live: .hubMembers) { Double(attached.all.count) }
            return HubWriter(attached) { event in
                let value = hash(event)
                while true {
                    try await attached.wait(for: 1)
                    let chosen = attached.all.max { left, right in
                        Self.weight(of: left.id, value) < Self.weight(of: right.id, value)
                    }
                    // One that leaves instead of taking it leaves it to another one.
                    if let chosen, try await attached.give(event, to: chosen) { return }
                }
            }
        }
    }

    private static func weight(of consumer: UInt64, _ hash: UInt64) -> UInt64 {
        foldedMultiply(
            hash ^ 0x9e37_79b9_7f4a_7c15, consumer &* 0xff51_afd7_ed55_8ccd ^ 0x2545_f491_4f6c_dd1d)
    }

    /// Attaches a consumer; see ``BroadcastHub/attach(buffer:whenFull:)``.
    ///
    /// - Throws: ``HubError`` `finished` or `tooManyAttached`.
    public func attach(
        buffer capacity: Int = 256, whenFull policy: SlowConsumerPolicy = .wait
    ) throws -> HubConsumer<Element> {
        try attached.attach(capacity, policy)
    }
}

/// Gives the events of a sink to a hub; its consumers don't notice a restart of the stage.
private final class HubWriter<Element: Sendable>: SinkWriter, LastingWriter {
    private let attached: HubConsumers<Element>
    private let give: (Element) async throws -> Void

    init(_ attached: HubConsumers<Element>, _ give: @escaping (Element) async throws -> Void) {
        self.attached = attached
        self.give = give
        attached.begin()
    }

    func write(_ batch: Batch<Element>) async throws {
        for event in batch.elements { try await give(event) }
    }

    func close() async throws {
        attached.finish()
    }
}
