import Metrics
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
    let url: String
    private let status: Mutex<WebSocketFeedStatus>
    private let connections, failures: Counter
    private let isConnected: Meter

    private init(stage: String, url: String) {
        self.stage = stage
        self.url = url
        status = Mutex(WebSocketFeedStatus(url: url))
        let dimensions = [("stage", stage)]
        connections = Counter(label: "weir_feed_connections_total", dimensions: dimensions)
        failures = Counter(label: "weir_feed_failures_total", dimensions: dimensions)
        isConnected = Meter(label: "weir_feed_connected", dimensions: dimensions)
    }

    /// The status of a stage in a run, over the stage's restarts.
    static func of(_ context: SourceContext, url: String) -> FeedStatus {
        context.resources.shared("feed \(context.stage)") {
            FeedStatus(stage: context.stage, url: url)
        } close: { _ in
        }
    }

    var current: WebSocketFeedStatus { status.withLock { $0 } }

    var connectionStatus: ConnectionStatus {
        let current = current
        var status = ConnectionStatus(stage: stage, kind: "webSocket", address: url)
        status.isConnected = current.isConnected
        status.connections = current.connections
        status.failures = current.failures
        status.lastError = current.lastError.map { "\($0)" }
        return status
    }

    func connected() {
        status.withLock {
            $0.isConnected = true
            $0.connections += 1
        }
        connections.increment()
        isConnected.set(1)
    }

    /// The source has ended, and the connection with it.
    func ended() {
        status.withLock { $0.isConnected = false }
        isConnected.set(0)
    }

    func lost(_ error: NetworkError) {
        status.withLock {
            $0.isConnected = false
            $0.failures += 1
            $0.lastError = error
        }
        failures.increment()
        isConnected.set(0)
    }
}
