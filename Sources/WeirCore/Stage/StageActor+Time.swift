import DequeModule
import Synchronization

// Timers, and operators that wait for calls outside the actor.
extension StageActor {
    func fireDueTimers() async throws {
        for timer in scope.timers {
            guard let deadline = timer.deadline, deadline <= scope.now else { continue }
            timer.clear()
            try await work { try timer.action(self.scope.now) }
        }
    }

    func armWakeUp() {
        if scope.timers.isEmpty { return }
        let earliest = scope.timers.compactMap { $0.deadline }.min()
        let isSpent = control.wakeUpHasCome.exchange(false, ordering: .acquiringAndReleasing)
        if earliest == wakeUpDeadline, !isSpent { return }
        wakeUp?.cancel()
        wakeUp = nil
        wakeUpDeadline = earliest
        guard let earliest else { return }
        let (mailbox, control) = (mailbox, control)
        wakeUp = environment.clock.schedule(at: earliest) {
            control.wakeUpHasCome.store(true, ordering: .releasing)
            mailbox.wake()
        }
    }

    func collectAsyncWork() async throws {
        for work in scope.asyncWork {
            try await self.work { try work.collect() }
        }
    }

    func waitForAsyncWork() async throws {
        try await flush()
        armWakeUp()
        resumePutOffBarrier()
        metrics.activity = .awaitingCalls
        defer { metrics.activity = .handling }
        var none = Deque<Delivery>()
        holdUps.begin()
        let turn = await mailbox.next(into: &none, holding: true)
        holdUps.end()
        switch turn {
        case .closed: throw StageStopped()
        case .woken, .deliveries: break
        }
        scope.now = environment.clock.now()
        try await handleWakeUp()
        try await flush()
        armWakeUp()
    }
}
