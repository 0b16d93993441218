import Foundation
import Testing
import WeirTestSupport

@testable import WeirNetwork

/// Connects to a server of the openssl command.
@Suite(.timeLimit(.minutes(5))) struct `A TLS client` {
    /// `openssl s_server` on a port of its own, answering HTTP.
    private func withServer(
        _ arguments: [String], _ body: (Int, RunningOpenSSL) async throws -> Void
    ) async throws {
        // Its input stays open: at its end it would stop.
        let running = try RunningOpenSSL(
            ["s_server", "-accept", "127.0.0.1:0"] + arguments, input: .open(""))
        do {
            try await body(try await port(of: running), running)
        } catch {
            await running.process.stop()
            throw error
        }
        await running.process.stop()
    }

    /// The port it has printed.
    private func port(of running: RunningOpenSSL) async throws -> Int {
        let lines = await running.lines.wait {
            $0.contains { $0?.hasPrefix("ACCEPT ") ?? true }
        }
        let line = lines.compactMap { $0 }.first { $0.hasPrefix("ACCEPT ") }
        guard let port = line?.split(separator: ":").last.flatMap({ Int($0) }) else {
            throw OpenSSL.Failure(description: "s_server does not listen: \(running.text)")
        }
        return port
    }

    /// Connects and closes; returns what was agreed on.
    private func connect(
        to port: Int, _ context: TLSClientContext, host: String = "127.0.0.1"
    ) async throws -> TLSInfo {
        let loop = try Loop.shared()
        return try await withCheckedThrowingContinuation { continuation in
            loop.execute {
                TCPConnection.connect(to: host, port: port, on: loop, tls: context) { result in
                    let info = result.flatMap { connection -> Result<TLSInfo, NetworkError> in
                        connection.handler = Discard()
                        connection.resumeReading()
                        connection.closeGracefully()
                        guard let info = connection.tlsInfo else {
                            return .failure(NetworkError(.system, "there is no TLS"))
                        }
                        return .success(info)
                    }
                    continuation.resume(with: info.mapError { $0 })
                }
            }
        }
    }

    private func show(_ name: String, _ certificates: Certificates) -> [String] {
        ["-cert", certificates.chain(name), "-key", certificates.key(name)]
    }

    @Test(arguments: ["-tls1_2", "-tls1_3"])
    func `trusts a server by its authority and its name`(version: String) async throws {
        let certificates = try await Certificates.shared
        try await withServer([version, "-alpn", "http/1.1"] + show("server", certificates)) {
            port, _ in
            var configuration = certificates.client()
            configuration.applicationProtocols = ["h2", "http/1.1"]
            for host in ["127.0.0.1", "localhost"] {
                let info = try await connect(
                    to: port, TLSClientContext(configuration), host: host)
                #expect(info.version == (version == "-tls1_2" ? .v1_2 : .v1_3))
                #expect(info.applicationProtocol == "http/1.1")
                #expect(info.peer?.names == ["localhost"])
                #expect(info.peer?.otherNames == ["127.0.0.1"])
                #expect(info.serverName == (host == "localhost" ? "localhost" : nil))
            }
        }
    }

    @Test(arguments: [
        ("expired", "127.0.0.1", "expired"), ("self-signed", "localhost", "self"),
        ("elsewhere", "localhost", "name that the certificate has"),
        ("elsewhere", "127.0.0.1", "name that the certificate has"),
    ])
    func `refuses a certificate that is no good`(
        name: String, host: String, text: String
    ) async throws {
        let certificates = try await Certificates.shared
        try await withServer(show(name, certificates)) { port, _ in
            let context = try TLSClientContext(certificates.client())
            let error = await #expect(throws: NetworkError.self) {
                _ = try await connect(to: port, context, host: host)
            }
            #expect(error?.code == .certificateRefused)
            #expect(error?.message.contains(text) == true, "\(error?.message ?? "")")
            #expect(error?.message.contains("\(host):\(port)") == true)
        }
    }

    @Test func `refuses an unknown authority, unless told not to look`() async throws {
        let certificates = try await Certificates.shared
        try await withServer(show("server", certificates)) { port, _ in
            // The system's authorities know nothing of ours.
            let system = await #expect(throws: NetworkError.self) {
                _ = try await connect(to: port, TLSClientContext())
            }
            #expect(system?.code == .certificateRefused)
            var configuration = TLSClientConfiguration()
            configuration.authorities = .file(certificates.chain("other-ca"))
            await #expect(throws: NetworkError.self) {
                _ = try await connect(to: port, TLSClientContext(configuration))
            }
            configuration.verification = .insecurelyOff
            _ = try await connect(to: port, TLSClientContext(configuration))
        }
        try await withServer(show("elsewhere", certificates)) { port, _ in
            var configuration = certificates.client()
            configuration.verification = .withoutName
            _ = try await connect(to: port, TLSClientContext(configuration))
            configuration.verification = .full
            configuration.serverName = "elsewhere.test"
            _ = try await connect(to: port, TLSClientContext(configuration))
        }
    }

    @Test(arguments: ["-tls1_2", "-tls1_3"])
    func `shows its certificate when asked, and tells when it should have`(
        version: String
    ) async throws {
        let certificates = try await Certificates.shared
        let arguments =
            [version, "-Verify", "1", "-verify_return_error", "-CAfile", certificates.chain("ca")]
            + show("server", certificates)
        try await withServer(arguments) { port, _ in
            _ = try await connect(to: port, TLSClientContext(certificates.client("client")))
            let url = "wss://127.0.0.1:\(port)/"
            var configuration = WebSocketClientConfiguration()
            configuration.tls = try TLSClientContext(certificates.client())
            let refused = configuration
            let error = await #expect(throws: NetworkError.self) {
                _ = try await WebSocketClient.connect(to: url, configuration: refused)
            }
            #expect(
                error?.code == (version == "-tls1_3" ? .certificateRefused : .handshakeFailed),
                "\(String(describing: error))")
        }
    }

    @Test func `says so when the server speaks no TLS`() async throws {
        let certificates = try await Certificates.shared
        let server = try await TestServer()
        let error = await #expect(throws: NetworkError.self) {
            _ = try await connect(
                to: server.address.port, TLSClientContext(certificates.client()))
        }
        #expect(error?.code == .handshakeFailed)
        #expect(error?.message.contains("does not answer with TLS") == true)
        await server.stop()
    }

    @Test(arguments: ["-tls1_2", "-tls1_3"])
    func `resumes its sessions and knows the server again`(version: String) async throws {
        let certificates = try await Certificates.shared
        try await withServer([version, "-www"] + show("server", certificates)) { port, _ in
            let context = try TLSClientContext(certificates.client())
            var infos: [TLSInfo] = []
            for _ in 0..<3 { infos.append(try await ask(port, context)) }
            #expect(infos.map(\.isResumed) == [false, true, true])
            #expect(infos.allSatisfy { $0.peer == infos[0].peer && $0.peer != nil })
            #expect(context.sessionCount == 1)
            // Another context knows nothing of it.
            let other = try TLSClientContext(certificates.client())
            #expect(try await ask(port, other).isResumed == false)
            var none = certificates.client()
            none.sessionsMax = 0
            let forgetful = try TLSClientContext(none)
            for _ in 0..<2 { #expect(try await ask(port, forgetful).isResumed == false) }
        }
    }

    /// Sends a request and reads to the end.
    private func ask(_ port: Int, _ context: TLSClientContext) async throws -> TLSInfo {
        let loop = try Loop.shared()
        return try await withCheckedThrowingContinuation { continuation in
            loop.execute {
                TCPConnection.connect(to: "127.0.0.1", port: port, on: loop, tls: context) {
                    result in
                    switch result {
                    case .failure(let error): continuation.resume(throwing: error)
                    case .success(let connection):
                        connection.handler = Question {
                            continuation.resume(with: $0.mapError { $0 })
                        }
                        connection.resumeReading()
                        connection.write("GET / HTTP/1.0\r\n\r\n")
                    }
                }
            }
        }
    }

    private final class Question: TCPConnectionHandler {
        private let done: (Result<TLSInfo, NetworkError>) -> Void

        init(_ done: @escaping (Result<TLSInfo, NetworkError>) -> Void) { self.done = done }

        func connection(
            _ connection: TCPConnection, received bytes: UnsafeMutableRawBufferPointer
        ) -> Int { bytes.count }

        func connectionClosed(_ connection: TCPConnection, error: NetworkError?) {
            if let info = connection.tlsInfo {
                done(.success(info))
            } else {
                done(.failure(error ?? NetworkError(.system, "there is no TLS")))
            }
        }
    }
}
