import ArgumentParser
import CLoad
import Foundation
import Weir

/// Opens WebSocket connections that stay silent; started by `IdleServer`.
///
/// A letter of its input is a word: `r` asks whether it is there, `o` opens all connections, `c`
/// closes them. Each is answered by a line.
struct GenerateIdle: AsyncParsableCommand {
    static let name = "generate-idle"
    static let configuration = CommandConfiguration(commandName: name, shouldDisplay: false)
    @Option var kind: IdleKind
    @Option var port: UInt16
    @Option var connections: Int
    @Option var certificate: String?

    func run() async throws {
        _ = cload_descriptors(true)
        let peers: any IdlePeers =
            if kind == .tls {
                try IdleTLSPeers(port: port, trusting: certificate ?? "")
            } else {
                IdleSockets(port: port, asksForDeflate: kind == .deflate)
            }
        while let word = try FileHandle.standardInput.read(upToCount: 1)?.first {
            switch word {
            case UInt8(ascii: "o"):
                try await peers.open(connections)
                try say("open")
            case UInt8(ascii: "c"):
                await peers.close()
                try say("closed")
            default: try say("ready")
            }
        }
    }

    private func say(_ line: String) throws {
        try FileHandle.standardOutput.write(contentsOf: Data("\(line)\n".utf8))
    }
}

/// Connections that are opened and closed together.
private protocol IdlePeers: AnyObject {
    func open(_ count: Int) async throws
    func close() async
}

/// Plain sockets, which do no more than the handshake.
private final class IdleSockets: IdlePeers {
    private let port: UInt16
    private let asksForDeflate: Bool
    private var sockets: [Int32] = []

    init(port: UInt16, asksForDeflate: Bool) {
        self.port = port
        self.asksForDeflate = asksForDeflate
    }

    func open(_ count: Int) async throws {
        sockets.reserveCapacity(count)
        let addresses = Self.addresses(for: count)
        for index in 0..<count {
            // One address needs no binding; macOS has 127.0.0.1 only.
            let source = addresses == 1 ? 0 : 0x7F00_0001 + UInt32(index % addresses)
            let socket = try GeneratorOptions.connect(to: port, from: source)
            sockets.append(socket)
            let answer = try GenerateWebSocket.handshake(
                socket, port: port,
                extensions: asksForDeflate ? "permessage-deflate; client_max_window_bits" : nil)
            guard answer.contains("permessage-deflate") == asksForDeflate else {
                throw MeasurementError(description: "not the extension asked for: \(answer)")
            }
        }
    }

    func close() async {
        for socket in sockets { cload_close(socket) }
        sockets = []
    }

    /// How many source addresses it takes, so that two rounds find ports: those of the first stay
    /// taken for a minute.
    private static func addresses(for count: Int) -> Int {
        let path = "/proc/sys/net/ipv4/ip_local_port_range"
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { return 1 }
        let range = text.split(whereSeparator: \.isWhitespace).compactMap { Int($0) }
        guard range.count == 2, range[1] > range[0] else { return 1 }
        let ports = max(1, (range[1] - range[0]) * 2 / 5)
        return (count + ports - 1) / ports
    }
}

/// Weir's own clients, with a whole handshake each.
private final class IdleTLSPeers: IdlePeers {
    private let url: String
    private let configuration: WebSocketClientConfiguration
    private var clients: [WebSocketClient] = []
    /// How many connect or close at a time.
    private let width = 64

    init(port: UInt16, trusting certificate: String) throws {
        url = "wss://127.0.0.1:\(port)\(GenerateWebSocket.path)"
        var tls = TLSClientConfiguration()
        tls.authorities = .file(certificate)
        tls.minimumVersion = .v1_3
        tls.sessionsMax = 0
        var configuration = WebSocketClientConfiguration()
        configuration.tls = try TLSClientContext(tls)
        configuration.connectTimeout = .seconds(60)
        configuration.connection.pingInterval = nil
        self.configuration = configuration
    }

    func open(_ count: Int) async throws {
        let (url, configuration) = (url, configuration)
        for start in stride(from: 0, to: count, by: width) {
            clients += try await withThrowingTaskGroup(of: WebSocketClient.self) { group in
                for _ in start..<min(start + width, count) {
                    group.addTask {
                        try await WebSocketClient.connect(to: url, configuration: configuration)
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
        }
    }

    func close() async {
        for start in stride(from: 0, to: clients.count, by: width) {
            await withTaskGroup(of: Void.self) { group in
                for client in clients[start..<min(start + width, clients.count)] {
                    group.addTask { await client.close() }
                }
            }
        }
        clients = []
    }
}
