import DequeModule
import Synchronization

/// The messages of a sender that are not acknowledged, in order; safe to use from any thread.
final class SenderWindow: Sendable {
    private struct Waiter: Sendable {
        let id: UInt64
        let continuation: CheckedContinuation<Void, any Error>
    }

    private struct State: Sendable {
        var messages = Deque<[UInt8]>()
        var byteCount = 0
        /// The number of the last acknowledged message; `messages` begin behind it.
        var acknowledged: UInt64 = 0
        /// The number of the next message for the connection there is.
        var next: UInt64 = 1
        /// The number up to which messages have been given to any connection.
        var sentUpTo: UInt64 = 0
        var counters = AcknowledgedSender.Counters()
        var failure: NetworkError?
        var onNews: (@Sendable () -> Void)?
        var isPushScheduled = false
        var room: [Waiter] = []
        var empty: [Waiter] = []
        var nextID: UInt64 = 0
    }

    private let state = Mutex(State())
    private let configuration: AcknowledgedSender.Configuration

    init(_ configuration: AcknowledgedSender.Configuration) {
        self.configuration = configuration
    }

    /// Whether all that was sent is acknowledged.
    var isEmpty: Bool { state.withLock { $0.messages.isEmpty } }
    var acknowledged: UInt64 { state.withLock { $0.acknowledged } }
    var failure: NetworkError? { state.withLock { $0.failure } }
    var counters: AcknowledgedSender.Counters { state.withLock { $0.counters } }

    /// Says who is called when there is something to send.
    func onNews(_ callback: @escaping @Sendable () -> Void) {
        state.withLock { $0.onNews = callback }
    }

    // MARK: The user's side

    func append(_ payload: [UInt8]) async throws {
        while true {
            let (isTaken, news) = try state.withLock { state in
                if let failure = state.failure { throw failure }
                guard hasRoom(state, for: payload.count) else {
                    return (false, nil as (@Sendable () -> Void)?)
                }
                state.messages.append(payload)
                state.byteCount += payload.count
                if state.isPushScheduled { return (true, nil) }
                state.isPushScheduled = true
                return (true, state.onNews)
            }
            news?()
            if isTaken { return }
            try await wait(in: \.room) { !self.hasRoom($0, for: payload.count) }
        }
    }

    /// Takes a message if there is room, without a wait and without news.
    func offer(_ payload: [UInt8]) -> Bool {
        state.withLock { state in
            guard state.failure == nil, hasRoom(state, for: payload.count) else { return false }
            state.messages.append(payload)
            state.byteCount += payload.count
            return true
        }
    }

    func waitUntilEmpty() async throws {
        try await wait(in: \.empty) { !$0.messages.isEmpty }
    }

    private func hasRoom(_ state: borrowing State, for count: Int) -> Bool {
        state.messages.isEmpty
            || state.messages.count < configuration.windowMessages
                && state.byteCount + count <= configuration.windowBytes
    }

    private func wait(
        in list: any WritableKeyPath<State, [Waiter]> & Sendable,
        while condition: @Sendable (borrowing State) -> Bool
    ) async throws {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation {
                (continuation: CheckedContinuation<Void, any Error>) in
                let result = state.withLock { state -> Result<Void, any Error>? in
                    if let failure = state.failure { return .failure(failure) }
                    if Task.isCancelled { return .failure(CancellationError()) }
                    if !condition(state) { return .success(()) }
                    state[keyPath: list].append(Waiter(id: id, continuation: continuation))
                    return nil
                }
                if let result { continuation.resume(with: result) }
            }
        } onCancel: {
            let waiter = state.withLock { state -> Waiter? in
                guard let index = state[keyPath: list].firstIndex(where: { $0.id == id }) else {
                    return nil
                }
                return state[keyPath: list].remove(at: index)
            }
            waiter?.continuation.resume(throwing: CancellationError())
        }
    }

    // MARK: The connection's side

    /// A server has said how far it has the messages; returns what is wrong with that.
    func begin(at sequence: UInt64, isFirst: Bool) -> String? {
        let (problem, ready) = state.withLock { state -> (String?, [Waiter]) in
            let end = state.acknowledged + UInt64(state.messages.count)
            if isFirst {
                state.acknowledged = sequence
            } else if sequence > end {
                return ("it has message \(sequence), but only \(end) were sent", [])
            } else if sequence < state.acknowledged && sequence > 0 {
                return ("it has lost messages behind \(sequence), which it had acknowledged", [])
            } else {
                state.counters.reconnects += 1
            }
            let ready = isFirst ? [] : acknowledge(upTo: sequence, &state)
            state.next = state.acknowledged + 1
            if isFirst { state.sentUpTo = state.acknowledged }
            return (nil, ready)
        }
        for waiter in ready { waiter.continuation.resume() }
        return problem
    }

    /// A server has acknowledged messages; false for ones that were never sent.
    func acknowledge(upTo sequence: UInt64) -> Bool {
        let ready = state.withLock { state -> [Waiter]? in
            if sequence > state.sentUpTo { return nil }
            return acknowledge(upTo: sequence, &state)
        }
        for waiter in ready ?? [] { waiter.continuation.resume() }
        return ready != nil
    }

    private func acknowledge(upTo sequence: UInt64, _ state: inout State) -> [Waiter] {
        guard sequence > state.acknowledged else { return [] }
        let count = min(Int(sequence - state.acknowledged), state.messages.count)
        for _ in 0..<count { state.byteCount -= state.messages.removeFirst().count }
        state.acknowledged += UInt64(count)
        state.next = max(state.next, state.acknowledged + 1)
        state.counters.acknowledged += count
        var ready = state.room
        state.room.removeAll()
        if state.messages.isEmpty {
            ready += state.empty
            state.empty.removeAll()
        }
        return ready
    }

    /// The next messages to send, with the number of the first; none clears the call for a push.
    func take(atMost limit: Int) -> (first: UInt64, messages: [[UInt8]]) {
        state.withLock { state in
            let offset = Int(state.next - state.acknowledged - 1)
            let end = min(state.messages.count, offset + limit)
            if end <= offset { state.isPushScheduled = false }
            return (state.next, end > offset ? Array(state.messages[offset..<end]) : [])
        }
    }

    /// A connection has taken this many of what ``take(atMost:)`` gave.
    func gave(_ count: Int) {
        state.withLock { state in
            let last = state.next + UInt64(count) - 1
            let again =
                state.sentUpTo >= state.next ? min(last, state.sentUpTo) - state.next + 1 : 0
            state.counters.resent += Int(again)
            state.counters.sent += count - Int(again)
            state.sentUpTo = max(state.sentUpTo, last)
            state.next = last + 1
        }
    }

    /// Nothing can be sent any more.
    func fail(_ error: NetworkError) {
        let waiters = state.withLock { state -> [Waiter] in
            if state.failure == nil { state.failure = error }
            state.onNews = nil
            defer {
                state.room.removeAll()
                state.empty.removeAll()
            }
            return state.room + state.empty
        }
        for waiter in waiters { waiter.continuation.resume(throwing: error) }
    }
}
