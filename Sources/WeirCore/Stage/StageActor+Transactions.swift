import Logging
import Synchronization

// Transactions, work that was put off, restarts.
extension StageActor {
    /// Runs an action as a transaction; returns its error after everything is as it was before.
    func transact(_ action: () throws -> Void) -> (any Error)? {
        scope.begin()
        // Only a stage with code that may throw takes note of what it would have to undo.
        let faults = scope.isFallible ? environment.faults : nil
        do {
            try faults?.strike(stage: name, isDone: false)
            try action()
            try faults?.strike(stage: name, isDone: true)
            scope.commit()
            return nil
        } catch {
            scope.rollback()
            return error
        }
    }

    /// Runs what belongs to no single event, restarting the stage while it fails and the supervisors allow it.
    ///
    /// - Parameter failed: The error of a first try that has been made already.
    func work(failed: (any Error)? = nil, _ action: () throws -> Void) async throws {
        var earlier = failed
        while let error = earlier ?? transact(action) {
            earlier = nil
            if let call = error as? CallFailure {
                try await restart(
                    after: call.cause, escalating: call.escalates, trial: call.trial)
            } else if case .escalate = scope.verdict(on: error) {
                try await restart(after: error, escalating: true)
            } else {
                try await restart(after: error)
            }
        }
        try await finishBacklog()
    }

    func finishBacklog() async throws {
        while let item = scope.backlog.first {
            var attempts = 0
            var hasRestarted = false
            var goesOn = false
            scope.timeOfEvent = scope.watermark
            while let error = transact({ goesOn = try item.step() }) {
                let isAlone = scope.portion == 1
                scope.portion = 1
                // First find the unit that fails, then do with it alone what is decided.
                if !isAlone { continue }
                attempts += 1
                let verdict = scope.verdict(on: error)
                if decidesAboutUnit(verdict) {
                    if let unit = item.abandon() {
                        goesOn = true
                        switch verdict {
                        case .skip: metrics.countDropped(1, reason: .skipped)
                        case .emit(let emit): try await replace(unit, emit)
                        default: giveUp(unit, error, 1)
                        }
                        endTrial(isPoison: true)
                        hasRestarted = false
                        break
                    }
                }
                var escalates = false
                if case .escalate = verdict { escalates = true }
                let isPoison = attempts >= supervisor.attempts
                if isPoison && supervisor.poison.kind == .escalate { escalates = true }
                guard isPoison, !escalates, let unit = item.abandon() else {
                    try await restart(after: error, escalating: escalates, trial: Self.alone)
                    hasRestarted = true
                    if escalates { attempts = 0 }
                    continue
                }
                giveUp(unit, error, attempts)
                endTrial(isPoison: true)
                hasRestarted = false
                goesOn = true
                break
            }
            if hasRestarted { endTrial(isPoison: false) }
            if !goesOn {
                scope.portion = environment.batchSize
                scope.removeBacklogItem()
            }
            if scope.readyEvents >= environment.batchSize { try await flush() }
        }
    }

    /// Sends on what replaces a unit; when what follows the replacement in this stage fails in its turn, that is
    /// treated like an event that fails, with the failure of the unit as its first.
    private func replace(
        _ unit: AbandonedUnit, _ replacement: @escaping (EventTime) throws -> Void
    ) async throws {
        let time = scope.timeOfEvent
        var emit = replacement
        var attempts = 1
        while let error = transact({ try emit(time) }) {
            attempts += 1
            let isPoison = attempts >= supervisor.attempts
            var escalates = isPoison && supervisor.poison.kind == .escalate
            switch scope.verdict(on: error) {
            case .skip: return metrics.countDropped(1, reason: .skipped)
            case .deadLetter: return giveUp(unit, error, attempts)
            case .emit(let other) where !isPoison:
                emit = other
                continue
            case .escalate: escalates = true
            case .restart, .emit: break
            }
            if isPoison, !escalates { return giveUp(unit, error, attempts) }
            try await restart(after: error, escalating: escalates, trial: Self.alone)
            if escalates { attempts = 0 }
        }
    }

    private func giveUp(_ unit: AbandonedUnit, _ error: any Error, _ attempts: Int) {
        giveUp(unit.event, error, attempts, unit.batch.flatMap { scope.routeToHead($0) })
    }

    func decidesAboutUnit(_ verdict: Recovery.Verdict) -> Bool {
        switch verdict {
        case .skip, .deadLetter, .emit: true
        case .restart, .escalate: false
        }
    }

    /// The number of the trial of what is handled alone: one event, unit or write at a time.
    static let alone = 0

    func endTrial(isPoison: Bool) {
        supervisors.endTrial(Self.alone, of: self, isPoison: isPoison)
    }

    /// - Parameters:
    ///   - escalating: Whether the stage's supervisor is passed over and its parent decides.
    ///   - trial: The number of what has failed, when that may turn out to be to blame.
    func restart(
        after error: any Error, escalating: Bool = false, trial: Int? = nil
    ) async throws {
        let started = environment.clock.monotonicNanoseconds()
        let now = environment.clock.now()
        let verdict =
            escalating
            ? supervisors.childEscalated(self, at: now, trial: trial)
            : supervisors.childFailed(self, at: now, trial: trial)
        switch verdict {
        case .giveUp(let label):
            environment.logger.error(
                "supervisor gives up",
                metadata: ["stage": "\(name)", "supervisor": "\(label)", "error": "\(error)"])
            throw StageFailure(stage: name, cause: error)
        case .restart(let delay):
            environment.logger.warning(
                "stage restarts",
                metadata: [
                    "stage": "\(name)", "error": "\(error)", "after": "\(delay)",
                    "escalated": "\(escalating)",
                ])
            if delay > .zero {
                metrics.activity = .restarting
                holdUps.begin()
                defer {
                    holdUps.end()
                    metrics.activity = .handling
                }
                await wait(for: delay)
                if Task.isCancelled || mailbox.isClosed { throw StageStopped() }
                scope.now = environment.clock.now()
            }
            restartOperators()
            for writer in scope.writers { await writer.reset() }
            metrics.recoveryNanoseconds.store(
                environment.clock.monotonicNanoseconds() - started, ordering: .relaxed)
        }
    }

    /// Waits before a restart, no longer than until the stage or its run is cancelled.
    private func wait(for delay: Duration) async {
        let clock = environment.clock
        let wait = startTask(on: environment.executor) { try await clock.sleep(for: delay) }
        control.beginBackoff(wait)
        defer { control.endBackoff() }
        if mailbox.isClosed { wait.cancel() }
        _ = await withTaskCancellationHandler {
            await wait.result
        } onCancel: {
            wait.cancel()
        }
    }

    func restartOperators() {
        metrics.restarts.add(1, ordering: .relaxed)
        for action in scope.restartActions { action() }
    }
}
