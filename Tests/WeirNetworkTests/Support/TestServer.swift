import WeirTestSupport

@testable import WeirNetwork

/// A server on a loop of its own with an echo path, and what its handler has seen.
struct TestServer {
    let loop: Loop
    let server: NetworkServer
    let address: SocketAddress
    let closures = Recorder<WebSocketClosure>()
    let opened = Recorder<WebSocketHandle>()

    init(_ change: (inout NetworkServer.Configuration) -> Void = { _ in }) async throws {
        var configuration = NetworkServer.Configuration()
        // A busy test machine may take its time; tests of time-outs set their own.
        configuration.headTimeout = .seconds(120)
        change(&configuration)
        loop = try Loop(name: "test-server")
        server = try NetworkServer(configuration, loop: loop)
        server.addPage("/", .html("<p>hello</p>"))
        let (opened, closures) = (opened, closures)
        server.addWebSocket("/echo") { request in
            .accept(Echo(opened, closures), subprotocol: request.subprotocols.last)
        }
        address = try await server.start()
    }

    var url: String { "ws://\(address)/echo" }

    /// Stops everything; the loop's thread has ended when it returns.
    func stop() async {
        await server.stop()
        await loop.stop()
    }

    /// The handshake as raw bytes.
    func handshake(_ path: String = "/echo") -> String {
        WebSocketHandshake.request(
            host: "\(address)", target: path, key: "dGhlIHNhbXBsZSBub25jZQ==", subprotocols: [])
    }

    /// A raw connection after the handshake, and the length of the server's answer.
    func openRaw(on loop: Loop) async throws -> (RawClient, Int) {
        let client = try await RawClient.connect(to: address, on: loop)
        try await client.send(handshake())
        let answer = await client.receive {
            String(decoding: $0, as: UTF8.self).contains("\r\n\r\n")
        }
        let end = String(decoding: answer, as: UTF8.self).split(separator: "\r\n\r\n")[0]
        return (client, end.utf8.count + 4)
    }
}

final class Echo: WebSocketHandler {
    private let openings: Recorder<WebSocketHandle>
    private let closures: Recorder<WebSocketClosure>

    init(_ openings: Recorder<WebSocketHandle>, _ closures: Recorder<WebSocketClosure>) {
        self.openings = openings
        self.closures = closures
    }

    func opened(_ connection: WebSocketConnection) { openings.append(connection.handle) }

    func received(
        _ bytes: UnsafeRawBufferPointer, _ kind: WebSocketMessageKind,
        on connection: WebSocketConnection
    ) -> Flow {
        connection.send(bytes, kind)
        return .proceed
    }

    func closed(_ connection: WebSocketConnection, _ closure: WebSocketClosure) {
        closures.append(closure)
    }
}

/// Says when nothing refers to it any more.
final class Kept: Sendable {
    let gone: Recorder<Bool>

    init(_ gone: Recorder<Bool>) { self.gone = gone }

    deinit { gone.append(true) }
}
