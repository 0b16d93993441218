import DequeModule
import Logging
package import Synchronization

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

    private let environment: RunEnvironment
    private let supervisors: SupervisorTree
    private let scope: StageScope
    private var heads: [AnyReceiver] = []
    private var channels: InputChannels
    /// The head input that each channel feeds.
    private let inputOfChannel: [Int]
    private let makeHeads: @Sendable (StageScope) -> [AnyReceiver]
    private var supervisor = Supervisor()
    private var hasEnded = false
    private var wakeUp: ScheduledAction?
    private var wakeUpDeadline: EventTime?
    /// Restarts spent on events that turned out to be poison, given back at the next success.
    private var refundableRestarts = 0

    package init(
        name: String, order: Int, stage: Int, instance: Int, parallelism: Int, mailbox: Mailbox,
        inputOfChannel: [Int], environment: RunEnvironment, supervisors: SupervisorTree,
        makeHeads: @escaping @Sendable (StageScope) -> [AnyReceiver]
    ) {
        self.name = name
        self.order = order
        self.stage = stage
        self.instance = instance
        self.mailbox = mailbox
        self.inputOfChannel = inputOfChannel
        self.environment = environment
        self.supervisors = supervisors
        self.makeHeads = makeHeads
        metrics = StageMetrics()
        channels = InputChannels(count: inputOfChannel.count)
        scope = StageScope(
            name: name, instance: instance, parallelism: parallelism, environment: environment,
            metrics: metrics)
    }

    package nonisolated func requestRestart() {
        control.restartIsRequested.store(true, ordering: .relaxed)
        mailbox.wake()
    }

    package nonisolated func waitUntilStopped() async {
        await control.waitUntilStopped()
    }

    /// Builds the operators and opens the sinks. Called once, before any event.
    package func prepare() async throws {
        supervisor = supervisors.supervisor(of: self)
        scope.attach(mailbox)
        scope.supervisor = supervisor
        scope.inputOfChannel = inputOfChannel
        scope.refundRestarts = { [supervisors, unowned self] restarts in
            supervisors.refund(self, restarts: restarts)
        }
        heads = makeHeads(scope)
        for writer in scope.writers { try await writer.open() }
    }

    /// Runs until all inputs have ended, the mailbox is closed, or the supervisors give up (then it throws).
    package func run() async throws {
        defer { control.stopped() }
        do {
            try await takeTurns()
        } catch is StageStopped {
            // Cancelled, or nobody listens any more.
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

    private func takeTurns() async throws {
        var deliveries = Deque<Delivery>()
        var mark = environment.clock.monotonicNanoseconds()
        while !hasEnded {
            if scope.isFinishedEarly {
                try await apply(.end)
                try await finishTurn()
                break
            }
            let turn = await mailbox.next(into: &deliveries, holding: scope.isSaturated)
            let start = environment.clock.monotonicNanoseconds()
            metrics.idleNanoseconds.add(start - mark, ordering: .relaxed)
            metrics.busySince.store(start, ordering: .relaxed)
            let blockedBefore = metrics.blockedNanoseconds.load(ordering: .relaxed)
            scope.now = environment.clock.now()
            switch turn {
            case .closed: throw StageStopped()
            case .woken: try await handleWakeUp()
            case .deliveries:
                try await fireDueTimers()
                do {
                    while let delivery = deliveries.popFirst() {
                        try await handle(delivery)
                        if scope.readyEvents >= environment.batchSize { try await flush() }
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
            mark = environment.clock.monotonicNanoseconds()
            let blocked = metrics.blockedNanoseconds.load(ordering: .relaxed) - blockedBefore
            metrics.busySince.store(0, ordering: .relaxed)
            metrics.busyNanoseconds.add(max(0, mark - start - blocked), ordering: .relaxed)
        }
    }

    private func finishTurn() async throws {
        try await flush()
        if mailbox.depth == 0 {
            for writer in scope.writers {
                try await retrying { try await writer.flush() }
            }
        }
        scope.publishMetrics()
        armWakeUp()
    }

    private func handleWakeUp() async throws {
        if control.restartIsRequested.exchange(false, ordering: .relaxed) {
            restartOperators()
        }
        try await collectAsyncWork()
        try await fireDueTimers()
    }

    // MARK: Deliveries

    private func handle(_ delivery: Delivery) async throws {
        switch delivery.item {
        case .batch(let batch):
            metrics.eventsIn.add(batch.count, ordering: .relaxed)
            metrics.batchesIn.add(1, ordering: .relaxed)
            channels.receivedBatch(on: delivery.channel)
            try await handle(batch, head: heads[inputOfChannel[delivery.channel]])
        case .signal(let signal):
            let input = inputOfChannel[delivery.channel]
            if signal == .end, inputOfChannel.count > 1 {
                try await work { try self.scope.inputEnded(input) }
            }
            let change = channels.received(signal, on: delivery.channel)
            if inputOfChannel.count > 1 { metrics.inputs = channels.states }
            try await apply(change)
        }
    }

    private func apply(_ change: InputChannels.Change) async throws {
        switch change {
        case .none: return
        case .idle: try await signal(.idle)
        case .watermark(let time):
            scope.watermark = time
            metrics.watermark.store(time.nanoseconds, ordering: .relaxed)
            try await signal(.watermark(time))
        case .end:
            scope.watermark = .max
            metrics.watermark.store(EventTime.max.nanoseconds, ordering: .relaxed)
            try await signal(.watermark(.max))
            while scope.hasAsyncWork { try await waitForAsyncWork() }
            try await signal(.end)
            while scope.hasAsyncWork { try await waitForAsyncWork() }
            hasEnded = true
        }
    }

    private func signal(_ signal: Signal) async throws {
        try await work { try self.heads[0].signal(signal) }
    }

    private func handle(_ batch: any AnyBatch, head: AnyReceiver) async throws {
        if !scope.isFallible {
            try head.deliver(batch)
            scope.commit()
            try await finishBacklog()
        } else if let error = transact({ try head.deliver(batch) }) {
            // One of its events fails: each is handled alone, so that all others get through. Which one it was is only
            // known, and so counts as its first attempt, when it is alone.
            let first = batch.count == 1 ? error : nil
            for index in 0..<batch.count {
                do {
                    try await handleAlone(
                        batch.slice(index..<(index + 1)), head: head, failed: first)
                } catch let error as StageStopped {
                    metrics.countDropped(batch.count - index, reason: .cancelled)
                    throw error
                }
            }
        } else {
            refundRestarts()
            try await finishBacklog()
        }
        if !scope.writers.isEmpty { try await writePending() }
    }

    private func handleAlone(
        _ batch: any AnyBatch, head: AnyReceiver, failed first: (any Error)?
    ) async throws {
        var attempts = 0
        var action = { try head.deliver(batch) }
        var failure = first
        while let error = failure ?? transact(action) {
            failure = nil
            attempts += 1
            switch scope.verdict(on: error) {
            case .skip:
                metrics.countDropped(1, reason: .skipped)
                return
            case .deadLetter:
                giveUp([batch.event(at: 0)], error, attempts)
                return
            case .emit(let emit) where attempts < supervisor.attempts:
                // What follows the replacement in this stage may fail in its turn.
                action = emit
            case .escalate: throw StageFailure(stage: name, cause: error)
            case .restart, .emit:
                if attempts >= supervisor.attempts {
                    if supervisor.poison.kind == .escalate {
                        throw StageFailure(stage: name, cause: error)
                    }
                    giveUp([batch.event(at: 0)], error, attempts)
                    refundableRestarts += attempts - 1
                    return
                }
                try await restart(after: error)
            }
        }
        refundRestarts()
        try await finishBacklog()
    }

    /// Gives back what poison has cost, once something else has been handled.
    private func refundRestarts() {
        if refundableRestarts == 0 { return }
        supervisors.refund(self, restarts: refundableRestarts)
        refundableRestarts = 0
    }

    private func giveUp(_ events: [any Sendable], _ error: any Error, _ attempts: Int) {
        metrics.deadLetters.add(events.count, ordering: .relaxed)
        for event in events {
            environment.deadLetters.append(
                DeadLetter(
                    stage: name, event: event, reason: String(describing: error),
                    attempts: attempts, time: scope.now))
        }
        environment.logger.warning(
            "event sent to the dead letters",
            metadata: ["stage": "\(name)", "error": "\(error)", "attempts": "\(attempts)"])
    }

    // MARK: Transactions and restarts

    /// Runs an action as a transaction; returns its error after everything is as it was before.
    private func transact(_ action: () throws -> Void) -> (any Error)? {
        scope.begin()
        do {
            try action()
            scope.commit()
            return nil
        } catch {
            scope.rollback()
            return error
        }
    }

    /// Runs what belongs to no single event, restarting the stage while it fails and the supervisors allow it.
    private func work(_ action: () throws -> Void) async throws {
        while let error = transact(action) {
            if error is StageFailure { throw error }
            if case .escalate = scope.verdict(on: error) {
                throw StageFailure(stage: name, cause: error)
            }
            try await restart(after: error)
        }
        try await finishBacklog()
    }

    private func finishBacklog() async throws {
        while let item = scope.backlog.first {
            var attempts = 0
            var goesOn = false
            while let error = transact({ goesOn = try item.step() }) {
                let isAlone = scope.portion == 1
                scope.portion = 1
                attempts += 1
                let verdict = scope.verdict(on: error)
                if case .escalate = verdict { throw StageFailure(stage: name, cause: error) }
                if decidesAboutUnit(verdict) {
                    // First find the unit that fails, then do with it alone what was decided.
                    if !isAlone { continue }
                    if let event = item.abandon() {
                        goesOn = true
                        switch verdict {
                        case .skip: metrics.countDropped(1, reason: .skipped)
                        case .emit(let emit): if let second = transact(emit) { throw second }
                        default: giveUp([event], error, 1)
                        }
                        break
                    }
                }
                guard attempts >= supervisor.attempts, supervisor.poison.kind == .deadLetter,
                    let event = item.abandon()
                else {
                    try await restart(after: error)
                    continue
                }
                giveUp([event], error, attempts)
                refundableRestarts += attempts - 1
                goesOn = true
                break
            }
            if !goesOn {
                scope.portion = environment.batchSize
                scope.removeBacklogItem()
            }
            if scope.readyEvents >= environment.batchSize { try await flush() }
        }
    }

    private func decidesAboutUnit(_ verdict: Recovery.Verdict) -> Bool {
        switch verdict {
        case .skip, .deadLetter, .emit: true
        case .restart, .escalate: false
        }
    }

    private func restart(after error: any Error) async throws {
        let started = environment.clock.monotonicNanoseconds()
        switch supervisors.childFailed(self, at: environment.clock.now()) {
        case .giveUp(let label):
            environment.logger.error(
                "supervisor gives up",
                metadata: ["stage": "\(name)", "supervisor": "\(label)", "error": "\(error)"])
            throw StageFailure(stage: name, cause: error)
        case .restart(let delay):
            environment.logger.warning(
                "stage restarts",
                metadata: ["stage": "\(name)", "error": "\(error)", "after": "\(delay)"])
            if delay > .zero {
                metrics.activity = .restarting
                defer { metrics.activity = .handling }
                do {
                    try await environment.clock.sleep(for: delay)
                } catch {
                    throw StageStopped()
                }
                if mailbox.isClosed { throw StageStopped() }
                scope.now = environment.clock.now()
            }
            restartOperators()
            for writer in scope.writers { await writer.reset() }
            metrics.recoveryNanoseconds.store(
                environment.clock.monotonicNanoseconds() - started, ordering: .relaxed)
        }
    }

    private func restartOperators() {
        metrics.restarts.add(1, ordering: .relaxed)
        for action in scope.restartActions { action() }
    }

    // MARK: Output

    private func flush() async throws {
        for port in scope.ports {
            while let blocked = try await sendReady(port) {
                metrics.beginBlocked(
                    on: blocked.mailbox.owner, at: environment.clock.monotonicNanoseconds())
                defer { metrics.endBlocked(at: environment.clock.monotonicNanoseconds()) }
                do {
                    try await blocked.mailbox.send(blocked.delivery)
                } catch is MailboxClosed {
                    metrics.countDropped(blocked.delivery.weight, reason: .cancelled)
                    port.close(target: blocked.target)
                } catch is CancellationError {
                    metrics.countDropped(blocked.delivery.weight, reason: .cancelled)
                    throw StageStopped()
                }
            }
        }
        if scope.isAbandoned { throw StageStopped() }
    }

    private func sendReady(_ port: any AnyOutputPort) async throws -> BlockedDelivery? {
        while true {
            do {
                return try port.sendReady()
            } catch let error as MailboxOverflow {
                // What did not fit is still with the port.
                try await restart(after: error)
            }
        }
    }

    /// Drops what has not left yet and tells those behind that no more will come.
    private func abandonOutput() async throws {
        for writer in scope.writers {
            metrics.countDropped(writer.abandonPending().count, reason: .cancelled)
        }
        for port in scope.ports {
            metrics.countDropped(port.abandon(), reason: .cancelled)
            // Signals need no room.
            _ = try port.sendReady()
        }
    }

    private func writePending() async throws {
        for writer in scope.writers where writer.hasPending {
            var attempts = 0
            metrics.activity = .writing
            defer { metrics.activity = .handling }
            while true {
                metrics.activity = .writing
                do {
                    try await writer.writePending()
                    break
                } catch is CancellationError {
                    throw StageStopped()
                } catch {
                    attempts += 1
                    switch scope.verdict(on: error) {
                    case .skip:
                        metrics.countDropped(writer.abandonPending().count, reason: .skipped)
                    case .deadLetter:
                        giveUp(writer.abandonPending(), error, attempts)
                    case .escalate: throw StageFailure(stage: name, cause: error)
                    case .restart, .emit: try await restart(after: error)
                    }
                    if !writer.hasPending { break }
                }
            }
        }
    }

    private func retrying(_ action: () async throws -> Void) async throws {
        while true {
            do {
                return try await action()
            } catch is CancellationError {
                throw StageStopped()
            } catch {
                try await restart(after: error)
            }
        }
    }

    private func closeWriters(after error: any Error) async {
        for writer in scope.writers {
            do {
                try await writer.close()
            } catch let second {
                environment.logger.error(
                    "sink could not be closed",
                    metadata: ["stage": "\(name)", "error": "\(second)", "after": "\(error)"])
            }
        }
    }

    private func closeWritersReporting() async throws {
        for writer in scope.writers { try await writer.close() }
    }

    // MARK: Time and asynchronous operators

    private func fireDueTimers() async throws {
        for timer in scope.timers {
            guard let deadline = timer.deadline, deadline <= scope.now else { continue }
            timer.clear()
            try await work { try timer.action(self.scope.now) }
        }
    }

    private func armWakeUp() {
        let earliest = scope.timers.compactMap(\.deadline).min()
        if earliest == wakeUpDeadline { return }
        wakeUp?.cancel()
        wakeUp = nil
        wakeUpDeadline = earliest
        guard let earliest else { return }
        let mailbox = mailbox
        wakeUp = environment.clock.schedule(at: earliest) { mailbox.wake() }
    }

    private func collectAsyncWork() async throws {
        for work in scope.asyncWork {
            try await self.work { try work.collect() }
        }
    }

    private func waitForAsyncWork() async throws {
        try await flush()
        armWakeUp()
        metrics.activity = .awaitingCalls
        defer { metrics.activity = .handling }
        var none = Deque<Delivery>()
        switch await mailbox.next(into: &none, holding: true) {
        case .closed: throw StageStopped()
        case .woken, .deliveries: break
        }
        scope.now = environment.clock.now()
        try await handleWakeUp()
        try await flush()
        armWakeUp()
    }
}

/// What others may ask of a stage while it runs.
package final class StageControl: Sendable {
    package let restartIsRequested = Atomic<Bool>(false)
    private let stopping = Mutex<(isStopped: Bool, waiters: [UnsafeContinuation<Void, Never>])>(
        (false, []))

    package func stopped() {
        let waiters = stopping.withLock { stopping in
            stopping.isStopped = true
            defer { stopping.waiters.removeAll() }
            return stopping.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    package func waitUntilStopped() async {
        await withUnsafeContinuation { continuation in
            let isStopped = stopping.withLock { stopping in
                if !stopping.isStopped { stopping.waiters.append(continuation) }
                return stopping.isStopped
            }
            if isStopped { continuation.resume() }
        }
    }
}

/// Ends a stage's loop in good order.
struct StageStopped: Error {}

/// A stage has failed beyond what its supervisors restart; the run ends with it.
public struct StageFailure: Error, CustomStringConvertible {
    /// The name of the stage.
    public let stage: String

    /// What it threw.
    public let cause: any Error

    /// The stage and its error.
    public var description: String { "stage '\(stage)' failed: \(cause)" }
}
