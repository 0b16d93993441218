import Synchronization
public import WeirCore

/// How the connection of a feed stands.
public struct WebSocketFeedStatus: Sendable {
    /// The feed's address without its query.
    public let url: String
    /// Whether it is connected now.
    public internal(set) var isConnected = false
    /// Connections that were made so far.
    public internal(set) var connections = 0
    /// Attempts that failed and connections that were lost so far.
    public internal(set) var failures = 0
    /// Why the last of them failed or was lost.
    public internal(set) var lastError: NetworkError?
}

extension RunningTopology {
    /// How the feeds stand that the topology is connected to, by the names of their stages.
    public var webSocketFeeds: [String: WebSocketFeedStatus] {
        let feeds = environment.resources.all(of: FeedStatus.self)
        return Dictionary(feeds.map { ($0.stage, $0.current) }) { $1 }
    }
}

/// The status of a feed, written by its loop; also handed to swift-metrics when it changes.
final class FeedStatus: ConnectionReporting {
    let stage: String
    private let status: Mutex<WebSocketFeedStatus>
    /// The same as of any connection.
    private let monitor: ConnectionMonitor
    private let connections, failures: RunCounter
    private let isConnected: RunGauge

    private init(stage: String, url: String, _ instruments: RunInstruments) {
        self.stage = stage
        status = Mutex(WebSocketFeedStatus(url: url))
        monitor = ConnectionMonitor(
            ConnectionStatus(stage: stage, kind: "webSocket", address: url), instruments)
        let labels = [("stage", stage)]
        connections = instruments.counter(
            "weir_feed_connections_total", "Connections of a feed that were made.", labels)
        failures = instruments.counter(
            "weir_feed_failures_total", "Attempts failed, connections lost.", labels)
        isConnected = instruments.gauge(
            "weir_feed_connected", "1 while a feed is connected.", labels)
    }

    /// The status of a stage in a run, over the stage's restarts.
    static func of(_ context: SourceContext, url: String) -> FeedStatus {
        context.resources.shared("feed \(context.stage)") {
            FeedStatus(stage: context.stage, url: url, context.resources.instruments)
        } close: { _ in
        }
    }

    var current: WebSocketFeedStatus { status.withLock { $0 } }

    var connectionStatus: ConnectionStatus { monitor.connectionStatus }

    func connected() {
        status.withLock {
            $0.isConnected = true
            $0.connections += 1
        }
        connections.increment()
        isConnected.set(1)
        monitor.connected()
    }

    /// The source has ended, and the connection with it.
    func ended() {
        status.withLock { $0.isConnected = false }
        isConnected.set(0)
        monitor.ended()
    }

    func lost(_ error: NetworkError) {
        status.withLock {
            $0.isConnected = false
            $0.failures += 1
            $0.lastError = error
        }
        failures.increment()
        isConnected.set(0)
        monitor.lost(error)
    }
}
