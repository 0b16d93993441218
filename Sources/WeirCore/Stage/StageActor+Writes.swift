// Writing to sinks, and what becomes of events that can't be written.
extension StageActor {
    func writePending() async throws {
        for writer in scope.writers where writer.hasPending {
            metrics.activity = .writing
            defer { metrics.activity = .handling }
            try await writeAll(of: writer)
        }
    }

    private func writeAll(of writer: any SinkDriver) async throws {
        var failures = FailedWrites()
        // Restarts after which the events could be written are the sink's.
        defer { if failures.hasFailed { endTrial(isPoison: false) } }
        while writer.hasPending {
            metrics.activity = .writing
            do {
                try await writer.open()
            } catch is CancellationError {
                throw StageStopped()
            } catch {
                try await restartAway(after: error)
                continue
            }
            do {
                try await writer.writePending()
            } catch is CancellationError {
                throw StageStopped()
            } catch let error as any SinkUnavailable {
                try await restartAway(after: error)
            } catch {
                failures.count(of: writer.pendingBatches)
                try await handle(error, of: writer, &failures)
            }
        }
    }

    /// The sink is away: no event is to blame, however long that takes.
    private func restartAway(after error: any Error) async throws {
        try await restart(after: error, escalating: escalates(scope.verdict(on: error)))
    }

    /// Decides about what stands first: a batch is written event by event before one of them is
    /// given up, so that the others are written.
    private func handle(
        _ error: any Error, of writer: any SinkDriver, _ failures: inout FailedWrites
    ) async throws {
        let verdict = scope.verdict(on: error)
        let isPoison = failures.attempts >= supervisor.attempts
        if escalates(verdict) || (isPoison && supervisor.poison.kind == .escalate) {
            try await restart(after: error, escalating: true, trial: Self.alone)
            failures.reset()
            return
        }
        if !decidesAboutUnit(verdict) && !isPoison {
            try await restart(after: error, trial: Self.alone)
            return
        }
        // Not the sink but an event is to blame, so its supervisor does not count this.
        endTrial(isPoison: true)
        defer { failures.reset() }
        await writer.reset()
        if writer.isolateFirst() { return }
        guard let event = writer.abandonFirst() else { return }
        if case .skip = verdict {
            metrics.countDropped(1, reason: .skipped)
        } else {
            let route = DeadLetterRoute(mailbox: mailbox, input: 0, batch: event)
            giveUp(event.event(at: 0), error, failures.attempts, route)
        }
    }

    private func escalates(_ verdict: Recovery.Verdict) -> Bool {
        if case .escalate = verdict { true } else { false }
    }
}

/// How often the batch that stands first has failed.
private struct FailedWrites {
    private(set) var attempts = 0
    private(set) var hasFailed = false
    private var pendingBatches = 0

    /// - Parameter pending: How many batches there are to write; another number says that those
    ///   before have been written.
    mutating func count(of pending: Int) {
        if pending != pendingBatches { reset() }
        pendingBatches = pending
        attempts += 1
        hasFailed = true
    }

    mutating func reset() {
        attempts = 0
    }
}
