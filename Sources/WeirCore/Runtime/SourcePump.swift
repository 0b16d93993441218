import Logging
import Synchronization

/// Runs a source: restarts it as its supervisor says, and ends its stage's input when it has ended.
package final class SourcePump: SupervisedChild {
    package let name: String
    package let order: Int
    package let stage: Int
    private let mailbox: Mailbox
    private let source: RunnableSource
    private let prepareSource: @Sendable () async throws -> Void
    private let environment: RunEnvironment
    private let supervisors: SupervisorTree
    private let metrics: StageMetrics
    private let state = Mutex(State())
    private let start: SourceStart

    private struct State: Sendable {
        /// Returns whether the source was cancelled when it returned.
        var task: Task<Bool, any Error>?
        /// The wait before a restart.
        var wait: Task<Void, any Error>?
        var isStopped = false
        /// What ends the input instead of `.end`.
        var suspension: Barrier?
        var restarts = false
    }

    init(
        name: String, order: Int, stage: Int, mailbox: Mailbox, source: RunnableSource,
        start: SourceStart, prepare: @escaping @Sendable () async throws -> Void,
        environment: RunEnvironment, supervisors: SupervisorTree, metrics: StageMetrics
    ) {
        self.start = start
        self.name = name
        self.order = order
        self.stage = stage
        self.mailbox = mailbox
        self.source = source
        prepareSource = prepare
        self.environment = environment
        self.supervisors = supervisors
        self.metrics = metrics
    }

    /// Sets up what the source needs before any event flows.
    func prepare() async throws {
        try await prepareSource()
    }

    /// Whether the source was asked to return.
    var isStopped: Bool { state.withLock { $0.isStopped } }

    /// Asks the source to return; what it has sent flows on.
    func stop() {
        let (task, wait) = state.withLock { state in
            state.isStopped = true
            return (state.task, state.wait)
        }
        task?.cancel()
        wait?.cancel()
    }

    /// Asks the source to return, and ends the run's part here with a barrier behind what it has
    /// sent.
    func suspend(with barrier: Barrier) {
        state.withLock { $0.suspension = barrier }
        stop()
    }

    /// Has the source go on where a checkpoint says.
    func restore(_ position: SourcePosition?) {
        start.position = position
    }

    package func requestRestart() {
        state.withLock { state in
            state.restarts = true
            return state.task
        }?.cancel()
    }

    func run() async throws {
        while try await !runOnce() {}
        do {
            try await flush()
            let suspension = state.withLock { $0.suspension }
            let last = suspension.map { Delivery.Item.barrier($0) } ?? .signal(.end)
            try await mailbox.send(Delivery(channel: 0, item: last))
        } catch is MailboxClosed {
            // The stage has been cancelled: nobody waits for the end.
        }
    }

    /// Sends what is held back still; that it finds no room is a failure of the source like any other.
    private func flush() async throws {
        do {
            try await source.flush()
        } catch let error as MailboxOverflow {
            _ = try await restart(after: error)
        }
    }

    /// Returns true when the source has ended.
    private func runOnce() async throws -> Bool {
        let source = source
        let task = startTask(on: environment.executor) {
            try await source.run()
            return Task.isCancelled
        }
        let isStopped = state.withLock { state in
            state.task = task
            state.restarts = false
            return state.isStopped
        }
        if isStopped { task.cancel() }
        do {
            let wasCancelled = try await withTaskCancellationHandler {
                try await task.value
            } onCancel: {
                task.cancel()
            }
            // One that has come to its end is not to begin anew because others restart.
            return !restartsWithOthers(wasCancelled)
        } catch {
            let isStopped = state.withLock { $0.isStopped }
            if isStopped || Task.isCancelled || error is MailboxClosed { return true }
            if restartsWithOthers(true) { return false }
            return try await restart(after: error)
        }
    }

    /// Whether the source was ended for no other reason than that others restart.
    private func restartsWithOthers(_ wasCancelled: Bool) -> Bool {
        let restarts = state.withLock { $0.restarts && !$0.isStopped }
        guard wasCancelled, restarts else { return false }
        metrics.restarts.add(1, ordering: .relaxed)
        environment.logger.info("source restarts with others", metadata: ["stage": "\(name)"])
        return true
    }

    private func restart(after error: any Error) async throws -> Bool {
        switch supervisors.childFailed(self, at: environment.clock.now()) {
        case .giveUp: throw StageFailure(stage: name, cause: error)
        case .restart(let delay):
            metrics.restarts.add(1, ordering: .relaxed)
            environment.logger.warning(
                "source restarts",
                metadata: ["stage": "\(name)", "error": "\(error)", "after": "\(delay)"])
            if delay > .zero { try await wait(for: delay) }
            return Task.isCancelled || state.withLock { $0.isStopped }
        }
    }

    /// Waits before a restart, no longer than until the source is stopped.
    private func wait(for delay: Duration) async throws {
        let clock = environment.clock
        let wait = startTask(on: environment.executor) { try await clock.sleep(for: delay) }
        let isStopped = state.withLock { state in
            state.wait = wait
            return state.isStopped
        }
        if isStopped { wait.cancel() }
        _ = await withTaskCancellationHandler {
            await wait.result
        } onCancel: {
            wait.cancel()
        }
        state.withLock { $0.wait = nil }
    }
}
