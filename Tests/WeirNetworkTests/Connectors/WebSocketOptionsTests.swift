import Testing
import WeirCore
import WeirTestSupport

@testable import WeirNetwork

@Suite(.timeLimit(.minutes(5))) struct `The options of a WebSocket path` {
    private static func start(
        _ change: (inout WebSocketOptions) -> Void
    ) async throws -> RunningTopology {
        var options = WebSocketOptions()
        change(&options)
        return try await Topology("options") {
            EventStream("in", from: .webSocket("/in", port: 0, as: Reading.self, options: options))
                .sink(.webSocket("/out", port: 0, options: options))
        }.start(.quiet())
    }

    private static func answer(
        _ running: RunningTopology, _ path: String, origin: String?
    ) async throws -> String {
        let request = WebSocketHandshake.request(
            host: "test", target: path, key: "dGhlIHNhbXBsZSBub25jZQ==", subprotocols: [],
            headers: origin.map { ["Origin": $0] } ?? [:])
        let client = try await RawClient.connect(
            to: try running.web, on: Loop.shared(), sending: Array(request.utf8))
        let bytes = await client.receive { $0.firstRange(of: [13, 10, 13, 10]) != nil }
        try await client.close()
        return String(decoding: bytes.prefix { $0 != 13 }, as: UTF8.self)
    }

    @Test func `let in pages of the allowed origins only`() async throws {
        let running = try await Self.start { $0.allowedOrigins = ["https://shop.example"] }
        for path in ["/in", "/out"] {
            let fine = "HTTP/1.1 101 Switching Protocols"
            #expect(try await Self.answer(running, path, origin: "https://shop.example") == fine)
            #expect(try await Self.answer(running, path, origin: "HTTPS://Shop.Example") == fine)
            // What is no browser says no origin.
            #expect(try await Self.answer(running, path, origin: nil) == fine)
            for origin in ["https://evil.example", "null", "https://shop.example.evil", ""] {
                #expect(
                    try await Self.answer(running, path, origin: origin) == "HTTP/1.1 403 Forbidden"
                )
            }
        }
        #expect(try running.serverCounters.originsRefused == 8)
        try await running.drain()
    }

    @Test func `choose the first subprotocol that both speak`() async throws {
        let running = try await Self.start { $0.subprotocols = ["v2", "v1"] }
        for (offered, expected) in [
            (["v1", "v2"], "v2"), (["v1"], "v1"), (["v3"], nil), ([], nil),
            (["v2", AcknowledgingProtocol.subprotocol], AcknowledgingProtocol.subprotocol),
        ] {
            var configuration = WebSocketClientConfiguration()
            configuration.subprotocols = offered
            #expect(try await Self.chosen(running, configuration) == expected)
        }
        try await running.drain()
    }

    private static func chosen(
        _ running: RunningTopology, _ configuration: WebSocketClientConfiguration
    ) async throws -> String? {
        let url = "ws://\(try running.web)/in"
        let loop = try Loop.shared()
        return try await withCheckedThrowingContinuation { continuation in
            loop.execute {
                WebSocketConnection.connect(
                    to: url, on: loop, configuration: configuration,
                    handler: Echo(Recorder(), Recorder())
                ) { result in
                    continuation.resume(with: result.map(\.subprotocol).mapError { $0 })
                    if case .success(let connection) = result { connection.close() }
                }
            }
        }
    }

    @Test func `refuse a client without a subprotocol when one is needed`() async throws {
        let running = try await Self.start {
            $0.subprotocols = ["v1"]
            $0.requiresSubprotocol = true
        }
        let refused = try await Self.answer(running, "/in", origin: nil)
        #expect(refused == "HTTP/1.1 400 Bad Request")
        var configuration = WebSocketClientConfiguration()
        configuration.subprotocols = ["v1"]
        #expect(try await Self.chosen(running, configuration) == "v1")
        try await running.drain()
    }

    @Test func `carry compressed events in and out`() async throws {
        let running = try await Self.start {
            $0.connection.compression = WebSocketCompression()
            $0.connection.compression?.minimumLength = 1
        }
        var configuration = WebSocketClientConfiguration()
        configuration.connection.compression = WebSocketCompression()
        configuration.connection.compression?.minimumLength = 1
        let texts = Recorder<String>()
        let output = try await WebSocketClient.connect(
            to: "ws://\(try running.web)/out", configuration: configuration
        ) { bytes, _ in
            texts.append(String(decoding: bytes, as: UTF8.self))
            return .proceed
        }
        let input = try await WebSocketClient.connect(
            to: "ws://\(try running.web)/in", configuration: configuration)
        let readings = (0..<200).map { Reading(id: $0, value: Double($0) + 0.5).json }
        try await input.send(readings.map { WebSocketFrame(text: $0) })
        #expect(await texts.wait(for: 200) == readings)
        await input.close()
        await output.close()
        try await running.drain()
    }
}
