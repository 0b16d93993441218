import Synchronization
import Testing
import WeirCore

@Suite struct `The system's clock` {
    /// A clock that somebody sets by so much when it has been read once.
    private func clock(set offset: Duration) -> SystemClock {
        let isRead = Wall()
        let system = SystemClock()
        return SystemClock {
            isRead.value.withLock { isRead in
                defer { isRead = true }
                return isRead ? system.now().advanced(by: offset) : system.now()
            }
        }
    }

    private final class Wall: Sendable {
        let value = Mutex(false)
    }

    @Test(arguments: [Duration.hours(-1), .hours(1)])
    func `makes no wait longer or shorter when it is set`(_ offset: Duration) async throws {
        let clock = clock(set: offset)
        let start = ContinuousClock.now
        let waiting = Task { try await clock.sleep(for: .milliseconds(20)) }
        let limit = Task {
            try await ContinuousClock().sleep(for: .seconds(60))
            waiting.cancel()
        }
        try await waiting.value
        limit.cancel()
        #expect(start.duration(to: .now) >= .milliseconds(20))
    }
}
