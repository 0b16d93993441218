import Logging
import ServiceLifecycle
import Weir

/// Runs the topology: says where it listens, reports dead letters; a graceful shutdown drains it, or
/// suspends it when it has a store.
struct FraudService: Service {
    var detection: FraudDetection
    var store: StateStore?
    var logger: Logger

    func run() async throws {
        let running = try await detection.topology.start(
            RunConfiguration(logger: logger, store: store))
        logger.info("\(greeting(running.addresses))")
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await report(running.deadLetters) }
            try await withGracefulShutdownHandler {
                try await running.waitUntilFinished()
            } onGracefulShutdown: {
                logger.info("stopping: handling what has been read")
                // What goes wrong in it ends the wait above with the same error.
                let keepsState = store != nil
                Task {
                    if keepsState {
                        _ = try? await running.suspend()
                    } else {
                        try? await running.drain()
                    }
                }
            }
            group.cancelAll()
        }
        logger.info("stopped", metadata: ["dead letters": "\(running.deadLetters.total)"])
    }

    private func greeting(_ addresses: [String: SocketAddress]) -> String {
        let http = addresses["http://\(detection.host):\(detection.port)"]
        let tcp = addresses["tcp://\(detection.host):\(detection.tcpPort)"]
        let (web, lines) = (http.map(String.init) ?? "-", tcp.map(String.init) ?? "-")
        return """
            listening on http://\(web) (payments: ws://\(web)/payments or lines of TCP to \(lines); \
            alerts: ws://\(web)/alerts)
            """
    }

    /// Logs what could not be handled, at most once a second.
    private func report(_ deadLetters: DeadLetterQueue) async {
        var known = 0
        while (try? await Task.sleep(for: .seconds(1))) != nil {
            let total = deadLetters.total
            guard total > known, let last = deadLetters.letters.last else { continue }
            logger.warning(
                "\(total - known) more dead letters",
                metadata: [
                    "total": "\(total)", "last": "\(last.eventText.prefix(200))",
                    "reason": "\(last.reason)", "origin": "\(last.origin ?? last.stage)",
                ])
            known = total
        }
    }
}
