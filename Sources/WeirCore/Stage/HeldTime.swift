import Synchronization

/// For how long nothing could come to a stage although its sources may have something: it, or a
/// stage above it, waited for room, for calls, for tokens or for its restart, or was paused.
///
/// It is no quiet time of the streams that come to the stage. Waits that overlap count once.
package final class HeldTime: Sendable {
    private struct State: Sendable {
        /// How many waits are under way.
        var waits = 0
        /// When the first of those under way began.
        var since: Int64 = 0
        /// When the last of those that are over ended.
        var ended: Int64?
        var total: Int64 = 0
    }

    /// How it stands at a moment.
    package struct Reading: Sendable, Equatable {
        /// The time since the run has begun in which nothing could come.
        package var total = Duration.zero
        /// For how long something could by now.
        package var free = Duration.zero

        package init() {}

        package init(total: Duration, free: Duration) {
            self.total = total
            self.free = free
        }
    }

    private let state = Mutex(State())

    package init() {}

    /// A wait begins, which ``end(at:)`` ends.
    package func begin(at now: Int64) {
        state.withLock { state in
            if state.waits == 0 { state.since = now }
            state.waits += 1
        }
    }

    package func end(at now: Int64) {
        state.withLock { state in
            state.waits -= 1
            guard state.waits == 0 else { return }
            state.total += max(0, now - state.since)
            state.ended = now
        }
    }

    package func reading(at now: Int64) -> Reading {
        state.withLock { state in
            if state.waits > 0 {
                return Reading(
                    total: .nanoseconds(state.total + max(0, now - state.since)), free: .zero)
            }
            let free = state.ended.map { max(0, now - $0) } ?? .max
            return Reading(total: .nanoseconds(state.total), free: .nanoseconds(free))
        }
    }
}

/// Where a stage says that it waits: at the stages behind it that want to know what is quiet time.
package struct HoldUps: Sendable {
    private let followers: [HeldTime]
    private let clock: any RuntimeClock

    /// - Parameter followers: Those of the stages that its events reach, its own included.
    package init(_ followers: [HeldTime], clock: any RuntimeClock) {
        self.followers = followers
        self.clock = clock
    }

    /// The stage begins to wait for something other than its events.
    func begin() {
        if followers.isEmpty { return }
        let now = clock.monotonicNanoseconds()
        for follower in followers { follower.begin(at: now) }
    }

    /// The wait that ``begin()`` began is over.
    func end() {
        if followers.isEmpty { return }
        let now = clock.monotonicNanoseconds()
        for follower in followers { follower.end(at: now) }
    }
}
