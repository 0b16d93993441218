extension RunningTopology {
    /// Takes a checkpoint now and returns its number once it is durable.
    ///
    /// - Throws: ``StoreError`` when the run has no store, or what kept the checkpoint from being
    ///   written, such as a full disk; the one before it then stays in force.
    @discardableResult
    public func checkpoint() async throws -> Int {
        try await service.take(.regular)
    }

    /// Takes a checkpoint that is kept under a name until it is removed by hand.
    ///
    /// - Parameter name: Letters, digits, `-`, `_` and `.`; new in the store.
    /// - Throws: As ``checkpoint()``, and ``StoreError`` for a name that can't be used.
    @discardableResult
    public func savepoint(_ name: String) async throws -> Int {
        let isPlain = name.utf8.allSatisfy { byte in
            byte.isASCIIAlphanumeric
                || [UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: ".")]
                    .contains(byte)
        }
        guard isPlain, !name.isEmpty, !name.hasPrefix(".") else {
            throw StoreError(
                store: try service.store.path,
                reason: "'\(name)' can't name a savepoint: use letters, digits, '-', '_' and '.'")
        }
        return try await service.take(.savepoint(name))
    }

    /// Ends the run with a checkpoint, from which the next run on the store goes on: the sources
    /// stop, everything under way is handled, but streams don't end and windows don't fire.
    ///
    /// A graceful shutdown of a run with a store does this. Who asks for it again gets the same,
    /// and who asks when the streams have ended by themselves their last checkpoint.
    ///
    /// - Returns: The checkpoint's number.
    /// - Throws: As ``checkpoint()``; the run has ended then as well.
    @discardableResult
    public func suspend() async throws -> Int {
        let service = try service
        let suspension = suspension {
            startTask(on: configuration.executor) { try await self.suspend(service) }
        }
        return try await withTaskCancellationHandler {
            try await suspension.value
        } onCancel: {
            cancel()
        }
    }

    private func suspend(_ service: CheckpointService) async throws -> Int {
        let pumps = pumps
        resume()
        let number: Int
        do {
            number = try await service.suspend { barrier in
                for pump in pumps { pump.suspend(with: barrier) }
            }
        } catch {
            // The streams may have ended first: their last checkpoint is the one to go on from then.
            guard let last = service.last else {
                cancel()
                throw error
            }
            number = last
        }
        try await waitUntilFinished()
        return number
    }

    private var service: CheckpointService {
        get throws {
            guard let service = environment.checkpoints else {
                throw StoreError(
                    store: "none", reason: "the run has no store: RunConfiguration(store: …)")
            }
            return service
        }
    }
}
