import Logging
import Synchronization

/// A topology that runs: its outlets, its state, and the handles to steer it.
public final class RunningTopology: Sendable {
    /// The topology's name.
    public let name: String

    /// The events that could not be handled.
    public let deadLetters: DeadLetterQueue

    package let plan: Plan
    package let configuration: RunConfiguration
    package let environment: RunEnvironment
    package let supervisors: SupervisorTree
    /// The instances of each stage; empty for an outlet.
    package let instances: [[StageActor]]
    package let outlets: [String: OutletChannel]
    package let startedAt: Int64
    let observer = Observer()
    let pumps: [SourcePump]
    private let state = Mutex(State())

    private struct State: Sendable {
        var task: Task<Void, any Error>?
        var isFinished = false
        var finishActions: [@Sendable () -> Void] = []
        /// The suspension that has been asked for.
        var suspension: Task<Int, any Error>?
    }

    init(topology: Topology, configuration: RunConfiguration) {
        name = topology.name
        plan = topology.plan
        if configuration.keepsFreedMemory { Allocator.keepFreedMemory() }
        self.configuration = configuration
        deadLetters = DeadLetterQueue(capacity: configuration.deadLetterCapacity)
        var logger = configuration.logger
        logger[metadataKey: "topology"] = "\(topology.name)"
        environment = RunEnvironment(
            clock: configuration.clock, seed: configuration.seed, logger: logger,
            deadLetters: deadLetters, batchSize: max(1, configuration.batchSize),
            executor: configuration.executor, topology: topology.name,
            store: configuration.store, faults: configuration.faults,
            substitutes: configuration.substitutes,
            backends: StateBackends(
                configuration.stateBackend, stages: configuration.stageBackends),
            stateTTL: configuration.stateTTL)
        supervisors = SupervisorTree(root: topology.supervisor, seed: configuration.seed)
        startedAt = configuration.clock.monotonicNanoseconds()
        var assembly = Assembly(
            plan: plan, configuration: configuration, environment: environment,
            supervisors: supervisors)
        assembly.assemble()
        instances = assembly.instances
        outlets = assembly.outlets
        pumps = assembly.pumps
    }

    /// Sets everything up, then lets the sources go.
    func launch(_ components: [any TopologyComponent]) async throws {
        environment.running = self
        do {
            let restored = try await environment.checkpoints?.open()
            try await prepareStages(restored)
            let context = SourceContext(
                stage: name, logger: environment.logger, resources: environment.resources,
                environment: environment, metrics: StageMetrics(), start: SourceStart())
            for component in components { try await component.prepare(context) }
            for instance in instances.joined() {
                try await instance.openSinks(restoredFrom: restored?.manifest.checkpoint)
            }
            for component in components { try await component.start(context) }
            for pump in pumps { try await pump.prepare() }
        } catch {
            await environment.resources.closeAll()
            await environment.checkpoints?.close()
            closeMailboxes()
            supervisors.forgetChildren()
            throw error
        }
        begin()
    }

    /// Lets the stages and sources go.
    func begin() {
        let task = startTask(on: configuration.executor) { try await self.runAll() }
        state.withLock { $0.task = task }
    }

    /// Whether the sources run, and none of them was asked to stop.
    package var isReady: Bool {
        let runs = state.withLock { $0.task != nil && !$0.isFinished }
        return runs && !pumps.contains { $0.isStopped }
    }

