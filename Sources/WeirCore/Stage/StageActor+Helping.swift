import DequeModule
import Synchronization

/// What is left of a turn that another stage did here: it goes only as far as that needs no waiting.
struct HelpedTurn {
    /// A delivery that is begun, and how far.
    var interrupted: (delivery: Delivery, progress: StageActor.Progress)?
    /// Output that found its mailbox full.
    var blocked: (port: OutputPort, delivery: BlockedDelivery)?
    var error: (any Error)?
    /// Deliveries that have been taken and not begun.
    var deliveries = Deque<Delivery>()

    /// Whether something has to be done before the next delivery.
    var isUnfinished: Bool { interrupted != nil || blocked != nil || error != nil }
}

/// An executor of tests, in which no time passes: it also decides what else depends on how fast things are.
package protocol SteppedExecutor: TaskExecutor {
    func tossCoin() -> Bool
}

/// Which stage that waits a sender may claim, to do its turn.
enum Claiming {
    case none
    /// One whose turns take less time than waking it.
    case light
    case any
}

// Turns without a wake-up: a stage that has nothing more to do takes the turn of the stage behind it,
// which waits for what it has just been sent, on the thread where the batch is in the cache. A light
// one's turn is taken also by a stage that has more to do.
//
// The waiting stage is claimed under its mailbox's lock: its own task stays asleep, and nobody else
// wakes it. The turn runs on its actor. Whatever would have to wait (a full mailbox, a barrier, a
// failure, a due timer) is left to its own task, which is then woken.
extension StageActor {
    /// Lets other stages do this one's turns, if none of its work needs waiting.
    func lendIfPossible() {
        // State on disk may wait for the disk.
        if !scope.asyncWork.isEmpty { return }
        if !scope.writers.allSatisfy({ $0.neverWaits }) { return }
        if scope.backend != nil { return }
        mailbox.lend(self)
    }

    /// Whether the last turns took less time than it takes to wake the stage and to bring it its events.
    nonisolated var isLight: Bool { lightTurns.load(ordering: .relaxed) >= 4 }

    /// Takes note of how long a turn took.
    func noteTurn(_ nanoseconds: Int64, events: Int) {
        if events == 0 { return }
        if let executor = environment.executor as? any SteppedExecutor {
            lightTurns.store(executor.tossCoin() ? 4 : 0, ordering: .relaxed)
            return
        }
        let isLight = nanoseconds <= 4_000 + 4 * Int64(events)
        let before = lightTurns.load(ordering: .relaxed)
        lightTurns.store(isLight ? min(before + 1, 4) : 0, ordering: .relaxed)
    }

    /// Hands over while there is more to do, and does what light stages make of it.
    func flushAmidTurn() async throws {
        try await flush(claiming: .light)
        if claimed == nil { return }
        let start = environment.clock.monotonicNanoseconds()
        await helpNext(.light)
        helpedNanoseconds += environment.clock.monotonicNanoseconds() - start
    }

    /// Does the turns of the stages behind this one, one after the other; of those that are not light until it has
    /// work again.
    func helpNext(_ claiming: Claiming) async {
        while let stage = claimed.take() {
            if !stage.isLight, mailbox.depth > 0 {
                stage.mailbox.releaseClaim(waking: true)
                return
            }
            claimed = await stage.takeHelpedTurn(claiming)
        }
    }

    /// A turn of a claimed stage on a thread that runs no task, such as an event loop's; returns a light stage whose
    /// turn is the caller's to do.
    nonisolated func takeTurnOutside() -> StageActor? {
        typealias Isolated = (isolated StageActor) -> StageActor?
        typealias Unchecked = (StageActor) -> StageActor?
        let turn: Isolated = { $0.takeHelpedTurn(.light) }
        return asides.withLock { _ in
            // Safety: the claim keeps the stage's own task asleep and other helpers away, so that nobody else takes a
            // turn of the actor; what is asked of it beside its turns takes the lock (`aside(_:)`). The mailbox's
            // lock orders this turn behind the one before and before the next. The two types differ in the
            // isolation alone, as in `assumeIsolated`.
            withoutActuallyEscaping(turn) { unsafeBitCast($0, to: Unchecked.self)(self) }
        }
    }

