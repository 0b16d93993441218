import ArgumentParser
import Logging
import ServiceLifecycle
import UnixSignals
import Weir

@main struct Command: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fraud-detection",
        abstract: "Finds fraud in a stream of payments.",
        subcommands: [Serve.self, FeedCommand.self], defaultSubcommand: Serve.self)
}

struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Takes payments and gives alerts, until it is stopped (the default).")

    @Option(help: "The address to listen on.")
    var host = "127.0.0.1"

    @Option(help: "The port of the page and the WebSockets; 0 picks one.")
    var port = 8_080

    @Option(help: "The port for payments as lines over TCP; 0 picks one.")
    var tcpPort = 8_081

    @Option(help: "The directory where state is kept over restarts; in memory only when not given.")
    var store: String?

    @Option(help: "How often a checkpoint is taken, in seconds.")
    var checkpointEvery = 10.0

    func validate() throws {
        guard checkpointEvery > 0, checkpointEvery <= 86_400 else {
            throw ValidationError("--checkpoint-every takes more than 0 and at most 86400 seconds")
        }
        for port in [port, tcpPort] where !(0...65_535).contains(port) {
            throw ValidationError("a port is a number from 0 to 65535, not \(port)")
        }
        if port != 0, port == tcpPort {
            throw ValidationError("--port and --tcp-port need different ports")
        }
    }

    func run() async throws {
        // Standard output is for alerts alone.
        LoggingSystem.bootstrap(StreamLogHandler.standardError)
        let logger = Logger(label: "fraud-detection")
        let service = FraudService(
            detection: FraudDetection(host: host, port: port, tcpPort: tcpPort),
            store: store.map { .directory($0, checkpointEvery: .seconds(checkpointEvery)) },
            logger: logger)
        var configuration = ServiceGroupConfiguration(
            services: [
                .init(
                    service: service, successTerminationBehavior: .gracefullyShutdownGroup,
                    failureTerminationBehavior: .cancelGroup)
            ], gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
        configuration.maximumGracefulShutdownDuration = .seconds(30)
        try await ServiceGroup(configuration: configuration).run()
    }
}
