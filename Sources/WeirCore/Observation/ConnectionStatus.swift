import Synchronization

/// How the connection of a source or sink to another system stands.
public struct ConnectionStatus: Sendable, Codable, Hashable {
    /// The stage that connects.
    public var stage: String
    /// What is spoken, such as `mqtt` or `webSocket`.
    public var kind: String
    /// Where the other system is, without anything secret.
    public var address: String
    /// Whether it is connected now.
    public var isConnected: Bool
    /// Connections that were made so far.
    public var connections: Int
    /// Attempts that failed and connections that were lost so far.
    public var failures: Int
    /// Messages that were sent or taken and are not acknowledged yet; 0 where that isn't known.
    public var inFlight: Int
    /// Messages, subscriptions and connections that the other side has refused so far.
    public var refused: Int
    /// Why the last connection failed or was lost.
    public var lastError: String?

    package init(stage: String, kind: String, address: String) {
        self.stage = stage
        self.kind = kind
        self.address = address
        isConnected = false
        connections = 0
        failures = 0
        inFlight = 0
        refused = 0
    }
}

/// A resource of a run that knows how a connection stands.
package protocol ConnectionReporting: Sendable {
    var connectionStatus: ConnectionStatus { get }
}

/// Keeps the status of a stage's connection, and hands it to swift-metrics when it changes.
package final class ConnectionMonitor: ConnectionReporting {
    private let status: Mutex<ConnectionStatus>
    private let isConnected, inFlight: RunGauge
    private let connections, failures, refusals: RunCounter

    package init(_ status: ConnectionStatus, _ instruments: RunInstruments) {
        self.status = Mutex(status)
        let labels = [("stage", status.stage), ("kind", status.kind)]
        isConnected = instruments.gauge(
            "weir_connection_up", "Whether the stage is connected.", labels)
        connections = instruments.counter(
            "weir_connection_connects_total", "Connections made.", labels)
        failures = instruments.counter(
            "weir_connection_failures_total", "Attempts failed, connections lost.", labels)
        inFlight = instruments.gauge(
            "weir_connection_in_flight", "Messages without an acknowledgement.", labels)
        refusals = instruments.counter(
            "weir_connection_refused_total", "What the other side has refused.", labels)
    }

    /// The monitor of a stage in a run, over the stage's restarts.
    package static func of(
        _ resources: RunResources, stage: String, kind: String, address: String
    ) -> ConnectionMonitor {
        resources.shared("connection of \(stage)") {
            ConnectionMonitor(
                ConnectionStatus(stage: stage, kind: kind, address: address),
                resources.instruments)
        } close: { _ in
        }
    }

    package var connectionStatus: ConnectionStatus { status.withLock { $0 } }

    package func connected() {
        status.withLock {
            $0.isConnected = true
            $0.connections += 1
        }
        connections.increment()
        isConnected.set(1)
    }

    package func lost(_ error: any Error) {
        status.withLock {
            $0.isConnected = false
            $0.failures += 1
            $0.lastError = "\(error)"
        }
        failures.increment()
        isConnected.set(0)
    }

    /// The connection has ended as it should.
    package func ended() {
        status.withLock {
            $0.isConnected = false
            $0.inFlight = 0
        }
        isConnected.set(0)
        inFlight.set(0)
    }

    package func setInFlight(_ count: Int) {
        let isNews = status.withLock { status in
            defer { status.inFlight = count }
            return status.inFlight != count
        }
        if isNews { inFlight.set(Double(count)) }
    }

    package func refused(_ count: Int = 1) {
        if count == 0 { return }
        status.withLock { $0.refused += count }
        refusals.increment(by: count)
    }
}
