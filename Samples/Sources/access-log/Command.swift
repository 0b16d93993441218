import ArgumentParser
import Logging
import ServiceLifecycle
import UnixSignals
import Weir

@main struct Command: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "access-log",
        abstract: "Reports errors and slow paths of a web server from its log, window by window.")

    @Option(help: "The log, in the common or combined format.")
    var file: String

    @Flag(help: "End with the file instead of waiting for more.")
    var once = false

    @Flag(help: "Leave out what is in the file already.")
    var fromEnd = false

    @Option(help: "The length of a window in seconds.")
    var window = 60

    @Flag(help: "Print a JSON document per window instead of text.")
    var json = false

    func validate() throws {
        guard (1...86_400).contains(window) else {
            throw ValidationError("--window takes 1 to 86400 seconds")
        }
        if once, fromEnd { throw ValidationError("--once and --from-end exclude each other") }
    }

    func run() async throws {
        LoggingSystem.bootstrap(StreamLogHandler.standardError)
        let logger = Logger(label: "access-log")
        let log = AccessLog(
            file: file, following: once ? .no : .tail(from: fromEnd ? .end : .start),
            window: .seconds(window), isJSON: json)
        let service = LogService(topology: log.topology, logger: logger)
        let group = ServiceGroup(
            configuration: .init(
                services: [
                    .init(service: service, successTerminationBehavior: .gracefullyShutdownGroup)
                ], gracefulShutdownSignals: [.sigterm, .sigint], logger: logger))
        try await group.run()
    }
}

/// Runs the topology and says at the end what it could not read.
private struct LogService: Service {
    let topology: Topology
    let logger: Logger

    func run() async throws {
        let running = try await topology.start(RunConfiguration(logger: logger))
        try await withGracefulShutdownHandler {
            try await running.waitUntilFinished()
        } onGracefulShutdown: {
            // What goes wrong in it ends the wait above with the same error.
            Task { try? await running.drain() }
        }
        if let last = running.deadLetters.letters.last {
            logger.warning(
                "\(running.deadLetters.total) lines are none of an access log",
                metadata: ["last": "\(last.eventText.prefix(200))", "reason": "\(last.reason)"])
        }
    }
}
