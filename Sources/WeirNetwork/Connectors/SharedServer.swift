package import Logging
import Synchronization
public import WeirCore

/// The server behind one host and port of a run: sources, sinks and pages of a topology share it.
package final class SharedServer: Sendable {
    package let server: NetworkServer
    package let name: String
    private let starting = Mutex<Task<SocketAddress, any Error>?>(nil)
    private let bound = Mutex<SocketAddress?>(nil)

    private init(name: String, server: NetworkServer) {
        self.name = name
        self.server = server
    }

    /// The server of a run for this host and port, made at the first call.
    package static func of(
        _ resources: RunResources, host: String, port: Int, logger: Logger
    ) throws -> SharedServer {
        try resources.shared("http://\(host):\(port)") {
            var configuration = NetworkServer.Configuration(host: host, port: port)
            configuration.logger = logger
            return SharedServer(
                name: "http://\(host):\(port)", server: try NetworkServer(configuration))
        } close: { shared in
            await shared.server.stop()
            // The port is free when the loop has closed the listener's descriptor, at the end of its turn.
            for _ in 0..<2 { try? await shared.server.loop.run {} }
        }
    }

    /// Listens, at the first call.
    package func start() async throws {
        let task = starting.withLock { starting in
            if let starting { return starting }
            let server = server
            let task = Task { try await server.start() }
            starting = task
            return task
        }
        let address = try await task.value
        bound.withLock { $0 = address }
    }

    package var address: SocketAddress? { bound.withLock { $0 } }
}

/// A TCP listener of a run.
package final class TCPEndpoint: Sendable {
    package let name: String
    private let bound = Mutex<SocketAddress?>(nil)

    init(name: String) {
        self.name = name
    }

    var address: SocketAddress? {
        get { bound.withLock { $0 } }
        set { bound.withLock { $0 = newValue } }
    }
}

extension RunningTopology {
    /// Where the topology listens: the actual address of what was asked for.
    ///
    /// The keys are `http://host:port` for WebSockets and pages, `tcp://host:port` for TCP, with the host and port that the
    /// topology names: `running.addresses["http://127.0.0.1:0"]`.
    public var addresses: [String: SocketAddress] {
        var result: [String: SocketAddress] = [:]
        for shared in environment.resources.all(of: SharedServer.self) {
            if let address = shared.address { result[shared.name] = address }
        }
        for endpoint in environment.resources.all(of: TCPEndpoint.self) {
            if let address = endpoint.address { result[endpoint.name] = address }
        }
        return result
    }
}

/// A page that the topology's server shows, beside its WebSocket paths.
///
/// ```swift
/// Topology("fraud") {
///     WebPage("/", port: 8080, .html(page))
///     …
/// }
/// ```
public struct WebPage: TopologyComponent {
    private let path: String
    private let host: String
    private let port: Int
    private let page: StaticPage

    /// Shows a page.
    ///
    /// - Parameters:
    ///   - path: Its path, such as `/`.
    ///   - host: The address to listen on; loopback by default.
    ///   - port: The port, shared with sources and sinks of the same host and port.
    ///   - page: What it shows.
    public init(_ path: String, host: String = "127.0.0.1", port: Int, _ page: StaticPage) {
        self.path = path
        self.host = host
        self.port = port
        self.page = page
    }

    /// What it is called in drawings and errors.
    public var label: String { "page \(path)" }

    /// Adds the page to its server and starts that.
    public func start(_ context: SourceContext) async throws {
        let shared = try SharedServer.of(
            context.resources, host: host, port: port, logger: context.logger)
        shared.server.addPage(path, page)
        try await shared.start()
    }
}

/// A folder whose files the topology's server shows.
///
/// ```swift
/// Topology("fraud") {
///     WebFolder("/app/", port: 8080, StaticFolder("public"))
///     …
/// }
/// ```
public struct WebFolder: TopologyComponent {
    private let prefix: String
    private let host: String
    private let port: Int
    private let folder: StaticFolder

    /// Shows the files of a folder.
    ///
    /// - Parameters:
    ///   - prefix: What their paths begin with, such as `/app/`.
    ///   - host: The address to listen on; loopback by default.
    ///   - port: The port, shared with sources and sinks of the same host and port.
    ///   - folder: The folder.
    public init(
        _ prefix: String, host: String = "127.0.0.1", port: Int, _ folder: StaticFolder
    ) {
        self.prefix = prefix
        self.host = host
        self.port = port
        self.folder = folder
    }

    /// What it is called in drawings and errors.
    public var label: String { "folder \(prefix)" }

    /// Adds the folder to its server and starts that.
    public func start(_ context: SourceContext) async throws {
        let shared = try SharedServer.of(
            context.resources, host: host, port: port, logger: context.logger)
        shared.server.addFolder(prefix, folder)
        try await shared.start()
    }
}
