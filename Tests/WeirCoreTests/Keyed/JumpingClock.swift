import Synchronization
import WeirCore

/// A clock that jumps to whatever deadline somebody waits for.
final class JumpingClock: RuntimeClock {
    private let current: Mutex<EventTime>

    init(start: EventTime) {
        current = Mutex(start)
    }

    func now() -> EventTime { current.withLock { $0 } }

    func monotonicNanoseconds() -> Int64 { now().nanoseconds }

    func schedule(
        at deadline: EventTime, _ action: @escaping @Sendable () -> Void
    ) -> ScheduledAction {
        current.withLock { $0 = max($0, deadline) }
        action()
        return ScheduledAction {}
    }
}
