public import Logging

/// How a topology is run.
public struct RunConfiguration: Sendable {
    /// The largest number of events in a batch, 1 to 1,000,000; what lies outside of that counts as the nearest of them.
    ///
    /// Default 1,024.
    public var batchSize = 1_024 {
        didSet { batchSize = Self.batchSize(batchSize) }
    }

    /// The number of instances of a keyed stage that doesn't say its own; at most 128, the number of key groups.
    ///
    /// Default 1.
    public var parallelism = 1

    /// How many dead letters are kept for inspection; older ones are only counted.
    ///
    /// Default 1,000.
    public var deadLetterCapacity = 1_000

    /// The seed of everything random in the run; equal seeds give equal runs in a simulation.
    ///
    /// Default: random.
    public var seed = UInt64.random(in: .min ... .max)

    /// Where the run's log goes.
    public var logger = Logger(label: "weir")

    /// How often metrics are handed to swift-metrics; zero turns that off.
    ///
    /// Default 1 second.
    public var metricsInterval: Duration = .seconds(1)

    /// How long a graceful shutdown may take before the run is cancelled.
    ///
    /// Default 30 seconds.
    public var drainTimeout: Duration = .seconds(30)

    /// Where state is kept over the end of the process; nil, the default, for nowhere.
    public var store: StateStore?

    /// Where keyed state is while the topology runs.
    ///
    /// Default: in memory.
    public var stateBackend = StateBackend.standard

    /// Other backends for some stages, by their names.
    ///
    /// Default: none.
    public var stageBackends: [String: StateBackend] = [:]

    /// How long keyed state outlives its last use, for operators with a `ttl:` that is not given.
    ///
    /// Default nil: as long as the topology runs. An operator that is to keep its state all the same gets a long
    /// `ttl:` of its own. Windows, patterns and timers end by themselves and are not concerned.
    public var stateTTL: StateTTL?

    /// Whether the process keeps up to 4 MiB of freed memory for each of glibc's arenas.
    ///
    /// Else glibc gives the memory of batches back to the system and gets it anew, again and again, which costs small
    /// pipelines up to a third of their processor time. It is a setting of the process, made at the start of its first
    /// run; what `GLIBC_TUNABLES` and glibc's `MALLOC_…_` variables say stays. Without glibc it means nothing.
    /// Default true.
    public var keepsFreedMemory = true

    package var clock: any RuntimeClock = SystemClock()
    package var executor: (any TaskExecutor)?
    /// Makes transactions fail on purpose, in a simulation.
    package var faults: (any FaultInjector)?
    /// What stands in for sources and sinks; nil for the real ones.
    package var substitutes: Substitutes?

    /// The defaults.
    public init() {}

    /// The defaults, except for what is given.
    public init(
        batchSize: Int = 1_024, parallelism: Int = 1, logger: Logger = Logger(label: "weir"),
        seed: UInt64? = nil, store: StateStore? = nil, stateBackend: StateBackend? = nil
    ) {
        self.batchSize = Self.batchSize(batchSize)
        self.parallelism = max(1, parallelism)
        self.logger = logger
        self.store = store
        if let seed { self.seed = seed }
        if let stateBackend { self.stateBackend = stateBackend }
    }

    private static func batchSize(_ size: Int) -> Int { min(max(1, size), 1_000_000) }
}
