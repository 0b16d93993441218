import ArgumentParser
import Foundation
import Logging
import WeirSupervisor

struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Runs a service and starts it again when it dies.",
        discussion: """
            A service that exits with 0 has finished. One that dies of a trap, a signal or lack of \
            memory, or exits with another code, is started again: at once, then after growing \
            waits. Exit codes 64 and 78 (called wrongly) are not restarted. SIGTERM, SIGINT, \
            SIGHUP, SIGUSR1 and SIGUSR2 are passed on. The exit status is the service's (128 + the \
            signal that killed it); 70 after too many restarts; 127 when it cannot be started.
            """)

    @Option(
        parsing: .unconditionalSingleValue,
        help: "host:port to listen on for the service; it stays open across restarts. Repeatable.")
    var listen: [String] = []

    @Option(help: "At most so many restarts within the time of --within.")
    var intensity = 5

    @Option(help: "Seconds over which restarts are counted.")
    var within = 60.0

    @Option(help: "Longest wait before a restart, in seconds.")
    var backoffMax = 30.0

    @Option(help: "Seconds to stop in; after them a further SIGTERM or SIGINT kills.")
    var grace = 30.0

    @Flag(help: "Report nothing but the supervisor's own failure.")
    var quiet = false

    @Argument(parsing: .postTerminator, help: "-- and the service with its arguments.")
    var command: [String] = []

    func validate() throws { _ = try supervisor() }

    func run() async throws {
        do {
            let reason = try await supervisor().run()
            if reason.status != 0 { throw ExitCode(reason.status) }
        } catch let error as ProcessSupervisorError {
            FileHandle.standardError.write(Data("weir run: \(error)\n".utf8))
            throw ExitCode(error.exitCode)
        }
    }

    /// The supervisor that the arguments describe.
    func supervisor() throws -> ProcessSupervisor {
        guard let executable = command.first, !executable.isEmpty else {
            throw ValidationError("the service is missing: weir run -- ./service its arguments")
        }
        guard (0...1_000_000).contains(intensity) else {
            throw ValidationError("--intensity is \(intensity); it is 0 to 1,000,000 restarts")
        }
        let addresses: [ListenAddress]
        do {
            addresses = try listen.map { text throws(ProcessSupervisorError) in
                try ListenAddress(parsing: text)
            }
        } catch {
            throw ValidationError("--listen: \(error)")
        }
        guard within > 0 else { throw ValidationError("--within is \(within); it is above 0") }
        var logger = Logger(label: "weir.run") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = quiet ? .critical : .info
        return ProcessSupervisor(
            executable: executable, arguments: Array(command.dropFirst()), listening: addresses,
            intensity: intensity, within: try Self.seconds("--within", within),
            backoff: .exponential(to: try Self.seconds("--backoff-max", backoffMax)),
            grace: try Self.seconds("--grace", grace), logger: logger)
    }

    private static func seconds(_ name: String, _ value: Double) throws -> Duration {
        guard value >= 0, value <= 1e6 else {
            throw ValidationError("\(name) is \(value); it is a number of seconds up to 1,000,000")
        }
        return .nanoseconds(Int64((value * 1e9).rounded()))
    }
}
