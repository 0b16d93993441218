extension Topology {
    /// Runs a stretch of what a store's sockets took in through this topology, and hands over what
    /// its sinks would have got.
    ///
    /// The sources of the ingest journals are replaced by what the journals have, decoded by the
    /// sources' own decoders; all sinks and outlets by `emit`; components don't start. Virtual
    /// processing time follows the times at which the records were read. Everything runs on one
    /// thread, so equal input gives equal output. Nothing is written to the store, no lock is taken.
    ///
    /// Handlers that call services of the outside do so in a replay as well.
    ///
    /// - Parameters:
    ///   - store: The store.
    ///   - options: Which stretch, and how.
    ///   - configuration: As the run has it: batch size, parallelism, logger.
    ///   - step: Gets each event and what it has changed, with ``ReplayOptions/steps``.
    ///   - emit: Gets each event that a sink would have got; on the replay's thread.
    /// - Throws: ``TopologyError``, ``ReplayError``, ``StoreError``, or the ``StageFailure`` with
    ///   which the root supervisor gave up.
    public func replay(
        _ store: StateStore, options: ReplayOptions = ReplayOptions(),
        configuration: RunConfiguration = RunConfiguration(),
        step: @escaping @Sendable (ReplayStep) -> Void = { _ in },
        emit: @escaping @Sendable (ReplayedEvent) -> Void
    ) async throws -> ReplayReport {
        try validate()
        let thread = BlockingThread(isInline: false)
        defer { thread.stop() }
        return try await thread.run {
            let reader: StoreReader
            do {
                reader = try StoreReader(
                    path: store.path, files: store.fileSystem, cipher: store.cipher)
            } catch let error as MissingFromStore {
                throw StoreError(store: store.path, reason: error.description)
            }
            let start = try ReplayStart(self, reader, options)
            let replay = try Replay(
                self, from: start, store, configuration: configuration, step: step, emit: emit)
            return try replay.run()
        }
    }
}