    /// Does something on the actor between turns, also between those that are taken outside it.
    func aside<Result: Sendable>(_ body: () throws -> Result) rethrows -> Result {
        try asides.withLock { _ in try body() }
    }

    /// A turn on behalf of this stage's own task; returns a stage whose turn is the caller's to do.
    private func takeHelpedTurn(_ claiming: Claiming) -> StageActor? {
        var next: StageActor?
        let isDone = handleWithoutWaiting(claiming, &next)
        mailbox.releaseClaim(waking: !isDone)
        return next
    }

    /// Handles what is queued as far as that needs no waiting; false when something is left over.
    private func handleWithoutWaiting(
        _ claiming: Claiming, _ next: inout StageActor?
    ) -> Bool {
        if hasEnded || isSuspended || capture != nil || channels.isAligning { return false }
        let start = environment.clock.monotonicNanoseconds()
        scope.now = environment.clock.now()
        for timer in scope.timers {
            if let deadline = timer.deadline, deadline <= scope.now { return false }
        }
        guard case .deliveries? = mailbox.takeQueued(into: &leftOver.deliveries) else {
            return false
        }
        metrics.idleNanoseconds.advance(by: start - idleSince)
        metrics.busySince.store(start, ordering: .relaxed)
        let eventsBefore = metrics.eventsIn.load(ordering: .relaxed)
        let isDone = handleLeftOver() && flushWithoutWaiting(claiming, &next)
        if isDone {
            scope.publishMetrics()
            armWakeUp()
            resumePutOffBarrier()
        }
        idleSince = environment.clock.monotonicNanoseconds()
        metrics.busySince.store(0, ordering: .relaxed)
        metrics.busyNanoseconds.advance(by: idleSince - start)
        noteTurn(
            idleSince - start, events: metrics.eventsIn.load(ordering: .relaxed) - eventsBefore)
        return isDone
    }

    private func handleLeftOver() -> Bool {
        while let delivery = leftOver.deliveries.popFirst() {
            if case .barrier = delivery.item {
                leftOver.deliveries.prepend(delivery)
                return false
            }
            do {
                let progress = try begin(delivery)
                guard case .done = progress else {
                    leftOver.interrupted = (delivery, progress)
                    return false
                }
            } catch {
                leftOver.error = error
                return false
            }
            if scope.isFinishedEarly || scope.readyEvents >= 4 * environment.batchSize {
                return false
            }
        }
        return true
    }

    private func flushWithoutWaiting(
        _ claiming: Claiming, _ next: inout StageActor?
    ) -> Bool {
        for port in scope.ports where port.hasReady {
            do {
                if let blocked = try port.sendReady(claiming: claiming, &next) {
                    leftOver.blocked = (port, blocked)
                    return false
                }
            } catch {
                // What did not fit is still with the port, to be sent by the stage's own task.
                return false
            }
        }
        return !scope.isAbandoned
    }

    /// Does first what a helped turn has begun.
    func finishLeftOver() async throws {
        if let error = leftOver.error.take() {
            abandonLeftOver()
            throw error
        }
        if let (port, blocked) = leftOver.blocked.take() { try await wait(with: blocked, of: port) }
        if let (delivery, progress) = leftOver.interrupted.take() {
            try await finish(delivery, after: progress)
        }
    }

    func takeLeftOver(into deliveries: inout Deque<Delivery>) -> Mailbox.Turn {
        swap(&deliveries, &leftOver.deliveries)
        return .deliveries
    }

    /// Counts what a helped turn had taken and nobody will handle.
    func abandonLeftOver() {
        let left = leftOver.deliveries.reduce(0) { $0 + $1.weight }
        leftOver.deliveries.removeAll()
        metrics.countDropped(left, reason: .cancelled)
    }
}
