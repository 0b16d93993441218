import Synchronization
import WeirJournal

// What stages contribute to checkpoints, and the end of their streams.
extension CheckpointService {
    /// Where an instance writes its part; nil when that checkpoint has been given up.
    func makeWriter(_ part: Manifest.Part, checkpoint: Int, wake: @escaping @Sendable () -> Void)
        -> PartWriter?
    {
        let target = state.withLock { state -> String? in
            guard let pending = state.pending, pending.number == checkpoint, pending.error == nil
            else { return nil }
            state.pending?.writing.insert(InstanceID(stage: part.stage, instance: part.instance))
            return pending.directory
        }
        guard let target else { return nil }
        return PartWriter(
            service: self, checkpoint: checkpoint, path: "\(target)/\(part.file)",
            files: directory.files, wake: wake)
    }

    func partDone(_ part: Manifest.Part, checkpoint: Int) {
        change(checkpoint) { pending in
            pending.awaited.remove(InstanceID(stage: part.stage, instance: part.instance))
            pending.parts.append(part)
        }
    }

    func partFailed(_ error: any Error, checkpoint: Int) {
        change(checkpoint) { pending in
            if pending.error == nil { pending.error = error }
        }
    }

    /// An instance has ended: what it leaves behind is part of every later checkpoint.
    func stageEnded(_ part: Manifest.Part, bytes: [UInt8]) {
        let id = InstanceID(stage: part.stage, instance: part.instance)
        let number = state.withLock { state in
            state.ended[id] = (part, bytes)
            return state.pending?.number
        }
        // What it was at the barrier is still on its way to the disk, if it has seen the barrier.
        if let number { change(number) { if !$0.writing.contains(id) { $0.awaited.remove(id) } } }
        tellWhetherAllHaveEnded()
    }

    /// An instance stops before its streams have ended: the checkpoint under way is given up, later
    /// ones go on without it.
    ///
    /// - Parameter isAbandoned: Whether all that took what it emits have ended. Then the one under way
    ///   gets what it was at the barrier, or goes on without it: it is nothing to them any more.
    func stageStopped(_ stage: String, _ instance: Int, isAbandoned: Bool) {
        let id = InstanceID(stage: stage, instance: instance)
        instances.withLock { $0[id] = nil }
        if let number = state.withLock({ $0.pending?.number }) {
            change(number) { pending in
                guard pending.awaited.contains(id) else { return }
                if isAbandoned {
                    // What it was is still on its way to the disk, if it has seen the barrier.
                    if !pending.writing.contains(id) { pending.awaited.remove(id) }
                } else if pending.error == nil {
                    // Without its part it would be no consistent cut.
                    pending.error = StageHasStopped(stage: stage)
                }
            }
        }
        tellWhetherAllHaveEnded()
    }

    private func tellWhetherAllHaveEnded() {
        let ids = instances.withLock { Set($0.keys) }
        let waiters = state.withLock { state in
            guard ids.isSubset(of: state.ended.keys) else {
                return [UnsafeContinuation<Void, Never>]()
            }
            // Where all were stopped there is nothing to be said of the end.
            if ids.isEmpty { state.allHaveStopped = true } else { state.allHaveEnded = true }
            defer { state.endWaiters.removeAll() }
            return state.endWaiters
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Waits until all instances have ended; false when they, or the run, were stopped before.
    func waitUntilAllEnded() async -> Bool {
        await wait(for: { $0.allHaveEnded || $0.allHaveStopped }, among: \.endWaiters)
        return state.withLock { $0.allHaveEnded && !$0.isStopped }
    }

    private func wait(
        for isOver: @escaping @Sendable (State) -> Bool,
        among waiters:
            any WritableKeyPath<State, [UnsafeContinuation<Void, Never>]> & Sendable
    ) async {
        await withTaskCancellationHandler {
            await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
                let isOver = state.withLock { state in
                    if isOver(state) || state.isStopped || Task.isCancelled { return true }
                    state[keyPath: waiters].append(continuation)
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            let waiting = state.withLock { state in
                defer { state[keyPath: waiters].removeAll() }
                return state[keyPath: waiters]
            }
            for waiter in waiting { waiter.resume() }
        }
    }

    private func change(_ checkpoint: Int, _ change: (inout Pending) -> Void) {
        let waiter = state.withLock { state -> UnsafeContinuation<Void, Never>? in
            guard var pending = state.pending, pending.number == checkpoint else { return nil }
            change(&pending)
            let waiter = pending.isOver ? pending.waiter.take() : nil
            state.pending = pending
            return waiter
        }
        waiter?.resume()
    }

    // MARK: The end of the run's streams

    /// Takes the last checkpoint once all instances have ended, so that sinks can make final what
    /// they have written.
    ///
    /// Tried again until it succeeds or the run is cancelled.
    func takeFinal() async {
        var last: Int?
        while last == nil && !Task.isCancelled {
            do {
                last = try await take(.final)
            } catch is CancellationError {
                break
            } catch {
                guard (try? await clock.sleep(for: .seconds(1))) != nil else { break }
            }
        }
        finalIsOver(last)
    }

    /// Ends the run with a checkpoint from which another can go on; no windows fire.
    ///
    /// - Parameter inject: Has the sources send the barrier behind their last event.
    func suspend(_ inject: @escaping @Sendable (Barrier) -> Void) async throws -> Int {
        defer { stopWaiting() }
        let number = try await take(.suspend, inject: inject)
        finalIsOver(number)
        return number
    }

    /// The checkpoint with which the run ends; nil as long as there is none.
    var last: Int? { state.withLock { $0.last } }

    private func finalIsOver(_ number: Int?) {
        let waiters = state.withLock { state in
            state.isFinalDone = true
            state.last = state.last ?? number
            defer { state.finalWaiters.removeAll() }
            return state.finalWaiters
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Lets everybody go who waits for more checkpoints.
    func stopWaiting() {
        let (pending, waiters) = state.withLock { state in
            state.isStopped = true
            defer {
                state.finalWaiters.removeAll()
                state.endWaiters.removeAll()
            }
            let waiter = state.pending?.waiter.take()
            state.pending?.error = CancellationError()
            return (waiter, state.finalWaiters + state.endWaiters)
        }
        pending?.resume()
        for waiter in waiters { waiter.resume() }
    }

    /// Waits for the last checkpoint, or for the end of the run.
    ///
    /// Returns whether it is complete.
    func waitForFinal() async -> Bool {
        await wait(for: { $0.isFinalDone }, among: \.finalWaiters)
        return last != nil
    }
}

/// A stage has stopped while a checkpoint waited for its part.
struct StageHasStopped: Error, CustomStringConvertible {
    let stage: String

    var description: String { "the stage '\(stage)' stopped before it had written its part" }
}
