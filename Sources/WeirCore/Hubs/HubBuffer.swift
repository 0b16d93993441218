import DequeModule
import Synchronization

/// A bounded queue between tasks of a hub: senders wait for room, in order, and one receiver for events.
final class HubBuffer<Element: Sendable>: Sendable {
    enum Refusal: Error { case finished }

    private struct Sender: Sendable {
        let id: UInt64
        let element: Element
        let continuation: UnsafeContinuation<Void, any Error>
    }

    private enum Outcome: Sendable {
        case taken(UnsafeContinuation<Void, Never>?)
        case waiting
        case refused(any Error)
    }

    private struct State: Sendable {
        var queue = Deque<Element>()
        var senders = Deque<Sender>()
        var receiver: UnsafeContinuation<Void, Never>?
        var isFinished = false
        var failure: (any Error)?
        var nextSender: UInt64 = 0
        /// Senders that were cancelled before they came to wait.
        var cancelled: Set<UInt64> = []
        var dropped = 0
    }

    let capacity: Int
    private let state = Mutex(State())

    init(capacity: Int) {
        self.capacity = max(1, capacity)
    }

    var count: Int { state.withLock { $0.queue.count } }
    var dropped: Int { state.withLock { $0.dropped } }
    var isFinished: Bool { state.withLock { $0.isFinished } }

    /// Adds an event, waiting for room.
    ///
    /// Throws `CancellationError`, in which case it was not taken, or ``Refusal``.
    func send(_ element: Element) async throws {
        let id = state.withLock { state in
            state.nextSender += 1
            return state.nextSender
        }
        try await withTaskCancellationHandler {
            try await withUnsafeThrowingContinuation { continuation in
                enqueue(Sender(id: id, element: element, continuation: continuation))
            }
        } onCancel: {
            let sender = state.withLock { state -> Sender? in
                guard let index = state.senders.firstIndex(where: { $0.id == id }) else {
                    state.cancelled.insert(id)
                    return nil
                }
                return state.senders.remove(at: index)
            }
            sender?.continuation.resume(throwing: CancellationError())
        }
        // Nobody cancels it any more.
        state.withLock { _ = $0.cancelled.remove(id) }
    }

    private func enqueue(_ sender: Sender) {
        let outcome = state.withLock { state -> Outcome in
            if state.isFinished { return .refused(Refusal.finished) }
            if state.cancelled.remove(sender.id) != nil { return .refused(CancellationError()) }
            guard state.senders.isEmpty, state.queue.count < capacity else {
                state.senders.append(sender)
                return .waiting
            }
            state.queue.append(sender.element)
            return .taken(state.receiver.take())
        }
        switch outcome {
        case .waiting: break
        case .refused(let error): sender.continuation.resume(throwing: error)
        case .taken(let receiver):
            receiver?.resume()
            sender.continuation.resume()
        }
    }

    /// Adds an event if there is room; false if there is none, or it is finished.
    func trySend(_ element: Element) -> Bool {
        let (isTaken, receiver) = state.withLock { state in
            guard !state.isFinished, state.senders.isEmpty, state.queue.count < capacity else {
                return (false, nil as UnsafeContinuation<Void, Never>?)
            }
            state.queue.append(element)
            return (true, state.receiver.take())
        }
        receiver?.resume()
        return isTaken
    }

    /// Adds an event, for which the oldest one gives way; false if it is finished.
    func sendDroppingOldest(_ element: Element) -> Bool {
        let (isTaken, receiver) = state.withLock { state in
            if state.isFinished { return (false, nil as UnsafeContinuation<Void, Never>?) }
            if state.queue.count >= capacity {
                state.queue.removeFirst()
                state.dropped += 1
            }
            state.queue.append(element)
            return (true, state.receiver.take())
        }
        receiver?.resume()
        return isTaken
    }

    func countDropped() {
        state.withLock { $0.dropped += 1 }
    }

    /// All that is there, waiting for something; nil at the end.
    ///
    /// Throws `CancellationError`, or what the buffer was finished with.
    func take() async throws -> Deque<Element>? {
        while true {
            let (taken, resumed, ended, failure) = state.withLock { state in
                let taken = state.queue
                state.queue = Deque()
                var resumed: [Sender] = []
                while state.queue.count < capacity, let sender = state.senders.popFirst() {
                    state.queue.append(sender.element)
                    resumed.append(sender)
                }
                return (taken, resumed, taken.isEmpty && state.isFinished, state.failure)
            }
            for sender in resumed { sender.continuation.resume() }
            if !taken.isEmpty { return taken }
            if ended {
                if let failure { throw failure }
                return nil
            }
            try Task.checkCancellation()
            await waitForEvents()
        }
    }

    private func waitForEvents() async {
        await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                let isReady = state.withLock { state in
                    if !state.queue.isEmpty || state.isFinished || Task.isCancelled { return true }
                    state.receiver = continuation
                    return false
                }
                if isReady { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.receiver.take() }?.resume()
        }
    }

    /// Takes no more; what is there can still be taken.
    func finish(throwing failure: (any Error)? = nil) {
        let (receiver, senders) = state.withLock { state in
            if !state.isFinished { state.failure = failure }
            state.isFinished = true
            defer { state.senders = Deque() }
            return (state.receiver.take(), state.senders)
        }
        receiver?.resume()
        for sender in senders { sender.continuation.resume(throwing: Refusal.finished) }
    }
}

/// Why a hub refuses something.
public struct HubError: Error, Hashable, CustomStringConvertible {
    /// The kind of a ``HubError``.
    public struct Code: Hashable, Sendable {
        let name: String

        /// The hub, or this end of it, is finished: definite, nothing was taken.
        public static let finished = Code(name: "finished")
        /// As many are attached as may be: definite; try again when one has left.
        public static let tooManyAttached = Code(name: "tooManyAttached")
        /// The consumer was too slow and has been detached: it has missed events.
        public static let tooSlow = Code(name: "tooSlow")
    }

    /// What kind of error this is.
    public var code: Code
    /// What happened and what to do about it.
    public var message: String

    /// The code and the message in one line.
    public var description: String { "\(code.name): \(message)" }

    static let finished = HubError(
        code: .finished, message: "the hub is finished and takes nothing more")
    static let tooSlow = HubError(
        code: .tooSlow,
        message: "the consumer was too slow for its buffer and has been detached; attach it anew")

    static func tooManyAttached(_ maximum: Int) -> HubError {
        HubError(
            code: .tooManyAttached,
            message: "the hub has \(maximum) attached already; detach one or raise its maximum")
    }
}
