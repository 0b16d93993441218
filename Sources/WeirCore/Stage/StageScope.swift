package import Logging
import Synchronization

/// What the operators of one stage instance share; confined to the stage's actor.
///
/// Fields that every batch touches are left out of the run-time check for overlapping accesses:
/// they are read, or replaced by one statement that calls nothing.
@usableFromInline
package final class StageScope {
    @usableFromInline package let name: String
    /// Which of the stage's parallel instances this is, from 0.
    package let instance: Int
    package let parallelism: Int
    @usableFromInline package let environment: RunEnvironment
    package let metrics: StageMetrics

    /// Processing time as of the delivery being handled: the only clock that handlers see.
    @exclusivity(unchecked) @usableFromInline package var now: EventTime
    /// The merged watermark of the stage's inputs.
    @usableFromInline package var watermark = EventTime.min
    /// The event time of the event that is handled alone, as far as it has got through the operators.
    @usableFromInline var timeOfEvent = EventTime.min
    /// The seeded generator of this instance.
    @usableFromInline package var random: SplitMix64

    @exclusivity(unchecked) package private(set) var participants: [any TransactionParticipant] = []
    package private(set) var restartActions: [() -> Void] = []
    package private(set) var recoveries: [Recovery] = []
    @exclusivity(unchecked) package private(set) var timers: [StageTimer] = []
    @exclusivity(unchecked) package private(set) var ports: [OutputPort] = []
    @exclusivity(unchecked) package var writers: [any SinkDriver] = []
    package private(set) var isFallible = false
    /// Work that an operator has put off so that its outputs leave in portions; done before the next delivery.
    @exclusivity(unchecked) package private(set) var backlog: [BacklogItem] = []
    /// How many units of put-off work make a portion: 1 while the stage looks for the one that fails.
    @usableFromInline package var portion: Int
    @exclusivity(unchecked) package private(set) var asyncWork: [any AsyncWork] = []
    private var inputEndActions: [(Int) throws -> Void] = []
    private var gauges: [() -> (keys: Int, timers: Int)] = []
    private var shown: [(gauge: StageGauge, value: () -> Int)] = []
    private var backlogAtBegin = 0
    private(set) var mailbox: Mailbox?
    /// For how long nothing could come; nil for a stage that counts no quiet time.
    var heldTime: HeldTime?
    /// Whether the stage is a source's, which takes a barrier when it is asked to.
    var isSource = false
    /// Whether a part of what the source has sent with one position has been handled, and not all:
    /// there is no position that a checkpoint could name.
    var isBetweenPositions = false
    /// Whether the stage may wait for others to catch up in event time.
    var isAligned = false
    /// The input whose events all instances get alike, so that what one of them gives up all do.
    var copiedInput: Int?
    /// Whether the stage has taken deliveries that it has not handled yet.
    var hasDeliveries = false
    /// Whether the head has had enough: the stage ends without waiting for its inputs to end.
    package private(set) var isFinishedEarly = false
    /// The supervisor's settings, for operators that try again by themselves.
    package var supervisor = Supervisor()
    /// Says that the stage is done with the call of a number, and whether the event was to blame for its failures.
    @usableFromInline package var endTrial: (_ trial: Int, _ isPoison: Bool) -> Void = { _, _ in }
    /// The head input that each input channel feeds.
    package var inputOfChannel: [Int] = []

    /// The operators' state that checkpoints keep, by names that a topology's structure gives.
    package private(set) var states: [(id: String, state: any CheckpointedState)] = []
    private var node = ""
    private var nodeCounts: [String: Int] = [:]
    private var stateCount = 0
    private var barrierActions: [(Int) throws -> Void] = []
    /// The box of the batch being handled, which is empty by now and good for what comes of it.
    @exclusivity(unchecked) @usableFromInline var spareBox: (any AnyBatch)?

    /// The loops that go through the stage.
    package let loops = LoopRelay()

    /// What the stage's tables have in a state backend; nil when all state is in memory.
    var backend: StageBackend?

    package init(
        name: String, instance: Int, parallelism: Int, environment: RunEnvironment,
        metrics: StageMetrics
    ) {
        self.name = name
        self.instance = instance
        self.parallelism = parallelism
        self.environment = environment
        self.metrics = metrics
        now = environment.clock.now()
        portion = environment.batchSize
        random = SplitMix64(
            seed: environment.seed &+ name.utf8.reduce(UInt64(instance)) { $0 &* 31 &+ UInt64($1) })
    }

    package var logger: Logger { environment.logger }

    /// Forgets all that operators have registered.
    func forgetOperators() {
        participants = []
        restartActions = []
        recoveries = []
        timers = []
        ports = []
        writers = []
        backlog = []
        asyncWork = []
        inputEndActions = []
        gauges = []
        shown = []
        states = []
        barrierActions = []
        endTrial = { _, _ in }
        spareBox = nil
        backend = nil
    }

    /// A number that another run, stage or instance does not have: it is as random as the run's seed.
    @usableFromInline package var epoch: UInt64 {
        let salt = name.utf8.reduce(UInt64(instance)) { $0 &* 31 &+ UInt64($1) }
        var generator = SplitMix64(seed: environment.seed ^ 0x5EED_0F_CA11)
        var salted = SplitMix64(seed: generator.next() &+ salt)
        return salted.next()
    }

    // MARK: What operators register when they are built

    /// Says that an operator calls code that may throw, so that batches have to be transactions.
    @usableFromInline
    package func markFallible() {
        isFallible = true
    }

    @usableFromInline
    package func register(_ participant: some TransactionParticipant) {
        participants.append(participant)
    }

    /// Runs when the stage is restarted: for making a handler anew.
    @usableFromInline
    package func onRestart(_ action: @escaping () -> Void) {
        restartActions.append(action)
    }

    /// Registers a value of an operator that is rolled back with the batch and kept in checkpoints.
    @usableFromInline
    package func register<Value: Sendable>(_ value: TransactionalValue<Value>) {
        participants.append(value)
        keep(CheckpointedValue(get: { value.value }, set: { value.value = $0 }))
    }

    /// Has checkpoints keep a piece of an operator's state.
    @usableFromInline
    package func keep(_ state: any CheckpointedState) {
        states.append((id: "\(node)/\(stateCount)", state: state))
        stateCount += 1
    }

    /// The next pieces of state belong to a node of this kind.
    package func beginNode(_ kind: String) {
        nodeCounts[kind, default: 0] += 1
        let count = nodeCounts[kind, default: 1]
        node = count == 1 ? kind : "\(kind)-\(count)"
        stateCount = 0
    }

    /// Puts what an operator emits into a box to travel in.
    @inlinable
    package func box<Element: Sendable>(_ batch: consuming Batch<Element>) -> BatchBox<Element> {
        guard let spare = spareBox, type(of: spare) == BatchBox<Element>.self else {
            return BatchBox(batch)
        }
        spareBox = nil
        let box = unsafeDowncast(spare, to: BatchBox<Element>.self)
        box.refill(batch)
        return box
    }

    /// Runs when a checkpoint's barrier has come, before the state is captured; what it emits
    /// belongs to the checkpoint.
    @usableFromInline
    package func onBarrier(_ action: @escaping (_ checkpoint: Int) throws -> Void) {
        barrierActions.append(action)
    }

    package func barrierReached(_ barrier: Barrier) throws {
        for action in barrierActions { try action(barrier.checkpoint) }
    }

    package func register(_ recovery: Recovery) {
        recoveries.append(recovery)
    }

    package func register(_ port: OutputPort) {
        ports.append(port)
    }

    /// A timer in processing time whose action runs on the stage like an event.
    @usableFromInline
    package func makeTimer(_ action: @escaping (EventTime) throws -> Void) -> StageTimer {
        let timer = StageTimer(action: action)
        timers.append(timer)
        return timer
    }

    /// An operator that waits for calls outside the actor.
    package func register(_ work: any AsyncWork) {
        asyncWork.append(work)
    }

    /// Runs when one of several inputs has ended while others go on.
    @usableFromInline
    package func onInputEnd(_ action: @escaping (Int) throws -> Void) {
        inputEndActions.append(action)
    }

    /// Ends the stage after this transaction as if its inputs had ended; upstream finds its mailbox closed.
    ///
    /// Only for the head of a stage with one input.
    @usableFromInline
    package func finishEarly() {
        isFinishedEarly = true
    }

    package func attach(_ mailbox: Mailbox) {
        self.mailbox = mailbox
    }

    /// What brings the stage back to its asynchronous operators; callable from any thread.
    @usableFromInline package var wake: @Sendable () -> Void {
        guard let mailbox else { return {} }
        return { mailbox.wake() }
    }

    // MARK: What the stage's actor uses

    package func begin() {
        backlogAtBegin = backlog.count
        for participant in participants { participant.beginBatch() }
    }

    package func commit() {
        for participant in participants { participant.commitBatch() }
        for port in ports { port.commit() }
    }

    package func rollback() {
        for participant in participants { participant.rollbackBatch() }
        for port in ports { port.rollback() }
        isFinishedEarly = false
        backlog.removeLast(max(0, backlog.count - backlogAtBegin))
    }

    package func inputEnded(_ input: Int) throws {
        for action in inputEndActions { try action(input) }
    }

    package func verdict(on error: any Error) -> Recovery.Verdict {
        for recovery in recoveries {
            if let verdict = recovery.verdict(error) { return verdict }
        }
        return .restart
    }

    /// As many events as a batch has.
    @usableFromInline var batchSize: Int { environment.batchSize }

    package var readyEvents: Int {
        var sum = 0
        for port in ports { sum += port.readyEvents }
        return sum
    }

    /// Whether nobody takes what this stage emits any more.
    package var isAbandoned: Bool {
        if ports.isEmpty || !writers.isEmpty { return false }
        for port in ports where !port.isClosed { return false }
        return true
    }

    /// Whether an asynchronous operator can't take more events now.
    package var isSaturated: Bool {
        if asyncWork.isEmpty { return false }
        return asyncWork.contains { $0.isSaturated }
    }

    /// Whether the stage waits for events.
    var isQuiet: Bool { mailbox?.isQuiet ?? true && !hasDeliveries && !isSaturated }

    /// For how long, since the run has begun, nothing could come to the stage.
    var held: HeldTime.Reading {
        heldTime?.reading(at: environment.clock.monotonicNanoseconds()) ?? HeldTime.Reading()
    }

    /// Whether calls are under way that a checkpoint has to wait for.
    package var blocksCheckpoint: Bool { asyncWork.contains { !$0.isReadyForCheckpoint } }

    package var hasAsyncWork: Bool { asyncWork.contains { !$0.isIdle } }

    /// Adds what is to be shown of the operators' state.
    @usableFromInline
    package func onPublish(_ gauge: @escaping () -> (keys: Int, timers: Int)) {
        gauges.append(gauge)
    }

    /// Has a number shown as it is at the end of each turn.
    @usableFromInline
    package func show(_ gauge: StageGauge, _ value: @escaping () -> Int) {
        shown.append((gauge, value))
    }

    package func publishMetrics() {
        if !shown.isEmpty { publishShown() }
        if gauges.isEmpty { return }
        var keys = 0
        var timers = 0
        for gauge in gauges {
            let (gaugeKeys, gaugeTimers) = gauge()
            keys += gaugeKeys
            timers += gaugeTimers
        }
        metrics.stateKeys.store(keys, ordering: .relaxed)
        metrics.pendingTimers.store(timers, ordering: .relaxed)
    }

    private func publishShown() {
        var values: [StageGauge: Double] = [:]
        for (gauge, value) in shown {
            values[gauge] = gauge.combine(values[gauge], Double(value()))
        }
        metrics.publish(values)
    }

    // MARK: What operators use while they run

    /// Puts work off in portions: done before the next delivery, with the outputs flushed in between.
    ///
    /// - Parameters:
    ///   - step: Does at most ``portion`` units; returns whether there is more. A transaction each.
    ///   - abandon: Drops the unit at the head, which keeps failing, and returns it for the dead letters; nil when there
    ///     is no such unit to drop.
    @usableFromInline
    package func enqueue(
        _ step: @escaping () throws -> Bool,
        abandon: @escaping () -> (any Sendable)? = { nil }
    ) {
        backlog.append(
            BacklogItem(step: step) { abandon().map { AbandonedUnit(event: $0, batch: nil) } })
    }

    /// The same for units that are events as the stage's head got them: those that are given up can be sent again.
    func enqueue(_ step: @escaping () throws -> Bool, abandonBatch: @escaping () -> (any AnyBatch)?)
    {
        backlog.append(
            BacklogItem(step: step) {
                abandonBatch().map { AbandonedUnit(event: $0.event(at: 0), batch: $0) }
            })
    }

    package func removeBacklogItem() {
        backlog.removeFirst()
    }

    /// Counts events that arrived behind the watermark and went to the late stream.
    @usableFromInline
    package func countLate(_ count: Int) {
        metrics.late.add(count, ordering: .relaxed)
    }

    /// Counts events that are dropped by policy.
    @usableFromInline
    package func countDropped(_ count: Int, reason: DropReason) {
        metrics.countDropped(count, reason: reason)
    }

    /// Sends an event to the dead letters.
    ///
    /// - Parameter batch: The event alone as the stage's head got it at input 0, for sending it again; nil when it is
    ///   another one.
    @usableFromInline
    package func deadLetter(
        _ event: any Sendable, reason: String, attempts: Int = 1, from batch: (any AnyBatch)? = nil
    ) {
        deadLetter(
            event, reason: reason, attempts: attempts, route: batch.flatMap { routeToHead($0) })
    }

    /// The way for an event of the stage's head to be sent again.
    func routeToHead(_ batch: any AnyBatch) -> DeadLetterRoute? {
        mailbox.map { DeadLetterRoute(mailbox: $0, input: 0, batch: batch) }
    }

    /// Sends an event to the dead letters, from where it goes this way if it is sent again.
    func deadLetter(
        _ event: any Sendable, reason: String, attempts: Int = 1, route: DeadLetterRoute?
    ) {
        metrics.deadLetters.add(1, ordering: .relaxed)
        var letter = DeadLetter(
            stage: name, event: event, reason: reason, attempts: attempts, time: now)
        letter.route = route
        environment.deadLetters.append(letter)
    }
}

