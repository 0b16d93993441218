import DequeModule
import Synchronization
public import WeirCore

/// A source that a test drives: it sends what the test tells it to, when the test lets things happen.
///
/// The probe itself is unbounded, so that telling never waits; ``pending`` is what the topology has not taken yet.
public final class SourceProbe<Element: Sendable>: Sendable {
    private enum Step: Sendable {
        case batch(Batch<Element>)
        case event(Element, EventTime)
        case signal(Signal)
        case failure(any Error)
        case end
    }

    private struct Locked: Sendable {
        var steps = Deque<Step>()
        var pending = 0
        var starts = 0
        var isStopped = false
        var hasEnded = false
    }

    private let locked = Mutex(Locked())
    private let hasSteps = Gate(isOpen: false)

    /// Creates a probe, for one topology.
    public init() {}

    /// The source to build the topology with.
    public var source: Source<Element> {
        Source("probe") { [self] inlet in try await feed(inlet) }
    }

    // MARK: What the test tells

    /// Sends events without event times, one by one.
    public func send(_ events: Element...) {
        for event in events { add(.event(event, .min), weight: 1) }
    }

    /// Sends the events of a sequence without event times, one by one.
    public func send(contentsOf events: some Sequence<Element>) {
        for event in events { add(.event(event, .min), weight: 1) }
    }

    /// Sends an event with its event time.
    public func send(_ event: Element, at time: EventTime) {
        add(.event(event, time), weight: 1)
    }

    /// Sends several events in one piece.
    public func send(_ batch: Batch<Element>) {
        add(.batch(batch), weight: batch.count)
    }

    /// Says that no event at or before this time will follow, as if an operator behind the source had.
    package func sendWatermark(_ time: EventTime) {
        add(.signal(.watermark(time)), weight: 0)
    }

    /// Says that nothing is expected for now.
    package func sendIdle() {
        add(.signal(.idle), weight: 0)
    }

    /// Fails with an error, after what was sent before; the supervisor decides what follows.
    public func fail(_ error: any Error) {
        add(.failure(error), weight: 0)
    }

    /// Ends, after what was sent before.
    public func finish() {
        add(.end, weight: 0)
    }

    private func add(_ step: Step, weight: Int) {
        locked.withLock { locked in
            locked.steps.append(step)
            locked.pending += weight
        }
        hasSteps.open()
    }

    // MARK: What the test sees

    /// The number of events that the topology has not taken yet: more than 0 at rest means backpressure.
    public var pending: Int { locked.withLock { $0.pending } }

    /// How often the source was started: 1, and 1 more for each restart.
    public var starts: Int { locked.withLock { $0.starts } }

    /// Whether the source was asked to stop, as when the topology drains.
    public var isStopped: Bool { locked.withLock { $0.isStopped } }

    // MARK: Feeding

    private func feed(_ inlet: Inlet<Element>) async throws {
        let hasEnded = locked.withLock { locked in
            locked.starts += 1
            return locked.hasEnded
        }
        if hasEnded { return }
        do {
            while let step = try await next() {
                switch step {
                case .event(let event, let time):
                    // Counted also when it throws: a cancelled inlet sends it later.
                    defer { locked.withLock { $0.pending -= 1 } }
                    try await inlet.send(event, at: time)
                case .batch(let batch):
                    defer { locked.withLock { $0.pending -= batch.count } }
                    try await inlet.send(batch)
                case .signal(let signal): try await inlet.send(signal)
                case .failure(let error): throw error
                case .end:
                    locked.withLock { $0.hasEnded = true }
                    return
                }
            }
        } catch is CancellationError {
            locked.withLock { $0.isStopped = true }
            throw CancellationError()
        }
    }

    private func next() async throws -> Step? {
        while true {
            try Task.checkCancellation()
            let step = locked.withLock { locked in
                let step = locked.steps.popFirst()
                if step == nil { hasSteps.close() }
                return step
            }
            if let step { return step }
            try await hasSteps.pass()
        }
    }
}
