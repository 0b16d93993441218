import Testing
import Weir
import WeirCore
import WeirTestSupport

@testable import WeirNetwork

@Suite(.timeLimit(.minutes(5))) struct `A WebSocket source with access control` {
    /// Takes a reading and who has sent it.
    private static var decoder: EventDecoder<String> {
        let json = JSONEventDecoder()
        return EventDecoder(withConnection: { bytes, connection in
            let reading = try json.decode(Reading.self, from: bytes)
            return "\(reading.id) by \(connection.identity?.name ?? "nobody")"
        })
    }

    private func start(
        _ seen: Recorder<String>, _ lines: Recorder<String> = Recorder(), lifetime: Int? = nil,
        _ change: (inout AccessControl) -> Void = { _ in }
    ) async throws -> (RunningTopology, SocketAddress) {
        var access = AccessControl(WordsAuthenticator(lifetime: lifetime))
        change(&access)
        let topology = Topology("web") { [access] in
            ServerSettings(port: 0, access: access)
            EventStream("in", from: .webSocket("/in", port: 0, decoder: Self.decoder))
                .sink(seen.sink)
        }
        let running = try await topology.start(.logging(lines))
        return (running, try running.web)
    }

    private func connect(
        _ address: SocketAddress, _ target: String = "/in",
        closures: Recorder<WebSocketClosure> = Recorder(),
        _ change: (inout WebSocketClientConfiguration) -> Void
    ) async throws -> WebSocketClient {
        var configuration = WebSocketClientConfiguration()
        change(&configuration)
        return try await WebSocketClient.connect(
            to: "ws://\(address)\(target)", configuration: configuration,
            onClose: { closures.append($0) })
    }

    @Test func `refuses strangers at the handshake, and tells events who sent them`() async throws {
        let (seen, lines) = (Recorder<String>(), Recorder<String>())
        let (running, address) = try await start(seen, lines)
        await #expect(throws: NetworkError.self) { _ = try await connect(address) { _ in } }
        await #expect(throws: NetworkError.self) {
            _ = try await connect(address) { $0.authorization = .bearer("5ecret") }
        }
        await #expect(throws: NetworkError.self) {
            _ = try await connect(address) { $0.authorization = .bearer("anna:read") }
        }
        let client = try await connect(address) { $0.authorization = .bearer("anna:ingest") }
        try await client.send(#"{"id":1,"value":1}"#)
        let late = try await connect(address) {
            $0.authorization = .token { "later bert:ingest" }
        }
        _ = await seen.wait(for: 1)
        try await late.send(#"{"id":2,"value":1}"#)
        #expect(await seen.wait(for: 2) == ["1 by anna", "2 by bert"])
        let counts = try running.serverCounters.accessRefused
        #expect(counts == ["missing": 1, "invalid": 1, "forbidden": 1])
        #expect(!lines.values.contains { $0.contains("5ecret") })
        try await running.drain()
    }

    @Test func `takes the token of a browser as a subprotocol`() async throws {
        let seen = Recorder<String>()
        let (running, address) = try await start(seen)
        let token = "weir.bearer." + Base64URL.encode(Array("anna:ingest".utf8))
        let client = try await connect(address) { $0.subprotocols = ["weir.bearer", token] }
        try await client.send(#"{"id":1,"value":1}"#)
        #expect(await seen.wait(for: 1) == ["1 by anna"])
        let raw = try await RawClient.connect(to: address, on: Loop.shared())
        try await raw.send(
            WebSocketHandshake.request(
                host: "h", target: "/in", key: "dGhlIHNhbXBsZSBub25jZQ==",
                subprotocols: ["weir.bearer", token]))
        let answer = String(
            decoding: await raw.receive { $0.suffix(4) == [13, 10, 13, 10] }, as: UTF8.self)
        #expect(answer.contains("Sec-WebSocket-Protocol: weir.bearer\r\n"))
        #expect(!answer.contains(token))
        try await running.drain()
    }

    @Test func `takes a token in the query only when it is told to`() async throws {
        let seen = Recorder<String>()
        let (closed, first) = try await start(seen)
        await #expect(throws: NetworkError.self) {
            _ = try await connect(first, "/in?key=anna:ingest") { _ in }
        }
        try await closed.drain()
        let lines = Recorder<String>()
        let (running, address) = try await start(seen, lines) { $0.queryParameter = "key" }
        let client = try await connect(address, "/in?key=anna%3Aingest") { _ in }
        try await client.send(#"{"id":1,"value":1}"#)
        #expect(await seen.wait(for: 1) == ["1 by anna"])
        await #expect(throws: NetworkError.self) {
            _ = try await connect(address, "/in?key=5ecret") { _ in }
        }
        #expect(!lines.values.contains { $0.contains("5ecret") })
        try await running.drain()
    }

    @Test func `closes with 1008 when the credentials end`() async throws {
        let (seen, closures) = (Recorder<String>(), Recorder<WebSocketClosure>())
        let (running, address) = try await start(seen, lifetime: 1)
        let client = try await connect(address, closures: closures) {
            $0.authorization = .bearer("anna:ingest")
        }
        let closure = await closures.wait(for: 1)[0]
        #expect(closure.code == .policyViolation && closure.reason.contains("expired"))
        #expect(try running.serverCounters.accessRefused == ["expired": 1])
        await client.close()
        try await running.drain()
    }

    @Test(arguments: [Carrier.webSocket, .tcp, .lengths])
    func `is reached by a sender that acknowledges`(carrier: Carrier) async throws {
        let seen = Recorder<Int>()
        let topology = Topology("acks") {
            ServerSettings(port: 0, access: AccessControl(WordsAuthenticator()))
            EventStream("in", from: carrier.source(port: 0)).map(\.id).sink(seen.sink)
        }
        let running = try await topology.start(.quiet())
        let address = try carrier.address(running, port: 0)
        let url = carrier.url(address.port)
        var configuration = carrier.sender
        var wrong = carrier.sender
        wrong.authorization = .bearer("5ecret")
        let refused = wrong
        await #expect(throws: NetworkError.self) {
            _ = try await AcknowledgedSender.connect(
                to: url, producer: "p", configuration: refused)
        }
        configuration.authorization = .token { "later anna:ingest" }
        let sender = try await AcknowledgedSender.connect(
            to: url, producer: "p", configuration: configuration)
        for id in 0..<100 {
            try await sender.send(Array(Reading(id: id, value: 1).json.utf8))
        }
        try await sender.waitUntilAcknowledged()
        #expect(await seen.wait(for: 100) == Array(0..<100))
        await sender.close()
        try await running.drain()
    }
}