/// Work that an operator has put off.
package struct BacklogItem {
    package let step: () throws -> Bool
    package let abandon: () -> AbandonedUnit?
}

/// What an operator has put off and gives up.
package struct AbandonedUnit {
    package let event: any Sendable
    /// The event alone as the stage's head got it; nil when it is another one.
    package let batch: (any AnyBatch)?
}

/// An operator whose events are out of the actor's hands for a while.
package protocol AsyncWork: AnyObject {
    /// Whether nothing is under way.
    var isIdle: Bool { get }
    /// Whether it can't take more events.
    var isSaturated: Bool { get }
    /// Whether all it has taken in is either emitted or part of its kept state.
    var isReadyForCheckpoint: Bool { get }
    /// Takes in what has come back, emits it, starts what waits. Called after `StageScope.wake`.
    func collect() throws
    /// The stage has ended or was cancelled: cancels what is under way and waits for it.
    func stop() async
}

extension AsyncWork {
    /// When nothing is under way.
    package var isReadyForCheckpoint: Bool { isIdle }
}

/// A processing-time timer of a stage: at most one deadline, set anew at will.
@usableFromInline
package final class StageTimer {
    package private(set) var deadline: EventTime?
    package let action: (EventTime) throws -> Void

    init(action: @escaping (EventTime) throws -> Void) {
        self.action = action
    }

    /// Sets the deadline, replacing an earlier setting.
    @usableFromInline
    package func set(_ deadline: EventTime?) {
        self.deadline = deadline
    }

    package func clear() {
        deadline = nil
    }
}

/// Breaks a circle at the end: a scope knows its operators, which know the receivers behind them, which know the scope.
final class ScopeOwner {
    private let scope: StageScope

    init(_ scope: StageScope) { self.scope = scope }

    deinit { scope.forgetOperators() }
}
