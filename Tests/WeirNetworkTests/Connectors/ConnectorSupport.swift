import Logging
import Testing
import WeirCore
import WeirTestSupport

@testable import WeirNetwork

struct Reading: Codable, Sendable, Equatable {
    var id: Int
    var value: Double

    var json: String { #"{"id":\#(id),"value":\#(value)}"# }
}

extension RunConfiguration {
    /// Without a log and without metrics.
    static func quiet(batchSize: Int = 512) -> RunConfiguration {
        var configuration = RunConfiguration(
            batchSize: batchSize, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        configuration.metricsInterval = .zero
        return configuration
    }
}

extension RunningTopology {
    /// Where the WebSockets and pages of a topology are that asked for port 0.
    var web: SocketAddress {
        get throws { try #require(addresses["http://127.0.0.1:0"]) }
    }

    /// Where the TCP source of a topology is that asked for port 0.
    var tcp: SocketAddress {
        get throws { try #require(addresses["tcp://127.0.0.1:0"]) }
    }

    var serverCounters: ServerCounters {
        get throws {
            try #require(environment.resources.all(of: SharedServer.self).first).server.counters
        }
    }

    /// What has come from all connections, below TLS.
    var bytesReceived: Int {
        let resources = environment.resources
        let servers = resources.all(of: SharedServer.self).map(\.server.counters)
        let services = resources.all(of: StreamService.self).map(\.counters)
        return (servers + services).reduce(0) { $0 + $1.bytesIn }
    }

    /// Dead letters from now on.
    func recordDeadLetters() -> Recorder<DeadLetter> {
        let letters = Recorder<DeadLetter>()
        deadLetters.onLetter { letters.append($0) }
        return letters
    }
}

/// A WebSocket client that records what it gets.
struct Listener {
    let texts = Recorder<String>()
    let closures = Recorder<WebSocketClosure>()
    let client: WebSocketClient

    init(_ address: SocketAddress, _ path: String) async throws {
        let (texts, closures) = (texts, closures)
        client = try await WebSocketClient.connect(
            to: "ws://\(address)\(path)",
            onMessage: { bytes, _ in
                texts.append(String(decoding: bytes, as: UTF8.self))
                return .proceed
            }, onClose: { closures.append($0) })
    }
}

extension ServerSettings {
    /// For a server that waits as long as a busy machine takes to send a request: its time limits
    /// are not what is tested.
    static func patient(port: Int = 0) -> ServerSettings {
        ServerSettings(port: port) {
            ($0.headTimeout, $0.bodyTimeout) = (.seconds(240), .seconds(240))
            $0.keepAliveTimeout = .seconds(240)
        }
    }
}

/// A raw connection after the handshake of a path.
func openRaw(_ address: SocketAddress, _ path: String) async throws -> RawClient {
    let request = WebSocketHandshake.request(
        host: "\(address)", target: path, key: "dGhlIHNhbXBsZSBub25jZQ==", subprotocols: [])
    let client = try await RawClient.connect(
        to: address, on: Loop.shared(), sending: Array(request.utf8))
    let answer = await client.receive { $0.suffix(4) == [13, 10, 13, 10] }
    #expect(String(decoding: answer, as: UTF8.self).hasPrefix("HTTP/1.1 101"))
    return client
}
