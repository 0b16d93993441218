package import DequeModule
public import Synchronization

/// Something that holds events back to fill a batch, and gives them up as soon as the consumer has nothing to do.
@usableFromInline
package protocol BatchFiller: AnyObject, Sendable {
    /// Hands over what is there, or nil.
    func takeOpenBatch() -> (any AnyBatch)?
}

/// The bounded, ordered queue in front of a stage: several producers, one consumer.
///
/// A Swift actor is re-entrant, unbounded and not first-in-first-out; this queue is what orders and limits. `send`
/// suspends while it is full, first come, first served, so that producers share it fairly; `next` suspends while it is
/// empty. Cancellation and closing wake both.
@usableFromInline
package final class Mailbox: Sendable {
    /// Why ``next(into:)`` came back.
    package enum Turn: Sendable { case deliveries, woken, closed }

    private struct Locked: Sendable {
        var machine: MailboxStateMachine
        var consumer: UnsafeContinuation<Void, Never>?
        var spaceCallbacks: [@Sendable () -> Void] = []
        var fillers: [any BatchFiller] = []
        var nextWaiterID: UInt64 = 0
        /// The stage that a sender may do a turn of in place of the waiting consumer.
        var lentStage: StageActor?
        /// The size of the last delivery that found no room since the consumer took: less room is of no use.
        var refusedWeight = 1
    }

    package let owner: String
    /// How many events a sender may have waiting in it.
    @usableFromInline package let capacity: Int
    /// The same, of all inputs that have a queue of their own.
    package let totalCapacity: Int
    package let dropped = Atomic<Int>(0)
    /// The number of events that were queued when the mailbox was closed.
    package let discarded = Atomic<Int>(0)
    /// Whether the consumer has nothing to do: producers read it to decide to hand over a batch that is not full.
    @usableFromInline let consumerIsIdle = Atomic<Bool>(false)
    private let locked: Mutex<Locked>
    private let holdUps: HoldUps?

    /// - Parameters:
    ///   - lanes: For a stage that takes some of its inputs before others.
    ///   - holdUps: Where to say that the stage is paused.
    package init(
        owner: String, policy: MailboxPolicy, lanes: MailboxLanes.Layout? = nil,
        holdUps: HoldUps? = nil
    ) {
        self.owner = owner
        self.holdUps = holdUps
        let machine = MailboxStateMachine(policy: policy, lanes: lanes)
        capacity = machine.capacity
        totalCapacity = machine.totalCapacity
        locked = Mutex(Locked(machine: machine))
    }

    /// Whether a producer should hand over what it has.
    @inlinable
    package var wantsMore: Bool { consumerIsIdle.load(ordering: .relaxed) }

    /// The number of events that wait.
    package var depth: Int { locked.withLock { $0.machine.depth } }

    /// The number of events that wait on disk.
    package var spilledDepth: Int { locked.withLock { $0.machine.spilled.depth } }

    /// The number of events that could not be read back from disk.
    package var spillLost: Int { locked.withLock { $0.machine.spilled.lost } }

    package var isClosed: Bool { locked.withLock { $0.machine.isClosed } }

    /// Registers a producer that fills batches, so that its open batch is taken when the consumer runs dry.
    @usableFromInline
    package func attach(_ filler: any BatchFiller) {
        locked.withLock { $0.fillers.append(filler) }
    }

    // MARK: Producers

    /// Offers a delivery without waiting.
    ///
    /// `.full` leaves it with the caller.
    ///
    /// - Parameter wakeUps: Where a consumer that waits goes, instead of being woken at once; the stage instead of the
    ///   consumer, if its turn is light and can be taken there.
    package func trySend(
        _ delivery: Delivery, wakeUps: ConsumerWakeUps? = nil
    ) -> MailboxStateMachine.SendResult {
        var claim: StageActor?
        defer { if let claim { wakeUps?.add(claim) } }
        return offer(
            delivery, claiming: wakeUps == nil ? .none : .light, claim: &claim, wakeUps: wakeUps)
    }

    /// Sends a delivery, waiting for room.
    ///
    /// - Throws: `MailboxOverflow` by policy, `MailboxClosed` when the consumer is gone, `CancellationError`.
    @usableFromInline
    package func send(_ delivery: Delivery) async throws {
        if try isSent(trySend(delivery)) { return }
        let id = locked.withLock { locked in
            locked.nextWaiterID += 1
            return locked.nextWaiterID
        }
        let result = await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                waitForRoom(id: id, delivery) { continuation.resume(returning: $0) }
            }
        } onCancel: {
            let waiter = locked.withLock { $0.machine.removeWaiter(id: id) }
            waiter?.resume(.cancelled)
        }
        _ = try isSent(result)
    }

    /// Whether there was room; throws when there never will be.
    func isSent(_ result: MailboxStateMachine.SendResult) throws -> Bool {
        switch result {
        case .sent: return true
        case .full: return false
        case .closed: throw MailboxClosed()
        case .overflow: throw MailboxOverflow(stage: owner, capacity: capacity)
        case .cancelled: throw CancellationError()
        }
    }

    /// Like ``trySend(_:)``; a consumer that waits is claimed, if its stage can be helped, instead of woken.
    ///
    /// - Parameter claim: The stage of a consumer that stays asleep until ``releaseClaim(waking:)``:
    ///   its turn is the sender's to do. Left alone when there is one already.
    func trySend(
        _ delivery: Delivery, claiming: Claiming, _ claim: inout StageActor?
    ) -> MailboxStateMachine.SendResult {
        offer(delivery, claiming: claim == nil ? claiming : .none, claim: &claim)
    }

    private func offer(
        _ delivery: Delivery, claiming: Claiming, claim: inout StageActor?,
        wakeUps: ConsumerWakeUps? = nil
    ) -> MailboxStateMachine.SendResult {
        let (action, consumer, stage) = locked.withLock {
            locked -> (
                MailboxStateMachine.SendAction, UnsafeContinuation<Void, Never>?, StageActor?
            ) in
            let action = locked.machine.offer(delivery)
            guard case .accepted(true, _) = action else {
                if case .full = action { locked.refusedWeight = delivery.weight }
                return (action, nil, nil)
            }
            if claiming != .none, let stage = locked.lentStage, claiming == .any || stage.isLight {
                return (action, nil, stage)
            }
            return (action, locked.consumer.take(), nil)
        }
        switch action {
        case .accepted(_, let lost):
            if lost > 0 { dropped.add(lost, ordering: .relaxed) }
            if let stage { claim = stage }
            wakeUp(consumer, with: wakeUps)
            return .sent
        case .full: return .full
        case .overflow: return .overflow
        case .closed: return .closed
        }
    }

    /// Lets senders do turns of the consumer's stage while the consumer waits.
    package func lend(_ stage: StageActor) {
        locked.withLock { $0.lentStage = stage }
    }

    /// Ends a claim: the consumer waits on, unless there is something to do by now.
    package func releaseClaim(waking: Bool) {
        wakeUp(
            locked.withLock { locked in
                if waking { _ = locked.machine.wake() }
                if locked.machine.needsConsumer { return locked.consumer.take() }
                locked.machine.consumerWillWait()
                return nil
            })
    }

    private func waitForRoom(
        id: UInt64, _ delivery: Delivery,
        _ resume: @escaping @Sendable (MailboxStateMachine.SendResult) -> Void
    ) {
        let isCancelled = Task.isCancelled
        let (result, consumer):
            (MailboxStateMachine.SendResult?, UnsafeContinuation<Void, Never>?) =
                locked.withLock { locked in
                    switch locked.machine.offer(delivery) {
                    case .accepted(let wake, let lost):
                        if lost > 0 { dropped.add(lost, ordering: .relaxed) }
                        return (.sent, wake ? locked.consumer.take() : nil)
                    case .closed: return (.closed, nil)
                    case .overflow: return (.overflow, nil)
                    case .full:
                        if isCancelled { return (.cancelled, nil) }
                        locked.machine.enqueueWaiter(
                            .init(id: id, delivery: delivery, resume: resume))
                        return (nil, nil)
                    }
                }
        wakeUp(consumer)
        if let result { resume(result) }
    }

    /// Calls back once, when the consumer has made room.
    ///
    /// At once when there is room for what was refused last.
    @usableFromInline
    package func whenSpace(_ callback: @escaping @Sendable () -> Void) {
        let now = locked.withLock { locked in
            if locked.machine.isClosed
                || (locked.machine.waiters.isEmpty
                    && locked.machine.hasRoom(for: locked.refusedWeight))
            {
                return true
            }
            locked.spaceCallbacks.append(callback)
            return false
        }
        if now { callback() }
    }

    // MARK: The consumer

    /// Moves all that is queued into `deliveries` (which must be empty), waiting while there is nothing.
    ///
    /// - Parameter holding: Leave the queue alone and come back only for `.woken` and `.closed`.
    package func next(
        into deliveries: inout Deque<Delivery>, holding: Bool = false
    ) async -> Turn {
        while true {
            if let turn = takeNow(into: &deliveries, holding: holding) { return turn }
            await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
                let ready = locked.withLock { locked in
                    let hasDeliveries = !holding && locked.machine.hasDeliveries
                    if hasDeliveries || locked.machine.isWoken || locked.machine.isClosed {
                        return true
                    }
                    locked.machine.consumerWillWait()
                    locked.consumer = continuation
                    return false
                }
                if ready { continuation.resume() }
            }
        }
    }

    /// The same without waiting: nil when there is nothing.
    package func takeNow(
        into deliveries: inout Deque<Delivery>, holding: Bool = false
    ) -> Turn? {
        if holding { return locked.withLock { $0.machine.takeWakeUp() } }
        if let turn = takeQueued(into: &deliveries) {
            consumerIsIdle.store(false, ordering: .relaxed)
            return turn
        }
        return takeHeldBack(into: &deliveries)
    }

    /// Takes what producers have held back, when nothing was queued; nil when there is nothing.
    func takeHeldBack(into deliveries: inout Deque<Delivery>) -> Turn? {
        // From here on producers hand over at once; what they held back until now is taken from them.
        consumerIsIdle.store(true, ordering: .sequentiallyConsistent)
        // What a producer queued in between comes before what it has held back since.
        if let turn = takeQueued(into: &deliveries) {
            consumerIsIdle.store(false, ordering: .relaxed)
            return turn
        }
        let fillers = locked.withLock { $0.machine.isPaused ? [] : $0.fillers }
        var found = false
        for filler in fillers {
            guard let batch = filler.takeOpenBatch() else { continue }
            deliveries.append(Delivery(channel: 0, item: .batch(batch)))
            found = true
        }
        if found {
            consumerIsIdle.store(false, ordering: .relaxed)
            return .deliveries
        }
        return nil
    }

    /// Moves all that is queued into `deliveries` (which must be empty); nil when there is nothing.
    package func takeQueued(into deliveries: inout Deque<Delivery>) -> Turn? {
        var taken = Deque<Delivery>()
        swap(&taken, &deliveries)
        let (action, callbacks) = locked.withLock { locked in
            let action = locked.machine.take(into: &taken)
            guard case .taken = action else { return (action, [@Sendable () -> Void]()) }
            locked.refusedWeight = 1
            defer { locked.spaceCallbacks.removeAll() }
            return (action, locked.spaceCallbacks)
        }
        swap(&taken, &deliveries)
        switch action {
        case .taken(let resumed):
            for waiter in resumed { waiter.resume(.sent) }
            for callback in callbacks { callback() }
            return .deliveries
        case .woken: return .woken
        case .closed: return .closed
        case .empty: return nil
        }
    }

    // MARK: Alignment of checkpoints

    /// Sets aside what comes by a channel, until ``releaseHeld()``.
    package func hold(channel: Int) {
        // What leaves the queue makes room for the other channels' senders.
        let (resumed, callbacks) = locked.withLock { locked in
            locked.machine.hold(channel: channel)
            defer { locked.spaceCallbacks.removeAll() }
            return (locked.machine.admitWaiters(), locked.spaceCallbacks)
        }
        for waiter in resumed { waiter.resume(.sent) }
        for callback in callbacks { callback() }
    }

    /// Puts what was set aside in front of what waits.
    package func releaseHeld() {
        let (consumer, resumed) = locked.withLock { locked in
            let (wake, resumed) = locked.machine.releaseHeld()
            return (wake ? locked.consumer.take() : nil, resumed)
        }
        wakeUp(consumer)
        for waiter in resumed { waiter.resume(.sent) }
    }

    // MARK: Control

    /// Lets ``next(into:)`` come back with `.woken`.
    package func wake() {
        wakeUp(locked.withLock { $0.machine.wake() ? $0.consumer.take() : nil })
    }

    package func setPaused(_ paused: Bool) {
        wakeUp(
            locked.withLock { locked in
                // Nothing waits for one that takes nothing any more.
                if locked.machine.isClosed { return nil }
                let wasPaused = locked.machine.isPaused
                let wakes = locked.machine.setPaused(paused)
                notePause(from: wasPaused, to: locked.machine.isPaused)
                return wakes ? locked.consumer.take() : nil
            })
    }

    private func notePause(from wasPaused: Bool, to isPaused: Bool) {
        if isPaused, !wasPaused { holdUps?.begin() }
        if wasPaused, !isPaused { holdUps?.end() }
    }

    /// Whether nothing waits and what comes is taken.
    var isQuiet: Bool { locked.withLock { $0.machine.isQuiet } }

    package var isPaused: Bool { locked.withLock { $0.machine.isPaused } }

    /// Closes both ends; what is queued is discarded and counted.
    package func close() {
        let (waiters, consumer, callbacks) = locked.withLock { locked in
            // A pause that nobody ends any more holds nothing up.
            notePause(from: locked.machine.isPaused && !locked.machine.isClosed, to: false)
            let (wake, waiters, lost) = locked.machine.close()
            discarded.add(lost, ordering: .relaxed)
            defer {
                locked.spaceCallbacks.removeAll()
                locked.fillers.removeAll()
                locked.lentStage = nil
            }
            return (waiters, wake ? locked.consumer.take() : nil, locked.spaceCallbacks)
        }
        wakeUp(consumer)
        for waiter in waiters { waiter.resume(.closed) }
        for callback in callbacks { callback() }
    }

    /// Wakes the consumer now, or with others later.
    private func wakeUp(
        _ consumer: UnsafeContinuation<Void, Never>?, with others: ConsumerWakeUps? = nil
    ) {
        guard let consumer else { return }
        consumerIsIdle.store(false, ordering: .relaxed)
        if let others { others.add(consumer) } else { consumer.resume() }
    }
}

/// The consumer of a mailbox is gone: nothing more will be taken.
package struct MailboxClosed: Error, CustomStringConvertible {
    package init() {}
    package var description: String { "the receiving stage has stopped" }
}
