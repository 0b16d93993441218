import Synchronization

/// A place where any number of producers can be attached to a running topology, and leave again.
///
/// ```swift
/// let hub = MergeHub<Payment>()
/// let topology = Topology("payments") {
///     EventStream("payments", from: hub.source).sink(.print)
/// }
/// let running = try await topology.start()
/// let producer = try hub.attach()
/// try await producer.send(Payment(card: "4111", amount: 1, at: EventTime()))
/// producer.finish()
/// hub.finish()
/// try await running.waitUntilFinished()
/// ```
///
/// Events of one producer keep their order; between producers that wait it is first come, first served. An
/// event that the hub has taken is not yet handled, and not in a checkpoint: after a crash it has to be sent again.
public final class MergeHub<Element: Sendable>: Sendable {
    /// One producer's way into the hub; when the last copy of it is gone, it has left.
    public final class Producer: Sendable {
        private let hub: MergeHub
        private let isAttached = Mutex(true)

        init(_ hub: MergeHub) {
            self.hub = hub
        }

        deinit {
            if isAttached.withLock({ $0 }) { hub.detach() }
        }

        /// Sends an event, waiting for room in the hub.
        ///
        /// - Throws: ``HubError`` `finished` when the producer or the hub is; `CancellationError`. In both cases the
        ///   event was not taken.
        public func send(_ event: Element) async throws {
            guard isAttached.withLock({ $0 }) else { throw HubError.finished }
            do {
                try await hub.buffer.send(event)
            } catch is HubBuffer<Element>.Refusal {
                throw HubError.finished
            }
        }

        /// Sends an event if the hub has room for it; false if not, or if the hub is finished.
        public func trySend(_ event: Element) -> Bool {
            isAttached.withLock { $0 } && hub.buffer.trySend(event)
        }

        /// Leaves the hub; sends nothing more.
        public func finish() {
            let wasAttached = isAttached.withLock { isAttached in
                defer { isAttached = false }
                return isAttached
            }
            if wasAttached { hub.detach() }
        }
    }

    fileprivate struct State: Sendable {
        var producers = 0
        var isFinishing = false
    }

    let buffer: HubBuffer<Element>
    /// How many producers may be attached at a time.
    public let maximumProducers: Int
    private let state = Mutex(State())

    /// Creates a hub.
    ///
    /// - Parameters:
    ///   - capacity: How many events wait for the topology before producers wait, at least 1.
    ///     Default 1,024.
    ///   - maximumProducers: How many producers may be attached at a time. Default 10,000.
    public init(capacity: Int = 1_024, maximumProducers: Int = 10_000) {
        buffer = HubBuffer(capacity: capacity)
        self.maximumProducers = max(1, maximumProducers)
    }

    /// The source that a topology takes the events from; for one running topology at a time.
    ///
    /// **Emits when** a producer sends. **Suspends upstream when** its stage is full: the hub then fills, and
    /// producers wait. **Finishes when** the hub is finished and all producers have left.
    /// **Cancels when** the topology drains; what waits in the hub stays there.
    public var source: Source<Element> {
        return Source("mergeHub") { [self] inlet in
            inlet.context.metrics.show(live: .hubMembers) { Double(self.producers) }
            while let events = try await buffer.take() {
                var batch = Batch<Element>()
                batch.elements.append(contentsOf: events)
                try await inlet.send(batch)
            }
        }
    }

    /// How many producers are attached.
    public var producers: Int { state.withLock { $0.producers } }

    /// Attaches a producer.
    ///
    /// - Throws: ``HubError`` `finished` or `tooManyAttached`.
    public func attach() throws -> Producer {
        try state.withLock { state throws(HubError) in
            if state.isFinishing { throw HubError.finished }
            if state.producers >= maximumProducers {
                throw HubError.tooManyAttached(maximumProducers)
            }
            state.producers += 1
        }
        return Producer(self)
    }

    /// Attaches no more producers; the stream ends when those that are attached have left.
    public func finish() {
        let isDone = state.withLock { state in
            state.isFinishing = true
            return state.producers == 0
        }
        if isDone { buffer.finish() }
    }

    fileprivate func detach() {
        let isDone = state.withLock { state in
            state.producers -= 1
            return state.isFinishing && state.producers == 0
        }
        if isDone { buffer.finish() }
    }
}
