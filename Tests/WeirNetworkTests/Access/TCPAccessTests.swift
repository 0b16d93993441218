import Testing
import WeirCore
import WeirTestSupport

@testable import WeirNetwork

@Suite(.timeLimit(.minutes(5))) struct `A TCP source with access control` {
    private static var decoder: EventDecoder<String> {
        EventDecoder(withConnection: { bytes, connection in
            "\(String(decoding: bytes, as: UTF8.self)) by \(connection.identity?.name ?? "nobody")"
        })
    }

    private func start(
        _ seen: Recorder<String>, tls: TLSServerConfiguration? = nil, _ access: AccessControl,
        headTimeout: Duration = .seconds(120)
    ) async throws -> RunningTopology {
        let topology = Topology("lines") {
            ServerSettings(port: 0, access: access) { $0.headTimeout = headTimeout }
            EventStream("in", from: .tcp(port: 0, tls: tls, decoder: Self.decoder)).sink(seen.sink)
        }
        return try await topology.start(.quiet())
    }

    private func counts(_ running: RunningTopology) throws -> [String: Int] {
        try #require(running.environment.resources.all(of: StreamService.self).first)
            .counters.accessRefused
    }

    @Test func `takes a token in the first frame`() async throws {
        let seen = Recorder<String>()
        let running = try await start(seen, AccessControl(WordsAuthenticator()))
        for (number, token) in ["anna:ingest", "later anna:ingest"].enumerated() {
            let client = try await RawClient.connect(to: try running.tcp, on: Loop.shared())
            // In pieces, with events behind it in the same read.
            try await client.send("WEIR-")
            try await client.send("AUTH/1 \(token)\na\n")
            try await client.send("b\n")
            _ = await seen.wait(for: 2 * number + 2)
            try await client.close()
        }
        #expect(seen.values == ["a by anna", "b by anna", "a by anna", "b by anna"])
        try await running.drain()
    }

    @Test(arguments: [
        ("WEIR-AUTH/1 5ecret\na\n", "invalid"), ("a\n", "missing"),
        ("WEIR-AUTH/1 anna:read\na\n", "forbidden"), ("WEIR-AUTH/2 anna:ingest\na\n", "missing"),
        ("WEIR-AUTH/1 later nobody\na\n", "invalid"),
    ])
    func `closes a connection that shows something else`(text: String, reason: String) async throws
    {
        let seen = Recorder<String>()
        let running = try await start(seen, AccessControl(WordsAuthenticator()))
        let client = try await RawClient.connect(to: try running.tcp, on: Loop.shared())
        try await client.send(text)
        #expect(await client.receiveText() == "ERR access refused: \(reason)\n")
        #expect(try counts(running) == [reason: 1])
        try await running.drain()
        #expect(seen.values.isEmpty)
    }

    @Test func `closes a connection that shows nothing in time`() async throws {
        let seen = Recorder<String>()
        let running = try await start(
            seen, AccessControl(WordsAuthenticator()), headTimeout: .milliseconds(50))
        let client = try await RawClient.connect(to: try running.tcp, on: Loop.shared())
        #expect(await client.receiveText() == "ERR access refused: missing\n")
        try await running.drain()
    }

    @Test func `knows clients by their certificates`() async throws {
        let certificates = try await Certificates.shared
        let seen = Recorder<String>()
        var access = AccessControl(
            CertificateIdentities { peer in
                peer.commonName == "till-7"
                    ? Identity("seven", roles: .ingest, method: "certificate") : nil
            })
        access.takesFirstFrame = false
        let running = try await start(seen, tls: certificates.server(clients: "ca"), access)
        let port = try #require(running.addresses["tls://127.0.0.1:0"]).port
        for name in ["client", "other-client"] {
            let sink = Topology("sink") {
                EventStream("out", from: .collection([name]))
                    .sink(
                        .tcp(
                            host: "localhost", port: port, tls: certificates.client(name),
                            encoder: .text))
            }
            try? await sink.start(.quiet()).waitUntilFinished()
        }
        #expect(await seen.wait(for: 1) == ["client by seven"])
        while try counts(running)["forbidden"] == nil { await Task.yield() }
        try await running.drain()
        #expect(seen.values.count == 1)
    }
}
