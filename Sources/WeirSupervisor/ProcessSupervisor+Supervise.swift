import CWeirProcess
public import Logging
import Metrics

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

extension ProcessSupervisor {
    /// Makes this program its own supervisor: runs `service` in a worker, a second process of the same program.
    ///
    /// To be called first in `main`, since all before it happens in both processes. In the worker it runs the closure and
    /// returns when that does. In the supervisor it never returns normally: the process ends with the worker's status, or
    /// with 70 when it gave up. Under `weir run`, or with `WEIR_WORKER=1` in the environment, this process is the worker.
    ///
    /// ```swift
    /// try await ProcessSupervisor.supervise(listening: [ListenAddress(port: 8_080)]) {
    ///     try await fraud.run()
    /// }
    /// ```
    ///
    /// - Parameters:
    ///   - listening: Addresses to listen on for the workers.
    ///   - intensity: At most so many restarts within `period`. Default 5.
    ///   - period: The time over which restarts are counted. Default 60 seconds.
    ///   - backoff: The wait before a restart; the first is immediate.
    ///   - grace: Time that a worker has to stop before a further signal kills it. Default 30 seconds.
    ///   - logger: Where starts, ends and restarts are reported.
    ///   - service: What the worker does.
    /// - Throws: What `service` throws, in the worker.
    public static func supervise(
        listening: [ListenAddress] = [], intensity: Int = 5,
        within period: Duration = .seconds(60), backoff: RestartBackoff = .exponential(),
        grace: Duration = .seconds(30), logger: Logger = Logger(label: "weir.supervisor"),
        _ service: () async throws -> Void
    ) async throws {
        if let worker = SupervisedWorker.current {
            report(worker, to: logger)
            return try await service()
        }
        do {
            var supervisor = ProcessSupervisor(
                executable: try ownExecutable(),
                arguments: Array(CommandLine.arguments.dropFirst()),
                listening: listening, intensity: intensity, within: period, backoff: backoff,
                grace: grace, logger: logger)
            supervisor.name = CommandLine.arguments.first
            exit(try await supervisor.run().status)
        } catch let error as ProcessSupervisorError {
            logger.critical("\(error)")
            exit(error.exitCode)
        }
    }

    /// The worker's own log and metrics say that it is not the first.
    private static func report(_ worker: SupervisedWorker, to logger: Logger) {
        guard worker.restarts > 0 else { return }
        Counter(label: "weir_process_restarts_total").increment(by: worker.restarts)
        logger.warning(
            "this worker follows one that failed",
            metadata: [
                "restarts": "\(worker.restarts)", "reason": "\(worker.lastExit ?? "unknown")",
            ])
    }

    private static func ownExecutable() throws(ProcessSupervisorError) -> String {
        var path = [CChar](repeating: 0, count: 4_096)
        guard cwp_executable(&path, path.count) == 0 else {
            throw ProcessSupervisorError(.system, "the path of this executable is too long")
        }
        let end = path.firstIndex(of: 0) ?? path.endIndex
        return String(decoding: path[..<end].map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}
