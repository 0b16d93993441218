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
        while writer.hasPending {
            metrics.activity = .writing
            do {
                try await writer.open()
            } catch is CancellationError {
                throw StageStopped()
            } catch {
                // The sink is away: no event is to blame, however long that takes.
                try await restart(after: error, escalating: escalates(scope.verdict(on: error)))
                continue
            }
            do {
                try await writer.writePending()
            } catch is CancellationError {
                throw StageStopped()
            } catch {
                failures.count(of: writer.pendingBatches)
                try await handle(error, of: writer, &failures)
            }
        }
    }

    /// Decides about what stands first: a batch is written event by event before one of them is
    /// given up, so that the others are written.
    private func handle(
        _ error: any Error, of writer: any SinkDriver, _ failures: inout FailedWrites
    ) async throws {
        let verdict = scope.verdict(on: error)
        let isPoison = failures.attempts >= supervisor.attempts
        if escalates(verdict) || (isPoison && supervisor.poison.kind == .escalate) {
            try await restart(after: error, escalating: true)
            failures.reset()
            return
        }
        if !decidesAboutUnit(verdict) && !isPoison {
            try await restart(after: error)
            failures.restarts += 1
            return
        }
        // Not the sink but an event is to blame, so its supervisor does not count this.
        supervisors.refund(self, restarts: failures.restarts)
        defer { failures.reset() }
        await writer.reset()
        if writer.isolateFirst() { return }
        let events = writer.abandonFirst()
        if case .skip = verdict {
            metrics.countDropped(events.count, reason: .skipped)
        } else {
            giveUp(events, error, failures.attempts)
        }
    }

    private func escalates(_ verdict: Recovery.Verdict) -> Bool {
        if case .escalate = verdict { true } else { false }
    }
}

/// How often the batch that stands first has failed, and what that has cost.
private struct FailedWrites {
    var attempts = 0
    var restarts = 0
    private var pendingBatches = 0

    /// - Parameter pending: How many batches there are to write; another number says that those
    ///   before have been written.
    mutating func count(of pending: Int) {
        if pending != pendingBatches { reset() }
        pendingBatches = pending
        attempts += 1
    }

    mutating func reset() {
        attempts = 0
        restarts = 0
    }
}
