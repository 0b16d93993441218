public import WeirCore

/// How the server on a host and port of a topology behaves: who may do what, and its limits.
///
/// ```swift
/// Topology("readings") {
///     ServerSettings(host: "0.0.0.0", port: 8_443, access: AccessControl(keys)) { server in
///         server.listener.maximumConnectionsPerAddress = 20
///     }
///     EventStream("web", from: .webSocket("/readings", host: "0.0.0.0", port: 8_443, as: Reading.self))
///         .sink(.print)
/// }
/// ```
///
/// For all sources, sinks and pages of that host and port, TCP sources included; those take
/// `access`, `rate`, `headTimeout` for the first frame, `idleTimeout`, `messageTimeout`, and what
/// `listener` has.
public struct ServerSettings: TopologyComponent, CheckedComponent {
    let host: String
    let port: Int
    private let access: AccessControl?
    private let change: @Sendable (inout NetworkServer.Configuration) -> Void

    /// Sets up a server.
    ///
    /// - Parameters:
    ///   - host: The host as the sources, sinks and pages name it; loopback by default.
    ///   - port: Their port.
    ///   - access: Who may do what; nil, the default, asks nobody, which loopback only allows.
    ///   - change: Changes the defaults; host, port and TLS are those of the sources.
    public init(
        host: String = "127.0.0.1", port: Int, access: AccessControl? = nil,
        _ change: @escaping @Sendable (inout NetworkServer.Configuration) -> Void = { _ in }
    ) {
        self.host = host
        self.port = port
        self.access = access
        self.change = change
    }

    /// What it is called in drawings and errors.
    public var label: String { "settings \(host):\(port)" }

    /// Takes note of the settings, before anything listens.
    public func prepare(_ context: SourceContext) async throws {
        let others = context.resources.all(of: ServerSettings.self)
        if others.contains(where: { $0.host == host && $0.port == port }) {
            throw NetworkError(
                .invalidArgument, "\(host):\(port) has two ServerSettings; join them")
        }
        _ = context.resources.shared("settings \(host):\(port)") {
            self
        } close: { _ in
        }
    }

    /// Has nothing more to do.
    public func start(_ context: SourceContext) async throws {}

    package func problem(
        endpoints: [String], components: [any TopologyComponent]
    ) -> String? {
        let address = "\(host):\(port)"
        let isUsed =
            endpoints.contains { $0.hasSuffix(" \(address)") || $0.contains(" \(address)/") }
            || components.contains {
                ($0 as? any ServedComponent).map { $0.host == host && $0.port == port } ?? false
            }
        if isUsed { return nil }
        return """
            the settings of \(address) are nobody's: give the host and port as a source, sink or \
            page of the topology has them, or leave the settings out
            """
    }

    /// The configuration of a host and port in a run.
    static func configuration(
        _ resources: RunResources, _ host: String, _ port: Int
    ) -> NetworkServer.Configuration {
        var configuration = NetworkServer.Configuration(host: host, port: port)
        for settings in resources.all(of: ServerSettings.self)
        where settings.host == host && settings.port == port {
            settings.change(&configuration)
            if let access = settings.access { configuration.access = access }
            configuration.listener.host = host
            configuration.listener.port = port
        }
        return configuration
    }
}
