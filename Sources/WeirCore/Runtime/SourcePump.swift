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
        var task: Task<Void, any Error>?
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

    /// Asks the source to return; what it has sent flows on.
    func stop() {
        state.withLock { state in
            state.isStopped = true
            return state.task
        }?.cancel()
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
            try await source.flush()
            let suspension = state.withLock { $0.suspension }
            let last = suspension.map { Delivery.Item.barrier($0) } ?? .signal(.end)
            try await mailbox.send(Delivery(channel: 0, item: last))
        } catch is MailboxClosed {
            // The stage has been cancelled: nobody waits for the end.
        }
    }

    /// Returns true when the source has ended.
    private func runOnce() async throws -> Bool {
        let source = source
        let task = startTask(on: environment.executor) { try await source.run() }
        let isStopped = state.withLock { state in
            state.task = task
            state.restarts = false
            return state.isStopped
        }
        if isStopped { task.cancel() }
        do {
            try await withTaskCancellationHandler {
                try await task.value
            } onCancel: {
                task.cancel()
            }
            return !state.withLock { $0.restarts && !$0.isStopped }
        } catch {
            let (isStopped, restarts) = state.withLock { ($0.isStopped, $0.restarts) }
            if isStopped || Task.isCancelled || error is MailboxClosed { return true }
            if restarts { return false }
            return try await restart(after: error)
        }
    }

    private func restart(after error: any Error) async throws -> Bool {
        switch supervisors.childFailed(self, at: environment.clock.now()) {
        case .giveUp: throw StageFailure(stage: name, cause: error)
        case .restart(let delay):
            metrics.restarts.add(1, ordering: .relaxed)
            environment.logger.warning(
                "source restarts",
                metadata: ["stage": "\(name)", "error": "\(error)", "after": "\(delay)"])
            if delay > .zero {
                do {
                    try await environment.clock.sleep(for: delay)
                } catch {
                    return true
                }
            }
            return state.withLock { $0.isStopped }
        }
    }
}
