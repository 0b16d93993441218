import Foundation
import Synchronization
import Weir

/// A client of the service: sends with acknowledgements, then waits until the service's totals say the same.
struct Feed {
    var host: String
    var port: Int
    var tcpPort: Int?
    var transfers: Transfers
    var producer: String
    var rate: Double?
    var timeout: Duration

    struct Result: CustomStringConvertible {
        var sent: Transfers.Summary
        var before: Totals
        var after: Totals
        var counters: AcknowledgedSender.Counters
        var duration: Duration

        /// Whether the service has each transfer once.
        var isRight: Bool {
            after.events - before.events == sent.events && after.sum - before.sum == sent.sum
                && (before.events > 0 || after.accounts == sent.accounts)
        }

        var line: String {
            "{\"events\":\(sent.events),\"accounts\":\(sent.accounts),\"sum\":\(sent.sum)}"
        }

        var description: String {
            let seconds = max(duration / .seconds(1), 0.001)
            return """
                sent \(sent.events) transfers in \(String(format: "%.1f", seconds)) s \
                (\(Int(Double(sent.events) / seconds)) per second), \(counters.resent) of them again after \
                \(counters.reconnects) reconnects
                the service counts \(after.events - before.events) events and a sum of \
                \(after.sum - before.sum): \(isRight ? "right" : "WRONG, it should be \(sent.sum)")
                """
        }
    }

    func run() async throws -> Result {
        let watcher = TotalsWatcher(url: "ws://\(host):\(port)/totals")
        let before = try await watcher.totals(within: timeout) { _ in true }
        let url =
            tcpPort.map { "tcp://\(host):\($0)" } ?? "ws://\(host):\(port)/transfers"
        let sender = try await AcknowledgedSender.connect(to: url, producer: producer)
        let clock = ContinuousClock()
        let began = clock.now
        var count = 0
        let sent = try await transfers.forEach { transfer in
            if let rate, count % 64 == 0 {
                try await clock.sleep(until: began + .seconds(Double(count) / rate))
            }
            count += 1
            try await sender.send(
                Array(
                    "{\"account\":\"\(transfer.account)\",\"amount\":\(transfer.amount)}".utf8))
        }
        try await sender.waitUntilAcknowledged()
        let duration = clock.now - began
        let counters = sender.counters
        await sender.close()
        let events = before.events + sent.events
        let after = try await watcher.totals(within: timeout) { $0.events >= events }
        // Whatever came twice would be counted soon after.
        let settled = try await watcher.totals(within: timeout) { $0.events >= after.events }
        return Result(
            sent: sent, before: before, after: settled, counters: counters, duration: duration)
    }
}

/// Asks the service for its totals, again when it was away.
struct TotalsWatcher {
    let url: String

    struct TimeIsUp: Error, CustomStringConvertible {
        let description: String
    }

    /// The first totals from now on that are as wanted.
    func totals(
        within timeout: Duration, where isWanted: @escaping @Sendable (Totals) -> Bool
    ) async throws -> Totals {
        let clock = ContinuousClock()
        let deadline = clock.now + timeout
        var last = "it said nothing"
        while clock.now < deadline {
            do {
                if let totals = try await firstTotals(until: deadline, where: isWanted) {
                    return totals
                }
            } catch {
                last = "\(error)"
            }
            try await clock.sleep(for: .milliseconds(100))
        }
        throw TimeIsUp(description: "\(url) has not given the totals waited for: \(last)")
    }

    /// Nil when the connection ended, or the time is up.
    private func firstTotals(
        until deadline: ContinuousClock.Instant,
        where isWanted: @escaping @Sendable (Totals) -> Bool
    ) async throws -> Totals? {
        let (found, inbox) = AsyncStream.makeStream(
            of: Totals?.self, bufferingPolicy: .bufferingNewest(64))
        let client = try await WebSocketClient.connect(
            to: url,
            onMessage: { bytes, _ in
                if let totals = try? JSONDecoder().decode(Totals.self, from: Data(bytes)) {
                    inbox.yield(totals)
                }
                return .proceed
            },
            onClose: { _ in inbox.finish() })
        let limit = Task {
            try? await Task.sleep(until: deadline, clock: .continuous)
            inbox.finish()
        }
        defer { limit.cancel() }
        for await totals in found {
            if let totals, isWanted(totals) {
                await client.close()
                return totals
            }
        }
        await client.close()
        return nil
    }
}
