public import Logging

/// Runs a worker process and starts it again when it dies of a trap, a signal or a failure.
///
/// It is the level above the supervisors of stages: it survives what ends a Swift process. A worker that exits with 0 has
/// done its work and is not restarted, nor is one that exits with 64 or 78 (called wrongly), nor one that was told to stop;
/// any other end is a failure. After more than ``intensity`` restarts within ``period`` it gives up. Sockets in
/// ``listening`` stay open across restarts: clients wait in the kernel's queue and are not refused.
///
/// ```swift
/// let supervisor = ProcessSupervisor(
///     executable: "./service", listening: [ListenAddress(port: 8_080)])
/// let reason = try await supervisor.run()
/// ```
public struct ProcessSupervisor: Sendable {
    /// The worker's executable; a name without `/` is looked for in `PATH`.
    public var executable: String
    /// The worker's arguments, without its name.
    public var arguments: [String]
    /// The worker's environment; nil, the default, for that of this process.
    public var environment: [String: String]?
    /// Addresses that are listened on for the workers; at most 64.
    public var listening: [ListenAddress]
    /// More restarts than this within ``period`` and the supervisor gives up.
    public var intensity: Int
    /// The time over which restarts are counted.
    public var period: Duration
    /// The wait before a restart.
    public var backoff: RestartBackoff
    /// Time a worker has to stop; after it a further SIGTERM or SIGINT kills the worker.
    public var grace: Duration
    /// Whether SIGTERM, SIGINT, SIGHUP, SIGUSR1 and SIGUSR2 are passed on; one supervisor of a process may do so.
    public var forwardsSignals = true
    /// Where starts, ends and restarts are reported.
    public var logger: Logger
    /// The worker's `argv[0]`; nil for ``executable``.
    var name: String?
    /// Runs on the supervising thread after each start; for tests.
    var onStart: (@Sendable (_ pid: Int32) -> Void)?

    /// Creates a supervisor.
    ///
    /// - Parameters:
    ///   - executable: The worker's executable; a name without `/` is looked for in `PATH`.
    ///   - arguments: The worker's arguments, without its name.
    ///   - environment: The worker's environment; nil for that of this process.
    ///   - listening: Addresses to listen on for the workers.
    ///   - intensity: At most so many restarts within `period`. Default 5.
    ///   - period: The time over which restarts are counted. Default 60 seconds.
    ///   - backoff: The wait before a restart; the first is immediate.
    ///   - grace: Time that a worker has to stop before a further signal kills it. Default 30 seconds.
    ///   - logger: Where starts, ends and restarts are reported.
    public init(
        executable: String, arguments: [String] = [], environment: [String: String]? = nil,
        listening: [ListenAddress] = [], intensity: Int = 5,
        within period: Duration = .seconds(60), backoff: RestartBackoff = .exponential(),
        grace: Duration = .seconds(30), logger: Logger = Logger(label: "weir.supervisor")
    ) {
        self.executable = executable
        self.arguments = arguments
        self.environment = environment
        self.listening = listening
        self.intensity = intensity
        self.period = period
        self.backoff = backoff
        self.grace = grace
        self.logger = logger
    }

    /// Runs workers until one ends that is not to be restarted, and returns how it ended.
    ///
    /// Cancelling the task tells the worker to stop, as SIGTERM does. A supervisor that is told to stop while it waits
    /// to restart a worker returns how the last one ended.
    ///
    /// - Throws: ``ProcessSupervisorError`` when nothing could be started, or when the worker failed too often.
    public func run() async throws -> ExitReason {
        let wake = try WakePipe()
        let supervisor = self
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                // A thread of its own: the kernel ties a worker's orphan signal to the thread that started it.
                startThread {
                    continuation.resume(
                        with: Result { try SupervisionLoop.run(supervisor, wake) })
                } onFailure: { error in
                    continuation.resume(throwing: error)
                }
            }
        } onCancel: {
            wake.wake()
        }
    }
}
