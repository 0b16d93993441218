import Logging
import Synchronization

/// What the operators of a stage are told of a change of its inputs.
struct MergedSignal {
    var watermark: EventTime?
    var isIdle = false
}

// Handling of what comes by the mailbox.
extension StageActor {
    /// How far a delivery has come without suspending.
    enum Progress {
        case done
        /// Handled, but work was put off or a sink has something to write.
        case unfinished
        /// Rolled back: one of the batch's events fails, or the signal.
        case failed(any Error)
        /// Nothing has happened yet.
        case notTried
    }

    /// Handles a delivery as far as that goes without suspending: all the way, for nearly all of them.
    func begin(_ delivery: Delivery) throws -> Progress {
        switch delivery.item {
        case .batch(let batch):
            // The box may travel on with other events.
            let count = batch.count
            if count > eventsAtOnce { return .notTried }
            let readyBefore = scope.readyEvents
            defer { adaptEventsAtOnce(count, emitted: scope.readyEvents - readyBefore) }
            metrics.eventsIn.advance(by: count)
            metrics.batchesIn.advance(by: 1)
            let input = input(of: delivery)
            let isRedriven = delivery.redrivenInput != nil
            if !isRedriven {
                if isSource {
                    if let position = batch.position { sourcePosition = position }
                    scope.isBetweenPositions = batch.isContinued
                }
                // It only says where the source is.
                if count == 0 { return .done }
                channels.receivedBatch(on: delivery.channel)
            }
            if scope.isFallible {
                let deliver = heads[input].deliver
                if batch.count == 1 { scope.timeOfEvent = batch.time(at: 0) }
                if let error = transact({ try deliver(batch) }) { return .failed(error) }
            } else if isRedriven {
                // The dead letters may hold it still.
                try heads[input].deliver(batch)
                scope.commit()
            } else {
                // Nothing throws, so nothing will ask for the batch again.
                scope.spareBox = batch
                try heads[input].consume(batch)
                scope.spareBox = nil
                scope.commit()
            }
        case .signal(.end), .signal(.watermark(.max)): return .notTried
        case .barrier: return .done
        case .signal(let signal):
            let change = channels.received(signal, on: delivery.channel)
            if inputOfChannel.count > 1 { metrics.inputs = channels.states }
            guard take(note: change) else { return .done }
            if let error = transact({ try self.tellMerged() }) { return .failed(error) }
        }
        guard scope.backlog.isEmpty else { return .unfinished }
        return scope.writers.allSatisfy { $0.writePendingNow() } ? .done : .unfinished
    }

    /// Handles the events of a batch in parts, each a transaction of its own, so that an operator
    /// that emits many events for each of its own neither holds them all nor waits with them.
    private func handleInParts(_ delivery: Delivery, _ batch: any AnyBatch) async throws {
        var start = 0
        var lastFlush = environment.clock.monotonicNanoseconds()
        do {
            while start < batch.count {
                let end = start + min(eventsAtOnce, batch.count - start)
                var part = delivery
                part.item = .batch(batch.slice(start..<end))
                start = end
                let progress = try begin(part)
                if case .done = progress {
                } else {
                    try await finish(part, after: progress)
                }
                if isTimeToFlush(since: &lastFlush) { try await flushAmidTurn() }
                if scope.isFinishedEarly { break }
                while scope.isSaturated { try await waitForAsyncWork() }
            }
        } catch {
            metrics.countDropped(batch.count - start, reason: .cancelled)
            throw error
        }
    }

    /// How many batches a transaction should emit at most, if more than one event went into it.
    private static let batchesAtOnce = 4

    /// Learns from what a batch has emitted how many events to handle at once.
    private func adaptEventsAtOnce(_ count: Int, emitted: Int) {
        let limit = Self.batchesAtOnce * environment.batchSize
        if emitted > limit {
            eventsAtOnce = max(1, count * limit / emitted)
        } else if eventsAtOnce <= count, emitted <= limit / 2 {
            eventsAtOnce = eventsAtOnce > limit ? .max : eventsAtOnce * 2
        }
    }

    /// The head input that a delivery is for.
    private func input(of delivery: Delivery) -> Int {
        delivery.redrivenInput ?? inputOfChannel[delivery.channel]
    }

    /// Does the rest of a delivery.
    func finish(_ delivery: Delivery, after progress: Progress) async throws {
        switch (progress, delivery.item) {
        case (.done, _): return
        case (.unfinished, _): try await finishBacklog()
        case (.failed(let error), .batch(let batch)):
            try await handleEach(batch, input: input(of: delivery), failed: error)
        case (.failed(let error), .signal):
            try await work(failed: error) { try self.tellMerged() }
        case (.notTried, .batch(let batch)): try await handleInParts(delivery, batch)
        case (.notTried, .signal(let signal)):
            let input = inputOfChannel[delivery.channel]
            if inputOfChannel.count > 1, signal == .end {
                try await work { try self.scope.inputEnded(input) }
            }
            let change = channels.received(signal, on: delivery.channel)
            if inputOfChannel.count > 1 { metrics.inputs = channels.states }
            try await apply(change)
        case (_, .barrier): return
        }
        if !scope.writers.isEmpty { try await writePending() }
    }

