import Foundation
import Weir

/// A client of the service: sends payments at a steady rate and listens to the alerts at the same time.
struct Feed {
    /// Where the service is, such as `ws://127.0.0.1:8080`.
    var server: String
    var count: Int
    var rate: Double
    var seed: UInt64
    var planted: Int
    var timeout: Duration
    var start: EventTime?

    struct Result: CustomStringConvertible {
        var sent: Int
        var duration: Duration
        var findings: Findings

        var missed: Int { findings.missed }

        var description: String {
            let seconds = duration / .seconds(1)
            let rate = Double(sent) / max(seconds, 0.001)
            return """
                sent \(sent) payments in \(String(format: "%.1f", seconds)) s \
                (\(Int(rate.rounded())) per second)
                \(findings)
                """
        }
    }

    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    private enum Event: Sendable {
        case alert(Alert)
        case stats(Stats)
        case sent(Duration)
        case failed(any Error)
        case timeIsUp
    }

    func run() async throws -> Result {
        let (events, inbox) = AsyncStream.makeStream(
            of: Event.self, bufferingPolicy: .bufferingOldest(1 << 16))
        let alerts = try await listen("/alerts", Alert.self, inbox) { .alert($0) }
        let stats = try await listen("/stats", Stats.self, inbox) { .stats($0) }
        let before = try await firstStats(events, inbox)
        let traffic = Traffic(
            count: count, planted: planted, seed: seed, start: try startTime(after: before.newest))
        let result = try await result(of: traffic, before.total, events, inbox)
        await alerts.close()
        await stats.close()
        return result
    }

    /// What the server has seen so far.
    private func firstStats(
        _ events: AsyncStream<Event>, _ inbox: AsyncStream<Event>.Continuation
    ) async throws -> Stats {
        let limit = Self.after(.seconds(10)) { inbox.yield(.timeIsUp) }
        defer { limit.cancel() }
        for await event in events {
            switch event {
            case .stats(let stats): return stats
            case .failed(let error): throw error
            case .timeIsUp: throw Failure(description: "\(server)/stats says nothing")
            case .alert, .sent: continue
            }
        }
        throw CancellationError()
    }

    /// Payments from before what the server has seen would be late.
    private func startTime(after newest: EventTime?) throws -> EventTime {
        if let start { return start }
        // 2020-01-01T00:00:00Z
        let first = EventTime(milliseconds: 1_577_836_800_000)
        guard let newest else { return first }
        let day = Int64(86_400_000_000_000)
        let next = EventTime(nanoseconds: (newest.nanoseconds / day + 2) * day)
        let now = EventTime(milliseconds: Int64(Date().timeIntervalSince1970 * 1_000))
        guard next.advanced(by: .days(30)) < now else {
            throw Failure(
                description: """
                    the server has seen payments up to \(newest): simulated ones would come too late; \
                    start it anew, or give --start
                    """)
        }
        return max(first, next)
    }

    private func result(
        of traffic: Traffic, _ totalBefore: Int,
        _ events: AsyncStream<Event>, _ inbox: AsyncStream<Event>.Continuation
    ) async throws -> Result {
        let payments = traffic.payments
        var result = Result(
            sent: payments.count, duration: .zero, findings: Findings(traffic.frauds))
        let sending = Task {
            do {
                inbox.yield(.sent(try await send(payments, inbox)))
            } catch {
                inbox.yield(.failed(error))
            }
        }
        var limit: Task<Void, Never>?
        defer {
            sending.cancel()
            limit?.cancel()
        }
        var isSettled = false
        for await event in events {
            switch event {
            case .alert(let alert): result.findings.add(alert)
            case .sent(let duration):
                result.duration = duration
                limit = Self.after(timeout) { inbox.yield(.timeIsUp) }
            case .stats(let stats):
                let isHandled = stats.total - totalBefore >= payments.count
                // One round more, for false alarms that are still on their way.
                if isSettled { return result }
                isSettled = limit != nil && isHandled && result.missed == 0
            case .failed(let error): throw error
            case .timeIsUp: return result
            }
        }
        throw CancellationError()
    }

    /// Sends all payments and returns how long that took.
    private func send(
        _ payments: [Payment], _ inbox: AsyncStream<Event>.Continuation
    ) async throws -> Duration {
        let client = try await WebSocketClient.connect(to: server + "/payments")
        let clock = ContinuousClock()
        let began = clock.now
        var sent = 0
        while sent < payments.count {
            let due = Int((clock.now - began) / .seconds(1) * rate) + 1
            let end = min(payments.count, max(due, sent), sent + 1_000)
            if end > sent {
                try await client.send(payments[sent..<end].map { WebSocketFrame(text: $0.json) })
                sent = end
            } else {
                try await clock.sleep(until: began + .seconds(Double(sent + 1) / rate))
            }
        }
        let duration = clock.now - began
        await client.close()
        return duration
    }

    private func listen<Message: Decodable & SendableMetatype>(
        _ path: String, _ type: Message.Type, _ inbox: AsyncStream<Event>.Continuation,
        _ event: @escaping @Sendable (Message) -> Event
    ) async throws -> WebSocketClient {
        let name = server + path
        return try await WebSocketClient.connect(
            to: name,
            onMessage: { bytes, _ in
                do {
                    inbox.yield(
                        event(try JSONDecoder().decode(Message.self, from: Data(bytes))))
                } catch {
                    inbox.yield(.failed(error))
                }
                return .proceed
            },
            onClose: { closure in
                if closure.code == .normal { return }
                inbox.yield(
                    .failed(
                        Failure(
                            description: "\(name) was closed: \(closure.code) \(closure.reason)")))
            })
    }

    private static func after(
        _ duration: Duration, _ action: @escaping @Sendable () -> Void
    ) -> Task<Void, Never> {
        Task {
            if (try? await Task.sleep(for: duration)) != nil { action() }
        }
    }
}

extension Payment {
    /// As it is sent.
    ///
    /// The texts in it need no escapes.
    var json: String {
        """
        {"id":\(id),"card":"\(card)","amount":\(amount),"country":"\(country)","at":"\(at)"}
        """
    }
}
