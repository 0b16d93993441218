import Synchronization

/// Counts the messages that a server under test received, and wakes who waits for the last.
///
/// A server may report after every message, every batch or once a connection; the peers here
/// report once a connection, which costs them nothing per message.
final class IngestTally: Sendable {
    private struct State {
        var count = 0
        var checksum: UInt64 = 0
        var waiter: CheckedContinuation<Void, Never>?
        var isOver = false
    }

    private let messages: Int
    private let state = Mutex(State())

    init(messages: Int) {
        self.messages = messages
    }

    /// Adds messages and the sum of their first eight bytes, least significant first.
    func add(count: Int, checksum: UInt64) {
        let waiter = state.withLock { state in
            state.count += count
            state.checksum &+= checksum
            return state.count >= messages ? Self.end(&state) : nil
        }
        waiter?.resume()
    }

    /// Waits for the last message and gives the count and the checksum.
    func total(within limit: Duration) async throws -> (count: Int, checksum: UInt64) {
        let timeout = Task {
            try await Task.sleep(for: limit)
            state.withLock { Self.end(&$0) }?.resume()
        }
        defer { timeout.cancel() }
        await withCheckedContinuation { continuation in
            let isOver = state.withLock { state in
                if !state.isOver { state.waiter = continuation }
                return state.isOver
            }
            if isOver { continuation.resume() }
        }
        let (count, checksum) = state.withLock { ($0.count, $0.checksum) }
        guard count >= messages else {
            throw MeasurementError(
                description: "\(count) of \(messages) messages came within \(limit)")
        }
        return (count, checksum)
    }

    private static func end(_ state: inout State) -> CheckedContinuation<Void, Never>? {
        state.isOver = true
        defer { state.waiter = nil }
        return state.waiter
    }
}