    private func prepareStages(_ restored: RestoredRun?) async throws {
        for instance in instances.joined() {
            environment.checkpoints?.add(instance)
            try await instance.prepare()
        }
        var problems: [TopologyError.Problem] = []
        for instance in instances.compactMap(\.first) {
            for obstacle in await instance.backendObstacles {
                problems.append(
                    .init(
                        code: .notStorable,
                        message: """
                            the state of stage '\(instance.name)' can't be kept in its state backend: \(obstacle); \
                            make the type Codable, or keep the stage's state in memory: \
                            stageBackends["\(instance.name)"] = .memory
                            """, location: plan.nodes[plan.stages[instance.stage].head].location))
            }
            guard environment.checkpoints != nil else { continue }
            for obstacle in await instance.obstacles {
                problems.append(
                    .init(
                        code: .notStorable,
                        message: """
                            the state of stage '\(instance.name)' can't be kept in the store: \(obstacle); \
                            make the type Codable, or run without a store
                            """, location: plan.nodes[plan.stages[instance.stage].head].location))
            }
        }
        if !problems.isEmpty { throw TopologyError(topology: name, problems: problems) }
        guard let service = environment.checkpoints, let restored else { return }
        let misfits = await restored.problems(
            with: instances, dropsUnknown: service.store.dropsUnknownState)
        if !misfits.isEmpty {
            throw StoreError(
                store: service.store.path,
                reason: "the topology can't go on from checkpoint "
                    + "\(restored.manifest.checkpoint): \(misfits.joined(separator: "; "))")
        }
        for instance in instances.joined() { try await instance.restore(restored) }
        for pump in pumps {
            if let part = restored.parts(of: pump.name).first { pump.restore(part.position) }
        }
        environment.logger.info(
            "restored", metadata: ["checkpoint": "\(restored.manifest.checkpoint)"])
    }

    /// Runs an action when the run has ended; at once if it has.
    func whenFinished(_ action: @escaping @Sendable () -> Void) {
        let now = state.withLock { state in
            if !state.isFinished { state.finishActions.append(action) }
            return state.isFinished
        }
        if now { action() }
    }

    private func runAll() async throws {
        defer {
            let actions = state.withLock { state in
                state.isFinished = true
                defer { state.finishActions.removeAll() }
                return state.finishActions
            }
            for action in actions { action() }
            deadLetters.finish()
            supervisors.forgetChildren()
        }
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                let reporter = MetricsReporter(running: self)
                let reporting = startTask(on: configuration.executor) {
                    await reporter.run()
                }
                defer { reporting.cancel() }
                for instance in instances.joined() {
                    group.addTask(on: configuration.executor) {
                        try await instance.run()
                        // Nobody takes any more what its source sends.
                        self.stopSources { $0 == instance.stage }
                    }
                }
                for pump in pumps {
                    group.addTask(on: configuration.executor) {
                        try await pump.run()
                    }
                }
                if let service = environment.checkpoints {
                    group.addTask(on: configuration.executor) {
                        if await service.waitUntilAllEnded() { await service.takeFinal() }
                    }
                }
                let checkpoints = startTask(on: configuration.executor) {
                    await self.environment.checkpoints?.run()
                }
                defer { checkpoints.cancel() }
                do {
                    // Not `waitForAll`, which throws only when the others have ended too.
                    while try await group.next() != nil {}
                } catch {
                    // What the other stages leave when they stop is no checkpoint.
                    environment.checkpoints?.stopWaiting()
                    group.cancelAll()
                    // First the reason, then the end, so that outlets don't end as if all was well.
                    finishOutlets(throwing: error)
                    closeMailboxes()
                    throw error
                }
                reporter.report()
            }
        } catch {
            finishOutlets(throwing: error)
            await environment.resources.closeAll()
            await environment.checkpoints?.close()
            environment.logger.error("topology failed", metadata: ["error": "\(error)"])
            throw error
        }
        finishOutlets(throwing: nil)
        await environment.resources.closeAll()
        await environment.checkpoints?.close()
    }

    private func finishOutlets(throwing error: (any Error)?) {
        for outlet in outlets.values { outlet.finish(throwing: error) }
    }

    /// Nobody is waited for any more, and mailboxes let go of what fills them.
    func closeMailboxes() {
        for instance in instances.joined() { instance.mailbox.close() }
        for outlet in outlets.values { outlet.mailbox.close() }
    }

    // MARK: Steering

    /// Waits until all streams have ended.
    ///
    /// - Throws: The error with which the root supervisor gave up, a ``StageFailure`` mostly.
    public func waitUntilFinished() async throws {
        guard let task = state.withLock({ $0.task }) else { return }
        try await withTaskCancellationHandler {
            try await task.value
        } onCancel: {
            cancel()
        }
    }

    /// Ends in good order: the sources stop, everything under way is handled, windows fire, sinks flush.
    ///
    /// - Throws: What ``waitUntilFinished()`` throws.
    public func drain() async throws {
        stopSources { _ in true }
        resume()
        try await waitUntilFinished()
    }

    /// Ends now.
    ///
    /// Events that wait in mailboxes are dropped and counted.
    public func cancel() {
        // First: a checkpoint must not come about from the parts of what is still running.
        environment.checkpoints?.stopWaiting()
        for pump in pumps { pump.stop() }
        closeMailboxes()
        state.withLock { $0.task }?.cancel()
    }

    /// Holds all stages: they finish what they have taken, mailboxes fill, senders wait.
    public func pause() {
        for instance in instances.joined() { instance.mailbox.setPaused(true) }
    }

    /// Lets all stages go on.
    public func resume() {
        for instance in instances.joined() { instance.mailbox.setPaused(false) }
        for outlet in outlets.values { outlet.mailbox.setPaused(false) }
    }

    /// The one suspension of the run, begun by the first who asks for it.
    func suspension(_ begin: () -> Task<Int, any Error>) -> Task<Int, any Error> {
        state.withLock { state in
            let suspension = state.suspension ?? begin()
            state.suspension = suspension
            return suspension
        }
    }

    /// The names of the stages, in the order of the flow.
    public var stages: [String] { plan.stages.map(\.name) }

    /// A handle on one stage, or nil when there is none of that name.
    public func stage(_ name: String) -> StageHandle? {
        plan.stages.first { $0.name == name }.map { StageHandle(running: self, index: $0.index) }
    }

    /// The mailboxes of a stage's instances, or of the outlet.
    func mailboxes(of stage: Int) -> [Mailbox] {
        guard instances[stage].isEmpty else { return instances[stage].map { $0.mailbox } }
        return outlets[plan.stages[stage].name].map { [$0.mailbox] } ?? []
    }

    /// Stops the sources of stages that `isAffected` names, letting what they have sent flow on.
    package func stopSources(_ isAffected: (Int) -> Bool) {
        for pump in pumps where isAffected(pump.stage) { pump.stop() }
    }
}

