package import Logging
import Synchronization

/// What all the stages of one run share.
@usableFromInline
package final class RunEnvironment: Sendable {
    package let clock: any RuntimeClock
    package let seed: UInt64
    package let logger: Logger
    package let deadLetters: DeadLetterQueue
    package let batchSize: Int
    @usableFromInline package let executor: (any TaskExecutor)?
    package let faults: (any FaultInjector)?
    package let resources: RunResources
    /// Takes the run's checkpoints; nil without a store.
    package let checkpoints: CheckpointService?
    /// What stands in for sources and sinks; nil for the real ones.
    package let substitutes: Substitutes?
    /// Where the keyed state of each stage is.
    package let backends: StateBackends
    /// How long the state of operators that don't say so outlives its last use; nil for ever.
    package let stateTTL: StateTTL?
    private let run = Mutex(WeakRun())

    private struct WeakRun: Sendable {
        weak var value: RunningTopology?
    }

    /// The run itself, once it is launched and as long as somebody holds it.
    package internal(set) var running: RunningTopology? {
        get { run.withLock { $0.value } }
        set { run.withLock { $0.value = newValue } }
    }

    package init(
        clock: any RuntimeClock, seed: UInt64, logger: Logger, deadLetters: DeadLetterQueue,
        batchSize: Int, executor: (any TaskExecutor)?, topology: String = "",
        store: StateStore? = nil, faults: (any FaultInjector)? = nil,
        substitutes: Substitutes? = nil, backends: StateBackends = StateBackends(),
        stateTTL: StateTTL? = nil
    ) {
        self.stateTTL = stateTTL
        self.backends = backends
        self.substitutes = substitutes
        self.clock = clock
        self.seed = seed
        self.logger = logger
        self.deadLetters = deadLetters
        self.batchSize = batchSize
        self.executor = executor
        self.faults = faults
        let instruments = RunInstruments(topology: topology)
        resources = RunResources(instruments)
        checkpoints = store.map {
            CheckpointService(
                store: $0, topology: topology, clock: clock, logger: logger,
                instruments: instruments, executor: executor)
        }
    }
}

/// Things that the sources and sinks of one run share, such as the server behind a port; closed when the run ends.
public final class RunResources: Sendable {
    private struct Entry: Sendable {
        var resource: any Sendable
        var close: @Sendable () async -> Void
    }

    private let entries = Mutex<[(key: String, entry: Entry)]>([])
    /// What they count.
    package let instruments: RunInstruments

    init(_ instruments: RunInstruments) {
        self.instruments = instruments
    }

    /// The resource under this key, made at the first call.
    ///
    /// `make` must not block.
    public func shared<Resource: Sendable>(
        _ key: String, make: () throws -> Resource,
        close: @escaping @Sendable (Resource) async -> Void
    ) rethrows -> Resource {
        try entries.withLock { entries in
            if let found = entries.first(where: { $0.key == key })?.entry.resource as? Resource {
                return found
            }
            let made = try make()
            entries.append((key, Entry(resource: made) { await close(made) }))
            return made
        }
    }

    /// All the resources of a type, such as every listening server.
    public func all<Resource: Sendable>(of type: Resource.Type) -> [Resource] {
        entries.withLock { $0.compactMap { $0.entry.resource as? Resource } }
    }

    func closeAll() async {
        let all = entries.withLock { entries in
            defer { entries.removeAll() }
            return entries.map(\.entry)
        }
        for entry in all.reversed() { await entry.close() }
    }
}

/// Starts a task of the runtime.
///
/// A preference for "no executor" would cost every suspension of the task a search for it, so only
/// a test's executor is passed on.
@usableFromInline
package func startTask<Success: Sendable>(
    on executor: (any TaskExecutor)?,
    _ operation: @escaping @Sendable () async throws -> Success
) -> Task<Success, any Error> {
    guard let executor else { return Task { try await operation() } }
    return Task(executorPreference: executor) { try await operation() }
}

extension ThrowingTaskGroup where ChildTaskResult == Void, Failure == any Error {
    /// Adds a task of the runtime; see `startTask`.
    mutating func addTask(
        on executor: (any TaskExecutor)?, _ operation: @escaping @Sendable () async throws -> Void
    ) {
        if let executor {
            addTask(executorPreference: executor) { try await operation() }
        } else {
            addTask { try await operation() }
        }
    }
}
