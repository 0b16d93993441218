public import WeirCore
import WeirJSON

/// Pages for those who run a topology: is it alive, is it ready, its metrics, its graph.
///
/// ```swift
/// Topology("fraud") {
///     Operations(port: 9_090)
///     …
/// }
/// ```
///
/// - `/healthz`: 200 as long as the run goes on.
/// - `/readyz`: 200 while the sources run, 503 before and while it drains.
/// - `/metrics`: all metrics in the text format of Prometheus, without a metrics backend.
/// - `/topology`: the stages, their operators, the edges and the status of all, as JSON.
///
/// They tell names of stages and counts, no events. On loopback whoever reaches the port can read
/// them; under access control `/metrics` and `/topology` need ``AccessRoles/read``.
public struct Operations: TopologyComponent, ServedComponent {
    let host: String
    let port: Int
    let tls: TLSServerConfiguration?
    private let prefix: String

    /// Serves the pages.
    ///
    /// - Parameters:
    ///   - host: The address to listen on; loopback by default.
    ///   - port: The port, shared with sources, sinks and pages of the same host and port.
    ///   - tls: Speaks TLS (`https://`); nil, the default, does not. All on one port give the same.
    ///   - prefix: What their paths begin with, such as `/ops`; nothing by default.
    public init(
        host: String = "127.0.0.1", port: Int, tls: TLSServerConfiguration? = nil,
        prefix: String = ""
    ) {
        self.host = host
        self.port = port
        self.tls = tls
        self.prefix = prefix.hasSuffix("/") ? String(prefix.dropLast()) : prefix
    }

    /// What it is called in drawings and errors.
    public var label: String { "operations \(prefix)/" }