/// A handle on one stage of a running topology.
public struct StageHandle: Sendable {
    let running: RunningTopology
    let index: Int

    /// The stage's name.
    public var name: String { running.plan.stages[index].name }

    private var instances: [StageActor] { running.instances[index] }

    private var mailboxes: [Mailbox] { running.mailboxes(of: index) }

    /// Holds the stage: it finishes what it has taken, its mailbox fills, its senders wait.
    public func pause() {
        for mailbox in mailboxes { mailbox.setPaused(true) }
    }

    /// Lets the stage go on.
    public func resume() {
        for mailbox in mailboxes { mailbox.setPaused(false) }
    }

    /// Restarts the stage at its next turn: handlers are made anew, state and mailbox stay.
    public func restart() {
        for instance in instances { instance.requestRestart() }
    }

    /// Ends the stage in good order: the sources above it stop, and it finishes when all they have sent is handled.
    ///
    /// Other branches of the same sources end with them. Returns when the stage has finished; for an outlet, when all
    /// that it gets is there for its consumer.
    public func drain() async throws {
        let above = running.plan.ancestors(of: index)
        running.stopSources { above.contains($0) }
        for stage in above {
            for mailbox in running.mailboxes(of: stage) { mailbox.setPaused(false) }
        }
        // An outlet has no actor: it has everything when those above have nothing more to send.
        let last = instances.isEmpty ? above.flatMap { running.instances[$0] } : instances
        for instance in last { await instance.waitUntilStopped() }
    }

    /// Ends the stage now.
    ///
    /// What waits in its mailbox is dropped and counted; stages that send only to it end as well,
    /// and those it sends to see the end of their input.
    public func cancel() {
        for mailbox in mailboxes { mailbox.close() }
        for instance in instances { instance.control.endBackoff() }
    }
}
