import ArgumentParser
import Logging
import ServiceLifecycle
import UnixSignals
import Weir

@main struct Command: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ledger",
        abstract: "Keeps accounts that are right to the cent however often it is killed.",
        subcommands: [Serve.self, FeedCommand.self], defaultSubcommand: Serve.self)
}

struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Takes transfers and keeps the accounts, until it is stopped (the default).")

    @Option(help: "The address to listen on.")
    var host = "127.0.0.1"

    @Option(help: "The port of the WebSocket; 0 picks one.")
    var port = 8_090

    @Option(help: "The port for transfers as lines over TCP; 0 picks one. Default: --port + 1.")
    var tcpPort: Int?

    @Option(help: "The directory of the store.")
    var store: String

    @Option(help: "The file that gets a line for each account that has changed, per checkpoint.")
    var output: String

    @Option(help: "How often a checkpoint is taken, in seconds.")
    var checkpointEvery = 1.0

    @Option(help: "The number of actors that keep the accounts, 1 to 128.")
    var parallelism = 2

    @Option(
        help: ArgumentHelp(
            "A stage that fails on purpose, as STAGE:N: its handler throws once at every N-th event.",
            discussion: "STAGE is 'accounts' or 'check'. The result must be the same."))
    var fault: Fault?

    func validate() throws {
        for port in [port, tcpPort ?? 0] where !(0...65_535).contains(port) {
            throw ValidationError("a port is a number from 0 to 65535, not \(port)")
        }
        guard checkpointEvery > 0, checkpointEvery <= 86_400 else {
            throw ValidationError("--checkpoint-every takes more than 0 and at most 86400 seconds")
        }
        guard (1...128).contains(parallelism) else {
            throw ValidationError("--parallelism takes 1 to 128")
        }
    }

    func run() async throws {
        LoggingSystem.bootstrap(StreamLogHandler.standardError)
        let logger = Logger(label: "ledger")
        let ledger = Ledger(
            host: host, port: port, tcpPort: tcpPort ?? (port == 0 ? 0 : port + 1), output: output,
            parallelism: parallelism, fault: fault)
        let service = LedgerService(
            ledger: ledger,
            store: .directory(store, checkpointEvery: .seconds(checkpointEvery)), logger: logger)
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

extension Fault: ExpressibleByArgument {}