    /// Takes note of a change of the inputs; false if it is nothing for the operators.
    private func take(note change: InputChannels.Change) -> Bool {
        switch change {
        case .none, .over(nil), .end(nil): return false
        case .idle(let time): merged = MergedSignal(watermark: time, isIdle: true)
        case .watermark(let time), .over(let time?), .end(let time?):
            merged = MergedSignal(watermark: time, isIdle: false)
        }
        if let time = merged.watermark {
            scope.watermark = time
            metrics.watermark.store(time.nanoseconds, ordering: .relaxed)
        }
        return true
    }

    private func tellMerged() throws {
        if let time = merged.watermark { try heads[0].signal(.watermark(time)) }
        if merged.isIdle { try heads[0].signal(.idle) }
    }

    func apply(_ change: InputChannels.Change) async throws {
        if take(note: change) { try await work { try self.tellMerged() } }
        switch change {
        case .none, .watermark, .idle: return
        case .over, .end: break
        }
        scope.watermark = .max
        metrics.watermark.store(EventTime.max.nanoseconds, ordering: .relaxed)
        try await signal(.watermark(.max))
        guard case .end = change else { return }
        while scope.hasAsyncWork { try await waitForAsyncWork() }
        try await signal(.end)
        while scope.hasAsyncWork { try await waitForAsyncWork() }
        hasEnded = true
    }

    func signal(_ signal: Signal) async throws {
        try await work { try self.heads[0].signal(signal) }
    }

    /// Handles the events of a batch that failed one by one, so that all others get through.
    private func handleEach(
        _ batch: any AnyBatch, input: Int, failed error: any Error
    ) async throws {
        // Which one it was is only known, and so counts as its first attempt, when it is alone.
        let first = batch.count == 1 ? error : nil
        for index in 0..<batch.count {
            do {
                try await handleAlone(
                    batch.slice(index..<(index + 1)), input: input, failed: first)
            } catch let error as StageStopped {
                metrics.countDropped(batch.count - index, reason: .cancelled)
                throw error
            }
        }
    }

    func handleAlone(
        _ batch: any AnyBatch, input: Int, failed first: (any Error)?
    ) async throws {
        let head = heads[input]
        let isCopied = input == scope.copiedInput
        // Sent again to one instance, it would set that one apart from the others.
        let route =
            isCopied ? nil : DeadLetterRoute(mailbox: mailbox, input: input, batch: batch)
        var attempts = 0
        var hasRestarted = false
        let scope = scope
        var action = {
            scope.timeOfEvent = batch.time(at: 0)
            try head.deliver(batch)
        }
        var failure = first
        while let error = failure ?? transact(action) {
            failure = nil
            attempts += 1
            switch scope.verdict(on: error) {
            case .skip:
                metrics.countDropped(1, reason: .skipped)
                endTrial(isPoison: true)
                return
            case .deadLetter:
                if !isCopied || instance == 0 {
                    giveUp(batch.event(at: 0), error, attempts, route)
                }
                endTrial(isPoison: true)
                return
            case .emit(let emit) where attempts < supervisor.attempts:
                // What follows the replacement in this stage may fail in its turn.
                let time = scope.timeOfEvent
                action = { try emit(time) }
            case .restart, .emit:
                if attempts < supervisor.attempts {
                    try await restart(after: error, trial: Self.alone)
                    hasRestarted = true
                    continue
                }
                guard supervisor.poison.kind == .deadLetter else { fallthrough }
                if !isCopied || instance == 0 {
                    giveUp(batch.event(at: 0), error, attempts, route)
                }
                endTrial(isPoison: true)
                return
            case .escalate:
                // The event is tried anew when those above have restarted the group.
                try await restart(after: error, escalating: true, trial: Self.alone)
                hasRestarted = true
                attempts = 0
            }
        }
        if hasRestarted { endTrial(isPoison: false) }
        try await finishBacklog()
    }

    func giveUp(
        _ event: any Sendable, _ error: any Error, _ attempts: Int, _ route: DeadLetterRoute? = nil
    ) {
        scope.deadLetter(event, reason: "\(error)", attempts: attempts, route: route)
        environment.logger.warning(
            "event sent to the dead letters",
            metadata: ["stage": "\(name)", "error": "\(error)", "attempts": "\(attempts)"])
    }
}
