import DequeModule
import Logging
import Synchronization

/// One instance of a stage: the actor that owns its state and takes from its mailbox.
///
/// It handles one delivery at a time as a transaction. What a delivery emits leaves when it is done; when the next
/// mailbox is full the actor waits, so its own mailbox fills, and so on up to the source.
package actor StageActor: SupervisedChild {
    package nonisolated let name: String
    package nonisolated let order: Int
    package nonisolated let stage: Int
    package nonisolated let instance: Int
    package nonisolated let mailbox: Mailbox
    package nonisolated let metrics: StageMetrics
    nonisolated let control = StageControl()

    let environment: RunEnvironment
    let supervisors: SupervisorTree
    let scope: StageScope
    /// Told of waits that keep those behind the stage from getting anything.
    let holdUps: HoldUps
    private let scopeOwner: ScopeOwner
    var heads: [AnyReceiver] = []
    var channels: InputChannels
    /// What was told of the inputs last.
    var merged = MergedSignal()
    /// The head input that each channel feeds.
    let inputOfChannel: [Int]
    let makeHeads: @Sendable (StageScope) -> [AnyReceiver]
    var supervisor = Supervisor()
    var hasEnded = false
    var wakeUp: ScheduledAction?
    var wakeUpDeadline: EventTime?
    /// Whether the stage is a source's, which begins checkpoints.
    nonisolated let isSource: Bool
    nonisolated let hasWriters = Atomic<Bool>(false)
    /// Whether it may wait for others although a barrier waits before it.
    nonisolated let isAligned = Atomic<Bool>(false)
    var aligning: Barrier?
    var alignmentStarted: Int64 = 0
    var capture: OngoingCapture?
    /// Whether the stage stops to be continued from a checkpoint.
    var isSuspended = false
    var committedCheckpoint = 0
    /// Whether the stage had ended in the checkpoint that the run begins with.
    var hadEnded = false
    /// A stage behind this one whose turn is this stage's to do; see ``helpNext(_:)``.
    var claimed: StageActor?
    /// How many turns in a row were light; see ``isLight``.
    nonisolated let lightTurns = Atomic<Int>(0)
    /// Held during turns outside the actor, and while it is asked something; see ``takeTurnOutside()``.
    nonisolated let asides = Mutex<Void>(())
    /// How much of the turn under way went into turns of other stages.
    var helpedNanoseconds: Int64 = 0
    /// What a turn that another stage did here has left to do.
    var leftOver = HelpedTurn()
    /// Since when the stage has nothing to do, when it hasn't.
    var idleSince: Int64 = 0
    /// As many events as are handled as one transaction, so that it emits a few batches and no more.
    var eventsAtOnce = 64
    /// Where the source is behind what has been handled.
    var sourcePosition: SourcePosition?
    /// Whether a barrier waits for the rest of what the source has sent with one position.
    var hasPutOffBarrier = false

    package init(
        name: String, order: Int, stage: Int, instance: Int, parallelism: Int, mailbox: Mailbox,
        inputOfChannel: [Int], isSource: Bool = false, holdUps: HoldUps, heldTime: HeldTime?,
        environment: RunEnvironment, supervisors: SupervisorTree,
        makeHeads: @escaping @Sendable (StageScope) -> [AnyReceiver]
    ) {
        self.name = name
        self.order = order
        self.stage = stage
        self.instance = instance
        self.mailbox = mailbox
        self.inputOfChannel = inputOfChannel
        self.isSource = isSource
        self.holdUps = holdUps
        self.environment = environment
        self.supervisors = supervisors
        self.makeHeads = makeHeads
        metrics = StageMetrics()
        channels = InputChannels(count: inputOfChannel.count)
        scope = StageScope(
            name: name, instance: instance, parallelism: parallelism, environment: environment,
            metrics: metrics)
        scopeOwner = ScopeOwner(scope)
        scope.heldTime = heldTime
    }

    package nonisolated func requestRestart() {
        control.restartIsRequested.store(true, ordering: .relaxed)
        mailbox.wake()
    }

    package nonisolated func waitUntilStopped() async {
        await control.waitUntilStopped()
    }

    /// Builds the operators.
    ///
    /// Called once, before any event.
    package func prepare() throws {
        supervisor = supervisors.supervisor(of: self)
        scope.attach(mailbox)
        scope.supervisor = supervisor
        scope.isSource = isSource
        scope.inputOfChannel = inputOfChannel
        scope.endTrial = { [supervisors, unowned self] trial, isPoison in
            supervisors.endTrial(trial, of: self, isPoison: isPoison)
        }
        scope.backend = try environment.backends.open(for: name)
        heads = makeHeads(scope)
        try scope.backend?.check()
        if environment.checkpoints != nil {
            for (_, state) in scope.states { state.noteInitial() }
        }
        hasWriters.store(!scope.writers.isEmpty, ordering: .relaxed)
        isAligned.store(scope.isAligned, ordering: .relaxed)
    }

    /// Opens the sinks.
    ///
    /// - Parameter checkpoint: The number of the checkpoint that the run begins with.
    package func openSinks(restoredFrom checkpoint: Int?) async throws {
        for writer in scope.writers {
            try await writer.open()
            // What was left at the end of all streams was prepared as the last of all checkpoints.
            if let checkpoint {
                try await writer.commit(checkpoint: hadEnded ? .max : checkpoint)
            }
        }
    }

    var parallelism: Int { scope.parallelism }

    /// The state that checkpoints keep.
    var describedStates: [Manifest.State] { makePart(hasEnded: false).states }

    /// What keeps the stage's state from being stored.
    var obstacles: [String] { scope.states.compactMap { $0.state.obstacle } }

    /// What keeps the stage's keyed state from being in its backend.
    var backendObstacles: [String] { scope.backend?.obstacles ?? [] }

    /// Runs until all inputs have ended, the mailbox is closed, or the supervisors give up (then it throws).
    package func run() async throws {
        defer { control.stopped() }
        do {
            try await takeTurns()
            try await leaveToCheckpoints()
        } catch is StageStopped {
            // Cancelled, or nobody listens any more.
            if scope.isAbandoned { await finishCapture() }
            environment.checkpoints?.stageStopped(
                name, instance, isAbandoned: scope.isAbandoned && capture == nil)
            wakeUp?.cancel()
            mailbox.close()
            try await abandonOutput()
        } catch {
            wakeUp?.cancel()
            for work in scope.asyncWork { await work.stop() }
            await closeWriters(after: error)
            mailbox.close()
            throw error
        }
        for work in scope.asyncWork { await work.stop() }
        wakeUp?.cancel()
        mailbox.close()
        try await closeWritersReporting()
    }

    func takeTurns() async throws {
        var deliveries = Deque<Delivery>()
        // What has come by channels that are ahead of a checkpoint's barrier.
        var heldBack = Deque<Delivery>()
        idleSince = environment.clock.monotonicNanoseconds()
        // What was restored shows before the first event.
        scope.publishMetrics()
        armWakeUp()
        lendIfPossible()
        defer { claimed.take()?.mailbox.releaseClaim(waking: true) }
        while !hasEnded && !isSuspended {
            if scope.isFinishedEarly {
                try await apply(.end(after: nil))
                try await finishTurn()
                break
            }
            let turn =
                leftOver.deliveries.isEmpty
                ? await nextTurn(into: &deliveries) : takeLeftOver(into: &deliveries)
            let start = environment.clock.monotonicNanoseconds()
            metrics.idleNanoseconds.advance(by: start - idleSince)
            metrics.busySince.store(start, ordering: .relaxed)
            let blockedBefore = metrics.blockedNanoseconds.load(ordering: .relaxed)
            let eventsBefore = metrics.eventsIn.load(ordering: .relaxed)
            helpedNanoseconds = 0
            scope.now = environment.clock.now()
            if leftOver.isUnfinished { try await finishLeftOver() }
            switch turn {
            case .closed:
                abandonLeftOver()
                throw StageStopped()
            case .woken: try await handleWakeUp()
            case .deliveries:
                scope.hasDeliveries = true
                defer { scope.hasDeliveries = false }
                try await fireDueTimers()
                do {
                    var lastFlush = start
                    while let delivery = deliveries.popFirst() {
                        if channels.isAligning, delivery.redrivenInput == nil,
                            channels.isHeld(delivery.channel)
                        {
                            heldBack.append(delivery)
                            continue
                        }
                        if case .barrier(let barrier) = delivery.item {
                            let isAligned = try await receive(barrier, on: delivery.channel)
                            if isAligned { deliveries.prepend(contentsOf: heldBack.takeAll()) }
                            if isSuspended { break }
                            continue
                        }
                        let progress = try begin(delivery)
                        if case .done = progress {
                        } else {
                            try await finish(delivery, after: progress)
                        }
                        if scope.loops.hasOpenRounds { try await passProbes() }
                        if channels.isAligned, try await aligned() {
                            deliveries.prepend(contentsOf: heldBack.takeAll())
                        }
                        if capture != nil { continueCapture() }
                        if isTimeToFlush(since: &lastFlush) { try await flushAmidTurn() }
                        if scope.isFinishedEarly { break }
                        while scope.isSaturated { try await waitForAsyncWork() }
                    }
                } catch {
                    let left = deliveries.reduce(0) { $0 + $1.weight }
                    metrics.countDropped(left, reason: .cancelled)
                    throw error
                }
            }
            try await finishTurn()
            let mark = environment.clock.monotonicNanoseconds()
            let blocked = metrics.blockedNanoseconds.load(ordering: .relaxed) - blockedBefore
            metrics.busySince.store(0, ordering: .relaxed)
            let busy = max(0, mark - start - blocked - helpedNanoseconds)
            metrics.busyNanoseconds.advance(by: busy)
            noteTurn(busy, events: metrics.eventsIn.load(ordering: .relaxed) - eventsBefore)
            if claimed == nil {
                idleSince = mark
            } else {
                await helpNext(.any)
                idleSince = environment.clock.monotonicNanoseconds()
            }
        }
    }

    /// Waits for something to do; while state is being captured, that is something to do.
    private func nextTurn(into deliveries: inout Deque<Delivery>) async -> Mailbox.Turn {
        while let capture, !capture.writer.isFull {
            if let turn = mailbox.takeNow(into: &deliveries, holding: scope.isSaturated) {
                return turn
            }
            continueCapture()
        }
        if !scope.isSaturated { return await mailbox.next(into: &deliveries) }
        holdUps.begin()
        defer { holdUps.end() }
        return await mailbox.next(into: &deliveries, holding: true)
    }

    /// Whether what is ready should leave before the turn has ended: when it is much, or waits for long already.
    ///
    /// Waking the next stage costs as much as handling a batch; several batches share it while there is more to do.
    func isTimeToFlush(since lastFlush: inout Int64) -> Bool {
        let ready = scope.readyEvents
        if ready == 0 { return false }
        let now = environment.clock.monotonicNanoseconds()
        guard ready >= 4 * environment.batchSize || now - lastFlush > Self.longestHold else {
            return false
        }
        lastFlush = now
        return true
    }

    /// How long outputs wait at most for more outputs of the same turn: 100 µs.
    private static let longestHold: Int64 = 100_000

    func finishTurn() async throws {
        let isIdle = mailbox.depth == 0
        try await flush(claiming: isIdle ? .any : .light)
        if isIdle {
            for writer in scope.writers {
                try await retrying { try await writer.flush() }
            }
        }
        scope.publishMetrics()
        armWakeUp()
        resumePutOffBarrier()
    }

    /// Comes back to a barrier that had to wait, when it need not any more.
    func resumePutOffBarrier() {
        guard hasPutOffBarrier, !scope.isBetweenPositions else { return }
        hasPutOffBarrier = false
        mailbox.wake()
    }

    func handleWakeUp() async throws {
        if control.restartIsRequested.exchange(false, ordering: .relaxed) {
            restartOperators()
            for writer in scope.writers {
                await writer.reset()
                try await retrying { try await writer.open() }
            }
        }
        if capture != nil { continueCapture() }
        if hasWriters.load(ordering: .relaxed) { try await commitSinks() }
        try await collectAsyncWork()
        try await fireDueTimers()
        if isSource, scope.isBetweenPositions {
            hasPutOffBarrier = true
        } else if isSource, let barrier = control.requestedBarrier.withLock({ $0.take() }) {
            try await checkpoint(barrier)
        }
    }
}

extension Deque {
    /// Gives all elements and keeps none.
    fileprivate mutating func takeAll() -> Deque {
        defer { removeAll() }
        return self
    }
}
