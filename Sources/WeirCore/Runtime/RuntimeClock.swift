import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#endif

/// Where a running topology gets its time from: the system, or a test.
package protocol RuntimeClock: Sendable {
    /// Processing time.
    func now() -> EventTime

    /// Nanoseconds for measuring durations; never steps back.
    func monotonicNanoseconds() -> Int64

    /// Calls `action` once at `deadline` of processing time or soon after it, unless cancelled.
    func schedule(
        at deadline: EventTime, _ action: @escaping @Sendable () -> Void
    ) -> ScheduledAction

    /// Calls `action` once when so much time has passed, whatever somebody sets the clock to
    /// meanwhile; unless cancelled.
    func schedule(
        after duration: Duration, _ action: @escaping @Sendable () -> Void
    ) -> ScheduledAction
}

extension RuntimeClock {
    /// For a clock that nobody sets.
    package func schedule(
        after duration: Duration, _ action: @escaping @Sendable () -> Void
    ) -> ScheduledAction {
        schedule(at: now().advanced(by: duration), action)
    }

    /// Suspends for a duration of this clock's time.
    package func sleep(for duration: Duration) async throws {
        try await wait { schedule(after: duration, $0) }
    }

    /// Suspends until a point of this clock's time.
    package func sleep(until deadline: EventTime) async throws {
        try await wait { schedule(at: deadline, $0) }
    }

    private func wait(
        _ schedule: (@escaping @Sendable () -> Void) -> ScheduledAction
    ) async throws {
        let once = ResumeOnce()
        let action = schedule { once.resume() }
        await withTaskCancellationHandler {
            await withUnsafeContinuation { once.install($0) }
        } onCancel: {
            action.cancel()
            once.resume()
        }
        try Task.checkCancellation()
    }
}

/// Resumes a continuation at the first of several calls, also when that comes before the continuation is there.
private final class ResumeOnce: Sendable {
    private enum State: Sendable {
        case waiting
        case installed(UnsafeContinuation<Void, Never>)
        case done
    }

    private let state = Mutex(State.waiting)

    func install(_ continuation: UnsafeContinuation<Void, Never>) {
        let isDone = state.withLock { state in
            if case .done = state { return true }
            state = .installed(continuation)
            return false
        }
        if isDone { continuation.resume() }
    }

    func resume() {
        let continuation = state.withLock { state -> UnsafeContinuation<Void, Never>? in
            defer { state = .done }
            if case .installed(let continuation) = state { return continuation }
            return nil
        }
        continuation?.resume()
    }
}

/// An action that a clock will perform; cancelling it more than once, or late, does nothing.
package struct ScheduledAction: Sendable {
    package let cancel: @Sendable () -> Void

    package init(cancel: @escaping @Sendable () -> Void) {
        self.cancel = cancel
    }
}

/// The system's time.
package struct SystemClock: RuntimeClock {
    private let wall: @Sendable () -> EventTime

    package init() {
        self.init { EventTime(nanoseconds: Self.read(CLOCK_REALTIME)) }
    }

    /// A clock that somebody sets.
    package init(wall: @escaping @Sendable () -> EventTime) {
        self.wall = wall
    }

    package func now() -> EventTime { wall() }

    package func monotonicNanoseconds() -> Int64 {
        Self.read(CLOCK_MONOTONIC)
    }

    package func schedule(
        at deadline: EventTime, _ action: @escaping @Sendable () -> Void
    ) -> ScheduledAction {
        let task = Task {
            while true {
                let delay = now().duration(to: deadline)
                if delay <= .zero { break }
                let portion = min(delay, Self.longestSleep)
                guard (try? await ContinuousClock().sleep(for: portion)) != nil else { return }
            }
            action()
        }
        return ScheduledAction { task.cancel() }
    }

    package func schedule(
        after duration: Duration, _ action: @escaping @Sendable () -> Void
    ) -> ScheduledAction {
        let end = ContinuousClock.now.advanced(by: min(duration, .days(36_500)))
        let task = Task {
            while true {
                let left = ContinuousClock.now.duration(to: end)
                if left <= .zero { break }
                let portion = min(left, .days(1))
                guard (try? await ContinuousClock().sleep(for: portion)) != nil else { return }
            }
            action()
        }
        return ScheduledAction { task.cancel() }
    }

    /// How soon it is noticed that somebody has set the system's clock.
    private static let longestSleep = Duration.seconds(10)

    private static func read(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
