import Logging
public import ServiceLifecycle

extension Topology {
    /// Starts the topology and returns once all sinks are open and the sources may send.
    ///
    /// - Throws: ``TopologyError`` before anything is opened, or what a sink throws when it can't be opened.
    public func start(
        _ configuration: RunConfiguration = RunConfiguration()
    ) async throws -> RunningTopology {
        if let request = InspectionRequest.ofThisProcess {
            await request.serve(self, configuration)
        }
        try validate()
        let running = RunningTopology(topology: self, configuration: configuration)
        try await running.launch(components)
        return running
    }

    /// Runs the topology until all its streams have ended.
    ///
    /// Under a ServiceLifecycle `ServiceGroup` a graceful shutdown drains, or suspends a run with a store; cancelling
    /// the task cancels.
    ///
    /// - Throws: ``TopologyError``, what opening a sink throws, or the ``StageFailure`` with which the root
    ///   supervisor gave up.
    public func run(_ configuration: RunConfiguration) async throws {
        let running = try await start(configuration)
        try await withGracefulShutdownHandler {
            try await running.waitUntilFinished()
        } onGracefulShutdown: {
            running.beginDrain()
        }
    }
}

extension Topology: Service {
    /// Runs the topology with the default configuration.
    public func run() async throws {
        try await run(RunConfiguration())
    }
}

extension RunningTopology {
    /// Begins a drain, with the configuration's time limit, and returns.
    ///
    /// A run with a store is suspended instead, to be continued by the next one.
    package func beginDrain() {
        if environment.checkpoints != nil {
            limitShutdown()
            _ = startTask(on: configuration.executor) { [self] in
                do {
                    try await suspend()
                } catch {
                    environment.logger.error(
                        "the run could not be suspended; the next one begins with the checkpoint before",
                        metadata: ["error": "\(error)"])
                }
            }
            return
        }
        stopSources { _ in true }
        resume()
        limitShutdown()
    }

    private func limitShutdown() {
        let environment = environment
        let timeout = configuration.drainTimeout
        let limit = environment.clock.schedule(after: timeout) { [weak self] in
            environment.logger.warning(
                "drain took too long: cancelling", metadata: ["limit": "\(timeout)"])
            self?.cancel()
        }
        whenFinished { limit.cancel() }
    }
}
