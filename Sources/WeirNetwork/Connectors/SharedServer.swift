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
    ///
    /// - Throws: ``NetworkError`` when the certificates cannot be used, or the port is asked for with other TLS too.
    package static func of(
        _ resources: RunResources, host: String, port: Int, tls: TLSServerConfiguration? = nil,
        logger: Logger
    ) throws -> SharedServer {
        let name = "\(tls == nil ? "http" : "https")://\(host):\(port)"
        let other = "\(tls == nil ? "https" : "http")://\(host):\(port)"
        let isMixed =
            port != 0 && resources.all(of: SharedServer.self).contains { $0.name == other }
        // Asked for before: making a resource may ask for no other.
        let settings = ServerSettings.configuration(resources, host, port)
        let all = resources.shared("servers") {
            SharedServers()
        } close: { _ in
        }
        let shared = try resources.shared(name) {
            var configuration = settings
            configuration.tls = tls
            configuration.logger = logger
            let server = try NetworkServer(configuration)
            all.add(server)
            return SharedServer(name: name, server: server)
        } close: { _ in
            await all.stop()
        }
        guard !isMixed, shared.server.configuration.tls == tls else {
            throw NetworkError(
                .invalidArgument,
                "\(host):\(port) is asked for with different TLS; give all sources, sinks and"
                    + " pages of one port the same")
        }
        return shared
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

/// The servers of a run, which stop together: one whose clients linger holds no other one up.
private final class SharedServers: Sendable {
    private let servers = Mutex<[NetworkServer]>([])

    func add(_ server: NetworkServer) { servers.withLock { $0.append(server) } }

    /// Stops all that were added since the last call.
    func stop() async {
        let all = servers.withLock { servers in
            defer { servers.removeAll() }
            return servers
        }
        await withTaskGroup { group in
            for server in all {
                group.addTask {
                    await server.stop(within: server.configuration.stopTimeout)
                    // The port is free when the loop has closed the listener's descriptor, at the
                    // end of its turn.
                    for _ in 0..<2 { try? await server.loop.run {} }
                }
            }
        }
    }
}

/// A component that the server of a host and port serves.
protocol ServedComponent: TopologyComponent {
    var host: String { get }
    var port: Int { get }
    var tls: TLSServerConfiguration? { get }
}

extension ServedComponent {
    /// The server, made for the first who asks for it.
    func server(_ context: SourceContext) throws -> SharedServer {
        try SharedServer.of(
            context.resources, host: host, port: port, tls: tls, logger: context.logger)
    }
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
    /// topology names: `running.addresses["http://127.0.0.1:0"]`. With TLS they are `https://` and `tls://`.
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

extension RunningTopology {
    /// Reads the certificate files of all its TLS servers again; from any thread.
    ///
    /// New connections get what is there now; open ones go on.
    ///
    /// - Throws: The first ``NetworkError``; a server whose files cannot be used keeps the old ones.
    public func reloadCertificates() throws {
        var failure: NetworkError?
        let servers = environment.resources.all(of: SharedServer.self).map(\.server)
        let services = environment.resources.all(of: StreamService.self)
        for reload in servers.map({ $0.reloadCertificates })
            + services.map({ $0.reloadCertificates })
        {
            do throws(NetworkError) { try reload() } catch { failure = failure ?? error }
        }
        if let failure { throw failure }
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
public struct WebPage: TopologyComponent, ServedComponent {
    private let path: String
    let host: String
    let port: Int
    let tls: TLSServerConfiguration?
    private let page: StaticPage

    /// Shows a page.
    ///
    /// - Parameters:
    ///   - path: Its path, such as `/`.
    ///   - host: The address to listen on; loopback by default.
    ///   - port: The port, shared with sources and sinks of the same host and port.
    ///   - tls: Speaks TLS (`https://`); nil, the default, does not. All on one port give the same.
    ///   - page: What it shows.
    public init(
        _ path: String, host: String = "127.0.0.1", port: Int, tls: TLSServerConfiguration? = nil,
        _ page: StaticPage
    ) {
        self.path = path
        self.host = host
        self.port = port
        self.tls = tls
        self.page = page
    }

    /// What it is called in drawings and errors.
    public var label: String { "page \(path)" }

    /// Adds the page to its server and starts that.
    public func start(_ context: SourceContext) async throws {
        let shared = try server(context)
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
public struct WebFolder: TopologyComponent, ServedComponent {
    private let prefix: String
    let host: String
    let port: Int
    let tls: TLSServerConfiguration?
    private let folder: StaticFolder

    /// Shows the files of a folder.
    ///
    /// - Parameters:
    ///   - prefix: What their paths begin with, such as `/app/`.
    ///   - host: The address to listen on; loopback by default.
    ///   - port: The port, shared with sources and sinks of the same host and port.
    ///   - tls: Speaks TLS (`https://`); nil, the default, does not. All on one port give the same.
    ///   - folder: The folder.
    public init(
        _ prefix: String, host: String = "127.0.0.1", port: Int, tls: TLSServerConfiguration? = nil,
        _ folder: StaticFolder
    ) {
        self.prefix = prefix
        self.host = host
        self.port = port
        self.tls = tls
        self.folder = folder
    }

    /// What it is called in drawings and errors.
    public var label: String { "folder \(prefix)" }

    /// Adds the folder to its server and starts that.
    public func start(_ context: SourceContext) async throws {
        let shared = try server(context)
        shared.server.addFolder(prefix, folder)
        try await shared.start()
    }
}
