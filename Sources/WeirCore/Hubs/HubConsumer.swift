import DequeModule
import Synchronization

/// What a hub does when the buffer of one of its consumers is full.
public struct SlowConsumerPolicy: Sendable, Hashable {
    enum Kind: Sendable { case wait, dropOldest, dropNewest, detach }
    let kind: Kind

    /// All wait for it, and upstream is suspended.
    ///
    /// The default.
    public static let wait = SlowConsumerPolicy(kind: .wait)
    /// Its oldest event goes, counted in ``HubConsumer/dropped``.
    public static let dropOldest = SlowConsumerPolicy(kind: .dropOldest)
    /// It does not get the event, counted in ``HubConsumer/dropped``.
    public static let dropNewest = SlowConsumerPolicy(kind: .dropNewest)
    /// It is detached; when it has taken what it has, it gets a ``HubError`` `tooSlow`.
    public static let detach = SlowConsumerPolicy(kind: .detach)
}

/// The events that a consumer gets from a hub, from the moment when it was attached.
///
/// For one iteration. It leaves the hub when it is cancelled, or nobody has it any more.
public final class HubConsumer<Element: Sendable>: AsyncSequence, Sendable {
    let buffer: HubBuffer<Element>
    let policy: SlowConsumerPolicy
    private let detach: @Sendable () -> Void

    init(
        _ buffer: HubBuffer<Element>, _ policy: SlowConsumerPolicy,
        detach: @escaping @Sendable () -> Void
    ) {
        self.buffer = buffer
        self.policy = policy
        self.detach = detach
    }

    deinit {
        cancel()
    }

    /// How many events it did not get because it was too slow.
    public var dropped: Int { buffer.dropped }

    /// Leaves the hub; what is in the buffer can still be taken.
    public func cancel() {
        detach()
        buffer.finish()
    }

    /// Starts taking.
    public func makeAsyncIterator() -> Iterator {
        Iterator(consumer: self)
    }

    /// Takes event by event.
    public struct Iterator: AsyncIteratorProtocol {
        private let consumer: HubConsumer
        private var taken = Deque<Element>()

        init(consumer: HubConsumer) {
            self.consumer = consumer
        }

        /// The next event; nil at the end.
        ///
        /// - Throws: ``HubError`` `tooSlow`, or `CancellationError`.
        public mutating func next() async throws -> Element? {
            if taken.isEmpty {
                guard let more = try await consumer.buffer.take() else { return nil }
                taken = more
            }
            return taken.popFirst()
        }
    }
}

/// The consumers of a hub, in the order in which they came.
final class HubConsumers<Element: Sendable>: Sendable {
    struct Attached: Sendable {
        let id: UInt64
        let buffer: HubBuffer<Element>
        let policy: SlowConsumerPolicy
    }

    private struct State: Sendable {
        var attached: [Attached] = []
        var nextID: UInt64 = 0
        var isFinished = false
        var waiters: [UInt64: (minimum: Int, continuation: UnsafeContinuation<Void, Never>)] = [:]
        var nextWaiter: UInt64 = 0
    }

    let maximum: Int
    private let state = Mutex(State())

    init(maximum: Int) {
        self.maximum = max(1, maximum)
    }

    var all: [Attached] { state.withLock { $0.attached } }

    func attach(_ capacity: Int, _ policy: SlowConsumerPolicy) throws -> HubConsumer<Element> {
        let buffer = HubBuffer<Element>(capacity: capacity)
        let (id, ready) = try state.withLock {
            state throws(HubError) -> (UInt64, [UnsafeContinuation<Void, Never>]) in
            if state.isFinished { throw HubError.finished }
            if state.attached.count >= maximum { throw HubError.tooManyAttached(maximum) }
            state.nextID += 1
            state.attached.append(Attached(id: state.nextID, buffer: buffer, policy: policy))
            let count = state.attached.count
            let ready = state.waiters.filter { $0.value.minimum <= count }
            for key in ready.keys { state.waiters[key] = nil }
            return (state.nextID, ready.values.map(\.continuation))
        }
        for continuation in ready { continuation.resume() }
        return HubConsumer(buffer, policy) { [weak self] in self?.detach(id) }
    }

    func detach(_ id: UInt64) {
        state.withLock { state in state.attached.removeAll { $0.id == id } }
    }

    /// Waits until so many are attached; throws when it is cancelled or finished.
    func wait(for minimum: Int) async throws {
        let id = state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                let isReady = state.withLock { state in
                    if state.attached.count >= minimum || state.isFinished || Task.isCancelled {
                        return true
                    }
                    state.waiters[id] = (minimum, continuation)
                    return false
                }
                if isReady { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: id) }?.continuation.resume()
        }
        try Task.checkCancellation()
        if state.withLock({ $0.isFinished }) { throw HubError.finished }
    }

    /// Takes consumers for a new run.
    func begin() {
        state.withLock { state in
            if state.isFinished { state.attached = [] }
            state.isFinished = false
        }
    }

    func finish() {
        let (attached, waiters) = state.withLock { state in
            state.isFinished = true
            defer { state.waiters = [:] }
            return (state.attached, state.waiters.values.map(\.continuation))
        }
        for consumer in attached { consumer.buffer.finish() }
        for waiter in waiters { waiter.resume() }
    }

    /// Gives an event to a consumer as its policy says; false if it has left, or is detached for it.
    func give(_ event: Element, to consumer: Attached) async throws -> Bool {
        switch consumer.policy.kind {
        case .wait:
            do {
                try await consumer.buffer.send(event)
                return true
            } catch is HubBuffer<Element>.Refusal {
                // It has left meanwhile.
            }
        case .dropOldest: if consumer.buffer.sendDroppingOldest(event) { return true }
        case .dropNewest:
            if consumer.buffer.trySend(event) { return true }
            if !consumer.buffer.isFinished {
                consumer.buffer.countDropped()
                return true
            }
        case .detach:
            if consumer.buffer.trySend(event) { return true }
            consumer.buffer.finish(throwing: HubError.tooSlow)
        }
        detach(consumer.id)
        return false
    }
}
