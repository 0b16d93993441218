import Foundation
import Testing
import WeirTestSupport

@testable import WeirNetwork

/// Each test talks to a server by the openssl command.
@Suite(.timeLimit(.minutes(5))) struct `A TLS server` {
    static let request = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

    /// A server of its own for one test.
    private func withServer(
        _ configuration: TLSServerConfiguration, _ body: (TestServer) async throws -> Void
    ) async throws {
        let server = try await TestServer { $0.tls = configuration }
        do {
            try await body(server)
        } catch {
            await server.stop()
            throw error
        }
        await server.stop()
    }

    @Test(arguments: ["-tls1_2", "-tls1_3"])
    func `answers over the version the client speaks, and says that it ends`(
        version: String
    ) async throws {
        let certificates = try await Certificates.shared
        try await withServer(certificates.server()) { server in
            let outcome = try await OpenSSL.client(
                server.address,
                [version, "-CAfile", certificates.chain("ca"), "-verify_return_error"],
                input: Self.request)
            #expect(outcome.text.contains("HTTP/1.1 200"))
            #expect(outcome.text.contains("<p>hello</p>"))
            #expect(outcome.text.contains("Verify return code: 0 (ok)"))
            // Without close_notify it would complain.
            #expect(!outcome.text.contains("unexpected eof"))
            #expect(server.server.counters.handshakes == 1)
        }
    }

    @Test func `refuses versions before 1.2 and weak suites, and allows no extras`() async throws {
        let certificates = try await Certificates.shared
        try await withServer(certificates.server()) { server in
            for version in ["-tls1", "-tls1_1"] {
                // Else the client would refuse to offer it at all.
                let outcome = try await OpenSSL.client(
                    server.address, [version, "-cipher", "ALL:@SECLEVEL=0"])
                #expect(outcome.text.contains("SSL alert number 70"), "\(version)")
            }
            let weak = try await OpenSSL.client(
                server.address,
                ["-tls1_2", "-cipher", "AES128-GCM-SHA256:ECDHE-ECDSA-AES128-SHA256"])
            #expect(weak.text.contains("SSL alert number 40"))
            #expect(server.server.counters.handshakeFailures == 3)
            let plain = try await OpenSSL.client(
                server.address, ["-tls1_3"], input: Self.request)
            #expect(plain.text.contains("Compression: NONE"))
            #expect(plain.text.contains("Max Early Data: 0"))
        }
    }

    @Test func `refuses renegotiation`() async throws {
        let certificates = try await Certificates.shared
        try await withServer(certificates.server()) { server in
            // A line R asks for it; that needs the commands which -ign_eof turns off.
            let running = try RunningOpenSSL(
                ["s_client", "-connect", "127.0.0.1:\(server.address.port)", "-tls1_2"],
                input: .open("R\n"))
            _ = await running.waitForEnd()
            #expect(running.text.contains("no renegotiation"))
        }
    }

    @Test func `picks the certificate by the client's name for it`() async throws {
        let certificates = try await Certificates.shared
        var configuration = certificates.server("server", "alt")
        try await withServer(configuration) { server in
            let names = [
                ("alt.test", "alt.test"), ("www.alt.test", "alt.test"),
                ("localhost", "localhost"), ("unknown.test", "localhost"),
            ]
            for (asked, got) in names {
                let outcome = try await OpenSSL.client(
                    server.address, ["-servername", asked], input: Self.request)
                #expect(outcome.text.contains("CN = \(got)"), "\(asked)")
                #expect(outcome.text.contains("HTTP/1.1 200"), "\(asked)")
            }
        }
        configuration.refusesUnknownNames = true
        try await withServer(configuration) { server in
            let outcome = try await OpenSSL.client(server.address, ["-servername", "unknown.test"])
            #expect(outcome.text.contains("SSL alert number 112"))
        }
    }

    @Test func `agrees on an application protocol, or refuses`() async throws {
        let certificates = try await Certificates.shared
        try await withServer(certificates.server()) { server in
            let known = try await OpenSSL.client(
                server.address, ["-alpn", "h2,http/1.1"], input: Self.request)
            #expect(known.text.contains("ALPN protocol: http/1.1"))
            #expect(known.text.contains("HTTP/1.1 200"))
            let none = try await OpenSSL.client(server.address, input: Self.request)
            #expect(none.text.contains("HTTP/1.1 200"))
            let unknown = try await OpenSSL.client(server.address, ["-alpn", "foo"])
            #expect(unknown.text.contains("SSL alert number 120"))
        }
    }

    @Test(arguments: ["-tls1_2", "-tls1_3"])
    func `resumes a session with the client's identity`(version: String) async throws {
        let certificates = try await Certificates.shared
        let identities = Recorder<TLSInfo>()
        try await withServer(certificates.server(clients: "ca")) { server in
            server.server.addWebSocket("/who") { request in
                if let tls = request.tls { identities.append(tls) }
                return .refuse(403, "only a question")
            }
            let folder = try Folder()
            let question =
                "GET /who HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, close\r\n"
                + "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            let session = "\(folder.path)/session"
            let first = try await OpenSSL.client(
                server.address,
                [
                    version, "-sess_out", session, "-cert", certificates.chain("client"), "-key",
                    certificates.key("client"),
                ], input: question)
            #expect(first.text.contains("New, TLS"))
            // No certificate this time: who it is stands in the session.
            let second = try await OpenSSL.client(
                server.address, [version, "-sess_in", session], input: question)
            #expect(second.text.contains("Reused, TLS"))
            let seen = identities.values
            #expect(seen.map(\.isResumed) == [false, true])
            #expect(seen.map { $0.peer?.commonName } == ["till-7", "till-7"])
            #expect(seen.first?.peer == seen.last?.peer)
            #expect(seen.first?.peer?.otherNames == ["urn:till:7", "till@shop.test"])
            #expect(seen.first?.peer?.subject == "CN=till-7,O=Shop")
            #expect(seen.first?.peer?.fingerprint.utf8.count == 64)
            #expect(server.server.counters.handshakesResumed == 1)
            // After a reload everybody has to show a certificate again.
            try server.server.reloadCertificates()
            let third = try await OpenSSL.client(
                server.address, [version, "-sess_in", session], input: question)
            #expect(!third.text.contains("Reused, TLS"))
            #expect(identities.values.count == 2)
        }
    }

    @Test func `fails the handshake of a client without a certificate that it trusts`()
        async throws
    {
        let certificates = try await Certificates.shared
        func show(_ name: String) -> [String] {
            ["-cert", certificates.chain(name), "-key", certificates.key(name)]
        }
        try await withServer(certificates.server(clients: "ca")) { server in
            let cases: [(arguments: [String], alert: Int)] = [
                (["-tls1_3"], 116), (["-tls1_2"], 40),
                (["-tls1_3"] + show("stranger"), 48), (["-tls1_2"] + show("stranger"), 48),
                (["-tls1_3"] + show("expired-client"), 45),
                (["-tls1_3"] + show("self-signed"), 48),
            ]
            for (arguments, alert) in cases {
                let outcome = try await OpenSSL.client(
                    server.address, arguments, input: Self.request)
                #expect(outcome.text.contains("SSL alert number \(alert)"), "\(arguments)")
                #expect(!outcome.text.contains("HTTP/1.1"))
            }
            #expect(server.server.counters.handshakeFailures == cases.count)
            #expect(server.server.counters.requests == 0)
            let known = try await OpenSSL.client(
                server.address, show("client"), input: Self.request)
            #expect(known.text.contains("HTTP/1.1 200"))
            #expect(known.text.contains("CN = Test ca"))
        }
        var optional = certificates.server()
        optional.clients = .optional(.file(certificates.chain("ca")))
        try await withServer(optional) { server in
            let without = try await OpenSSL.client(server.address, input: Self.request)
            #expect(without.text.contains("HTTP/1.1 200"))
            let wrong = try await OpenSSL.client(
                server.address, show("stranger"), input: Self.request)
            #expect(wrong.text.contains("SSL alert number 48"))
        }
    }

    @Test func `shows a new certificate after a reload, and keeps the old one while files are bad`()
        async throws
    {
        let certificates = try await Certificates.shared
        let folder = try Folder()
        let (chain, key) = ("\(folder.path)/chain", "\(folder.path)/key")
        func install(_ name: String) throws {
            for (from, to) in [(certificates.chain(name), chain), (certificates.key(name), key)] {
                try? FileManager.default.removeItem(atPath: to)
                try FileManager.default.copyItem(atPath: from, toPath: to)
            }
        }
        try install("server")
        var configuration = TLSServerConfiguration(.files(chain: chain, key: key))
        func subject(_ server: TestServer) async throws -> String {
            let outcome = try await OpenSSL.client(server.address, input: Self.request)
            let line = outcome.text.split(separator: "\n").first { $0.hasPrefix("subject=") }
            return line.map { String($0) } ?? outcome.text
        }
        try await withServer(configuration) { server in
            #expect(try await subject(server).contains("localhost"))
            try install("alt")
            // Nobody asked for it yet.
            #expect(try await subject(server).contains("localhost"))
            try server.server.reloadCertificates()
            #expect(try await subject(server).contains("alt.test"))
            try "nonsense".write(toFile: key, atomically: false, encoding: .utf8)
            let error = #expect(throws: NetworkError.self) {
                try server.server.reloadCertificates()
            }
            #expect(error?.message.contains(key) == true)
            #expect(try await subject(server).contains("alt.test"))
        }
        try install("server")
        configuration.reloadInterval = .zero
        try await withServer(configuration) { server in
            #expect(try await subject(server).contains("localhost"))
            try install("elsewhere")
            #expect(try await subject(server).contains("elsewhere.test"))
            try "nonsense".write(toFile: chain, atomically: false, encoding: .utf8)
            #expect(try await subject(server).contains("elsewhere.test"))
        }
    }

    @Test func `gives up on a client that does not finish the handshake`() async throws {
        let certificates = try await Certificates.shared
        var configuration = certificates.server()
        configuration.handshakeTimeout = .milliseconds(50)
        try await withServer(configuration) { server in
            let silent = try await RawClient.connect(to: server.address, on: server.loop)
            #expect(await silent.receive().isEmpty)
            let plain = try await RawClient.connect(to: server.address, on: server.loop)
            try await plain.send(Self.request)
            // An alert at most.
            #expect(await plain.receive().count <= 7)
            #expect(server.server.counters.handshakeFailures == 2)
            #expect(server.server.counters.requests == 0)
        }
    }

    @Test func `says what is wrong with its files`() async throws {
        let certificates = try await Certificates.shared
        let cases: [(TLSServerConfiguration, String)] = [
            (TLSServerConfiguration(), "needs a certificate"),
            (
                TLSServerConfiguration(.files(chain: "/nowhere.pem", key: "/nowhere.key")),
                "/nowhere.pem"
            ),
            (
                TLSServerConfiguration(
                    .files(chain: certificates.key("server"), key: certificates.key("server"))),
                "there is no certificate in"
            ),
            (
                TLSServerConfiguration(
                    .files(chain: certificates.chain("server"), key: certificates.key("alt"))),
                "is not that of"
            ),
            (
                TLSServerConfiguration(
                    .files(chain: certificates.chain("server"), key: certificates.chain("server"))),
                "private key"
            ),
        ]
        for (configuration, text) in cases {
            let error = #expect(throws: NetworkError.self) {
                _ = try TLSServerContext(configuration)
            }
            #expect(error?.code == .invalidArgument)
            #expect(error?.message.contains(text) == true, "\(error?.message ?? "")")
        }
    }
}
