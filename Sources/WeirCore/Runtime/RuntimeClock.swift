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
}

extension RuntimeClock {
    /// Suspends for a duration of this clock's time.
    package func sleep(for duration: Duration) async throws {
        try await sleep(until: now().advanced(by: duration))
    }

    /// Suspends until a point of this clock's time.
    package func sleep(until deadline: EventTime) async throws {
        let once = ResumeOnce()
        let action = schedule(at: deadline) { once.resume() }
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
    package init() {}

    package func now() -> EventTime {
        EventTime(nanoseconds: Self.read(CLOCK_REALTIME))
    }

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

    /// How soon it is noticed that somebody has set the system's clock.
    private static let longestSleep = Duration.seconds(10)

    private static func read(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