    /// Adds the pages to their server and starts that.
    public func start(_ context: SourceContext) async throws {
        let shared = try server(context)
        let (environment, resources) = (context.environment, context.resources)
        let server = shared.server
        server.addResponder("GET", prefix + "/healthz", roles: []) { _, _ in
            guard environment.running != nil else { return Self.notReady("the run has ended") }
            return .reply(
                HTTPReply(contentType: "application/json", body: #"{"status":"ok"}"#.utf8))
        }
        server.addResponder("GET", prefix + "/readyz", roles: []) { _, _ in
            guard environment.running?.isReady == true else {
                return Self.notReady("the sources don't run yet, or not any more")
            }
            return .reply(
                HTTPReply(contentType: "application/json", body: #"{"status":"ready"}"#.utf8))
        }
        server.addResponder("GET", prefix + "/metrics", roles: .read) { _, _ in
            var text = PrometheusText()
            environment.running?.addMetrics(to: &text)
            ProcessRestarts.shared.addMetrics(to: &text)
            for shared in resources.all(of: SharedServer.self) { shared.addMetrics(to: &text) }
            for listener in resources.all(of: (any ListenerCounting).self) {
                let labels = [("server", listener.name)]
                text.addConnections(listener.counters, labels)
                text.addAccess(listener.counters, labels)
            }
            return .reply(
                HTTPReply(
                    contentType: "text/plain; version=0.0.4; charset=utf-8", body: text.text.utf8))
        }
        server.addResponder("GET", prefix + "/topology", roles: .read) { _, _ in
            guard let running = environment.running,
                let reply = try? HTTPReply.json(TopologyDescription(running))
            else { return Self.notReady("the run has ended") }
            return .reply(reply)
        }
        try await shared.start()
    }

    private static func notReady(_ why: String) -> HTTPBeginning {
        var problem = HTTPProblem(503, why)
        problem.retryAfter = 1
        return .refuse(problem)
    }
}

/// The graph of a running topology with its status, as `/topology` tells it.
struct TopologyDescription: Codable {
    struct Stage: Codable {
        var name: String
        var operators: [String]
        var instances: Int
        var isKeyed: Bool
    }

    struct Edge: Codable {
        var from: String
        var to: String
        var isKeyed: Bool
        var isSideOutput: Bool
    }

    var name: String
    var stages: [Stage]
    var edges: [Edge]
    var status: TopologyStatus

    init(_ running: RunningTopology) {
        let plan = running.plan
        name = running.name
        stages = plan.stages.map { stage in
            Stage(
                name: stage.name, operators: stage.nodes.map { plan.nodes[$0].kind },
                instances: running.instances[stage.index].count, isKeyed: stage.isKeyed)
        }
        edges = plan.edges.map { edge in
            Edge(
                from: plan.stages[edge.from].name, to: plan.stages[edge.to].name,
                isKeyed: edge.isKeyed, isSideOutput: edge.output > 0)
        }
        status = running.status()
    }
}

extension SharedServer {
    /// Adds what the server has counted.
    func addMetrics(to text: inout PrometheusText) {
        let counters = server.counters
        let labels = [("server", name)]
        text.addConnections(counters, labels)
        let counts: [(String, String, Int)] = [
            ("weir_http_requests_total", "HTTP requests.", counters.requests),
            ("weir_websockets_opened_total", "WebSocket connections.", counters.webSocketsOpened),
            ("weir_messages_in_total", "WebSocket messages received.", counters.messagesIn),
            ("weir_messages_out_total", "WebSocket messages sent.", counters.messagesOut),
            (
                "weir_slow_consumers_closed_total", "Connections closed because they read slowly.",
                counters.slowConsumersClosed
            ),
        ]
        for (name, help, count) in counts { text.add(name, .counter, help, labels, count) }
        let timeouts = [
            ("head", counters.headTimeouts), ("body", counters.bodyTimeouts),
            ("answer", counters.answerTimeouts),
        ]
        for (kind, count) in timeouts {
            text.add(
                "weir_http_timeouts_total", .counter, "Requests that took too long.",
                labels + [("kind", kind)], count)
        }
        text.addAccess(counters, labels)
        for (status, count) in counters.rejected.sorted(by: { $0.key < $1.key }) {
            text.add(
                "weir_http_rejected_total", .counter, "Well-formed requests that were refused.",
                labels + [("status", "\(status)")], count)
        }
        for (code, count) in counters.protocolErrors.sorted(by: { $0.key < $1.key }) {
            text.add(
                "weir_protocol_errors_total", .counter, "Breaches of protocol.",
                labels + [("code", "\(code)")], count)
        }
    }
}

extension PrometheusText {
    /// Adds what a listener has counted.
    fileprivate mutating func addConnections(
        _ counters: ServerCounters, _ labels: [(String, String)]
    ) {
        add("weir_connections", .gauge, "Connections open.", labels, counters.connectionsOpen)
        let counts: [(String, String, Int)] = [
            (
                "weir_connections_accepted_total", "Connections accepted.",
                counters.connectionsAccepted
            ),
            (
                "weir_connections_refused_total", "Connections closed because of the limit.",
                counters.connectionsRefused
            ),
            ("weir_accept_failures_total", "Times that accepting failed.", counters.acceptFailures),
            ("weir_tls_handshakes_total", "TLS handshakes done.", counters.handshakes),
            (
                "weir_tls_handshakes_resumed_total", "TLS handshakes that resumed a session.",
                counters.handshakesResumed
            ),
            (
                "weir_tls_handshake_failures_total", "TLS handshakes that failed.",
                counters.handshakeFailures
            ),
            ("weir_network_in_bytes_total", "Bytes received.", counters.bytesIn),
            ("weir_network_out_bytes_total", "Bytes sent.", counters.bytesOut),
        ]
        for (name, help, count) in counts { add(name, .counter, help, labels, count) }
        let timeouts = [("idle", counters.idleTimeouts), ("message", counters.messageTimeouts)]
        for (kind, count) in timeouts {
            add(
                "weir_connection_timeouts_total", .counter,
                "Connections closed because the peer was silent, or did not end a message.",
                labels + [("kind", kind)], count)
        }
    }

    /// Adds what access control has refused.
    fileprivate mutating func addAccess(
        _ counters: ServerCounters, _ labels: [(String, String)]
    ) {
        for (reason, count) in counters.accessRefused.sorted(by: { $0.key < $1.key }) {
            add(
                "weir_access_refused_total", .counter, "Refused by access control.",
                labels + [("reason", reason)], count)
        }
    }
}
