import Synchronization
public import WeirCore

/// A sink that remembers what it gets, and that a test can hold or make fail.
public final class SinkProbe<Element: Sendable>: Sendable {
    private struct Locked: Sendable {
        var batches: [Batch<Element>] = []
        var failures: [any Error] = []
        var writes = 0
        var opened = 0
        var closed = 0
    }

    private let locked = Mutex(Locked())
    private let gate = Gate(isOpen: true)
    private let name: String?

    /// Creates a probe, for one place in one topology.
    ///
    /// - Parameter name: The name of the sink's stage; nil for one made by the topology.
    public init(_ name: String? = nil) {
        self.name = name
    }

    /// The sink to end a stream with.
    public var sink: Sink<Element> {
        Sink("probe", name: name, open: open)
    }

    private func open(_ context: SinkContext) async throws -> any SinkWriter<Element> {
        Writer(probe: self)
    }

    // MARK: What the test tells

    /// Holds writes from now on: a consumer that is too slow.
    public func pause() { gate.close() }

    /// Lets writes go on.
    public func resume() { gate.open() }

    /// Makes the next write fail; called several times, as many writes.
    public func failNextWrite(_ error: any Error) {
        locked.withLock { $0.failures.append(error) }
    }

    /// Forgets what was received.
    public func reset() {
        locked.withLock { $0.batches.removeAll() }
    }

    // MARK: What the test sees

    /// The events that were written, in order.
    public var received: [Element] { locked.withLock { $0.batches.flatMap(\.elements) } }

    /// The event times of the events that were written; `EventTime.min` for those without.
    public var times: [EventTime] {
        locked.withLock { locked in
            locked.batches.flatMap { batch in (0..<batch.count).map { batch.time(at: $0) } }
        }
    }

    /// The batches as they were written.
    public var batches: [Batch<Element>] { locked.withLock { $0.batches } }

    /// The number of writes that were tried.
    public var writes: Int { locked.withLock { $0.writes } }

    /// How often the sink was opened: at the start, and after each restart of its stage.
    public var opened: Int { locked.withLock { $0.opened } }

    /// Whether every writer that was opened has been closed.
    public var isClosed: Bool { locked.withLock { $0.opened > 0 && $0.closed == $0.opened } }

    private func write(_ batch: Batch<Element>) async throws {
        locked.withLock { $0.writes += 1 }
        try await gate.pass()
        let failure = locked.withLock { locked -> (any Error)? in
            if !locked.failures.isEmpty { return locked.failures.removeFirst() }
            locked.batches.append(batch)
            return nil
        }
        if let failure { throw failure }
    }

    private final class Writer: SinkWriter {
        private let probe: SinkProbe

        init(probe: SinkProbe) {
            self.probe = probe
            probe.locked.withLock { $0.opened += 1 }
        }

        func write(_ batch: Batch<Element>) async throws {
            try await probe.write(batch)
        }

        func close() async throws {
            probe.locked.withLock { $0.closed += 1 }
        }
    }
}
