import Logging
import ServiceLifecycle
import Weir

/// Runs the topology: says where it listens; a graceful shutdown suspends it.
struct LedgerService: Service {
    var ledger: Ledger
    var store: StateStore
    var logger: Logger

    func run() async throws {
        let running = try await ledger.topology.start(
            RunConfiguration(logger: logger, store: store))
        logger.info("\(greeting(running.addresses))")
        try await withGracefulShutdownHandler {
            try await running.waitUntilFinished()
        } onGracefulShutdown: {
            logger.info("stopping: a last checkpoint, from which the next start goes on")
            Task {
                do {
                    try await running.suspend()
                } catch {
                    logger.error("\(error)")
                }
            }
        }
        logger.info("stopped", metadata: ["dead letters": "\(running.deadLetters.total)"])
    }

    private func greeting(_ addresses: [String: SocketAddress]) -> String {
        let http = addresses["http://\(ledger.host):\(ledger.port)"].map(String.init) ?? "-"
        let tcp = addresses["tcp://\(ledger.host):\(ledger.tcpPort)"].map(String.init) ?? "-"
        return "listening on ws://\(http)/transfers, lines of TCP to \(tcp)"
    }
}
