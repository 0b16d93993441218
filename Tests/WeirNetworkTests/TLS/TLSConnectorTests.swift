import Testing
import Weir
import WeirCore
import WeirTestSupport

@testable import WeirNetwork

@Suite(.timeLimit(.minutes(5))) struct `Connectors over TLS` {
    struct Seen: Codable, Sendable, Equatable {
        var id: Int
        var device: String
    }

    /// Takes a reading and who has sent it.
    private static var decoder: EventDecoder<Seen> {
        let json = JSONEventDecoder()
        return EventDecoder(withConnection: { bytes, connection in
            let reading = try json.decode(Reading.self, from: bytes)
            return Seen(id: reading.id, device: connection.peer?.commonName ?? "nobody")
        })
    }

    @Test func `TCP sources know who sends, and sinks show who they are`() async throws {
        let certificates = try await Certificates.shared
        let seen = Recorder<Seen>()
        let source = Topology("source") {
            EventStream(
                "in",
                from: .tcp(
                    port: 0, tls: certificates.server(clients: "ca"), decoder: Self.decoder)
            ).sink(seen.sink)
        }
        let running = try await source.start(.quiet())
        let letters = running.recordDeadLetters()
        let port = try #require(running.addresses["tls://127.0.0.1:0"]).port
        let sink = Topology("sink") {
            EventStream("out", from: .collection((1...3).map { Reading(id: $0, value: 1) }))
                .sink(.tcp(host: "localhost", port: port, tls: certificates.client("client")))
        }
        try await sink.start(.quiet()).waitUntilFinished()
        #expect(
            await seen.wait(for: 3) == (1...3).map { Seen(id: $0, device: "till-7") })
        // Dead letters say who it was as well.
        let text = Topology("text") {
            EventStream("out", from: .collection(["nonsense"]))
                .sink(
                    .tcp(
                        host: "localhost", port: port, tls: certificates.client("client"),
                        encoder: .text))
        }
        try await text.start(.quiet()).waitUntilFinished()
        #expect(await letters.wait(for: 1)[0].origin?.hasSuffix(" CN=till-7,O=Shop") == true)
        // A sink without a certificate does not get through.
        let anonymous = Topology("anonymous") {
            EventStream("out", from: .collection([Reading(id: 9, value: 1)]))
                .sink(.tcp(host: "elsewhere.test", port: port, tls: certificates.client()))
        }
        await #expect(throws: (any Error).self) {
            try await anonymous.start(.quiet()).waitUntilFinished()
        }
        try await running.drain()
        #expect(seen.values.count == 3)
    }

    @Test func `WebSocket sources, sinks and pages share one TLS server`() async throws {
        let certificates = try await Certificates.shared
        let tls = certificates.server(clients: "ca")
        let topology = Topology("web") {
            WebPage("/", port: 0, tls: tls, .html("<p>safe</p>"))
            EventStream(
                "in", from: .webSocket("/in", port: 0, tls: tls, decoder: Self.decoder)
            ).sink(.webSocket("/out", port: 0, tls: tls))
        }
        let running = try await topology.start(.quiet())
        let address = try #require(running.addresses["https://127.0.0.1:0"])
        func client(
            _ path: String, _ name: String,
            onMessage: @escaping WebSocketClient.OnMessage = { _, _ in .proceed }
        ) async throws -> WebSocketClient {
            var configuration = WebSocketClientConfiguration()
            configuration.tls = try TLSClientContext(certificates.client(name))
            return try await WebSocketClient.connect(
                to: "wss://localhost:\(address.port)\(path)", configuration: configuration,
                onMessage: onMessage)
        }
        let texts = Recorder<String>()
        let listener = try await client("/out", "other-client") { bytes, _ in
            texts.append(String(decoding: bytes, as: UTF8.self))
            return .proceed
        }
        let senders = try await (client("/in", "client"), client("/in", "other-client"))
        try await senders.0.send(Reading(id: 1, value: 1).json)
        #expect(await texts.wait(for: 1) == [#"{"id":1,"device":"till-7"}"#])
        try await senders.1.send(Reading(id: 2, value: 1).json)
        #expect(await texts.wait(for: 2)[1] == #"{"id":2,"device":"till-8"}"#)
        try running.reloadCertificates()
        let page = try await OpenSSL.client(
            address,
            ["-cert", certificates.chain("client"), "-key", certificates.key("client")],
            input: `A TLS server`.request)
        #expect(page.text.contains("<p>safe</p>"))
        for client in [listener, senders.0, senders.1] { await client.close() }
        try await running.drain()
    }

    @Test func `a connection reads back as it was recorded`() throws {
        let plain = ConnectionInfo(remoteAddress: "127.0.0.1:1")
        #expect(plain.recorded == "127.0.0.1:1")
        #expect(ConnectionInfo(recorded: plain.recorded) == plain)
        let peer = PeerIdentity(
            subject: "CN=tab\there", commonName: "\"quoted\"", names: ["a.test"],
            otherNames: ["urn:ä"], issuer: "CN=ca", serialNumber: "01", fingerprint: "ff")
        let known = ConnectionInfo(remoteAddress: "[::1]:1", peer: peer)
        #expect(ConnectionInfo(recorded: known.recorded) == known)
        // At its largest it fits into a record.
        let long = String(repeating: "\u{1}", count: 255)
        let largest = PeerIdentity(
            subject: long + long, commonName: long, names: Array(repeating: long, count: 16),
            otherNames: Array(repeating: long, count: 16), issuer: long + long,
            serialNumber: String(repeating: "f", count: 128),
            fingerprint: String(repeating: "f", count: 64))
        let recorded = ConnectionInfo(remoteAddress: "[::1]:1", peer: largest).recorded
        #expect(recorded.utf8.count < 60_000)
    }

    @Test func `different TLS on one port is refused`() async throws {
        let certificates = try await Certificates.shared
        // A port that is free now; the second use fails before anything else could.
        let probe = try await TestServer()
        let port = probe.address.port
        await probe.stop()
        let topology = Topology("mixed") {
            WebPage("/", port: port, tls: certificates.server(), .html("a"))
            EventStream("in", from: .webSocket("/b", port: port, as: Reading.self)).sink(.discard)
        }
        let error = await #expect(throws: NetworkError.self) {
            _ = try await topology.start(.quiet())
        }
        #expect(error?.message.contains("different TLS") == true)
    }

    @Test(arguments: ["tls", "wss"])
    func `acknowledged messages keep their sender in the journal`(scheme: String) async throws {
        let certificates = try await Certificates.shared
        let folder = try Folder()
        let store = StateStore.directory("\(folder.path)/store", checkpointEvery: .seconds(3_600))
        let tls = certificates.server(clients: "ca")
        func topology(_ seen: Recorder<Seen>) -> Topology {
            Topology("journaled") {
                EventStream(
                    "in",
                    from: scheme == "tls"
                        ? .tcp(port: 0, tls: tls, decoder: Self.decoder)
                        : .webSocket("/in", port: 0, tls: tls, decoder: Self.decoder)
                ).sink(seen.sink)
            }
        }
        let seen = Recorder<Seen>()
        let running = try await topology(seen).start(.stored(store))
        let port = try #require(running.addresses.values.first).port
        var configuration = AcknowledgedSender.Configuration()
        configuration.tls = try TLSClientContext(certificates.client("client"))
        // A slow machine is not what is tested.
        configuration.connectTimeout = .seconds(240)
        let path = scheme == "wss" ? "/in" : ""
        let sender = try await AcknowledgedSender.connect(
            to: "\(scheme)://localhost:\(port)\(path)", producer: "till",
            configuration: configuration)
        for id in 1...5 { try await sender.send(Array(Reading(id: id, value: 1).json.utf8)) }
        try await sender.waitUntilAcknowledged()
        let wanted = (1...5).map { Seen(id: $0, device: "till-7") }
        #expect(await seen.wait(for: 5) == wanted)
        await sender.close()
        // No checkpoint was taken: all of it comes again, out of the journal.
        running.cancel()
        try? await running.waitUntilFinished()
        let again = Recorder<Seen>()
        let second = try await topology(again).start(.stored(store))
        #expect(await again.wait(for: 5) == wanted)
        try await second.drain()
    }
}
