import Foundation
import WeirTestSupport

@testable import WeirNetwork

/// Certificates that the openssl command makes for these tests, in a folder of their own.
struct Certificates: Sendable {
    let folder: Folder

    private static let task = Task { try await Certificates() }

    /// Made once; the folder stays until the process ends.
    static var shared: Certificates {
        get async throws { try await task.value }
    }

    private init() async throws {
        folder = try Folder()
        try await authority("ca")
        try await authority("other-ca")
        try await issue("server", "/O=Shop/CN=localhost", "DNS:localhost,IP:127.0.0.1")
        try await issue("alt", "/CN=alt.test", "DNS:alt.test,DNS:*.alt.test")
        try await issue("elsewhere", "/CN=elsewhere.test", "DNS:elsewhere.test")
        try await issue(
            "client", "/O=Shop/CN=till-7", "URI:urn:till:7,email:till@shop.test",
            usage: "clientAuth")
        try await issue("other-client", "/O=Shop/CN=till-8", "URI:urn:till:8", usage: "clientAuth")
        try await issue("stranger", "/CN=stranger", "URI:urn:x", by: "other-ca")
        try await issueExpired("expired", "/CN=localhost", "DNS:localhost,IP:127.0.0.1")
        try await issueExpired("expired-client", "/CN=late", "URI:urn:late")
        try await OpenSSL.run(
            ["req", "-x509", "-days", "3"] + Self.newKey
                + [
                    "-keyout", key("self-signed"), "-out", chain("self-signed"), "-subj",
                    "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                ])
    }

    private static let newKey = [
        "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
    ]

    func chain(_ name: String) -> String { "\(folder.path)/\(name).pem" }
    func key(_ name: String) -> String { "\(folder.path)/\(name).key" }

    func certificate(_ name: String) -> TLSCertificate {
        .files(chain: chain(name), key: key(name))
    }

    /// A server's configuration; `clients` names the authority whose certificates it wants.
    func server(_ names: String..., clients: String? = nil) -> TLSServerConfiguration {
        var configuration = TLSServerConfiguration()
        configuration.certificates =
            names.isEmpty ? [certificate("server")] : names.map(certificate)
        configuration.handshakeTimeout = .seconds(60)
        if let clients { configuration.clients = .required(.file(chain(clients))) }
        return configuration
    }

    /// A client's configuration that trusts the tests' authority.
    func client(_ name: String? = nil) -> TLSClientConfiguration {
        var configuration = TLSClientConfiguration()
        configuration.authorities = .file(chain("ca"))
        configuration.certificate = name.map(certificate)
        return configuration
    }

    private func authority(_ name: String) async throws {
        try await OpenSSL.run(
            ["req", "-x509", "-days", "3"] + Self.newKey
                + [
                    "-keyout", key(name), "-out", chain(name), "-subj", "/CN=Test \(name)",
                    "-addext", "keyUsage=critical,keyCertSign,cRLSign",
                ])
    }

    private func issue(
        _ name: String, _ subject: String, _ alternatives: String, by issuer: String = "ca",
        usage: String = "serverAuth,clientAuth"
    ) async throws {
        try await OpenSSL.run(
            ["req", "-x509", "-days", "3"] + Self.newKey
                + [
                    "-keyout", key(name), "-out", chain(name), "-subj", subject, "-CA",
                    chain(issuer), "-CAkey", key(issuer), "-addext",
                    "subjectAltName=\(alternatives)", "-addext",
                    "basicConstraints=critical,CA:FALSE", "-addext", "extendedKeyUsage=\(usage)",
                ])
    }

    private func issueExpired(
        _ name: String, _ subject: String, _ alternatives: String
    ) async throws {
        let request = "\(folder.path)/\(name).csr"
        try await OpenSSL.run(
            ["req"] + Self.newKey
                + [
                    "-keyout", key(name), "-out", request, "-subj", subject, "-addext",
                    "subjectAltName=\(alternatives)",
                ])
        try await OpenSSL.run([
            "x509", "-req", "-in", request, "-CA", chain("ca"), "-CAkey", key("ca"),
            "-CAcreateserial", "-days", "-1", "-copy_extensions", "copy", "-out", chain(name),
        ])
    }
}

/// The openssl command as a peer that somebody else has written.
enum OpenSSL {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    struct Outcome {
        let status: Int32
        /// What it wrote on both its outputs.
        let text: String
    }

    /// Runs a command that has to succeed.
    static func run(_ arguments: [String]) async throws {
        let outcome = try await outcome(arguments)
        if outcome.status != 0 {
            throw Failure(
                description: "openssl \(arguments.joined(separator: " ")): \(outcome.text)")
        }
    }

    /// Runs a command to its end, with `input` on its standard input.
    static func outcome(_ arguments: [String], input: String = "") async throws -> Outcome {
        let folder = try Folder()
        try input.write(toFile: folder("in"), atomically: false, encoding: .utf8)
        let running = try RunningOpenSSL(arguments, input: .file(folder("in")))
        return Outcome(status: await running.waitForEnd(), text: running.text)
    }

    /// Connects to a local server, sends `input` and reads until the server closes.
    static func client(
        _ address: SocketAddress, _ arguments: [String] = [], input: String = ""
    ) async throws -> Outcome {
        try await outcome(
            ["s_client", "-connect", "127.0.0.1:\(address.port)", "-ign_eof"] + arguments,
            input: input)
    }
}

/// The openssl command while it runs.
struct RunningOpenSSL {
    let process: ChildProcess
    /// What it writes on both its outputs, and nil at the end.
    let lines = Recorder<String?>()

    init(_ arguments: [String], input: ChildProcess.Input) throws {
        process = try ChildProcess(
            "/usr/bin/env", ["openssl"] + arguments, input: input,
            output: .lines { [lines] in lines.append($0) })
    }

    var text: String { lines.values.compactMap { $0 }.joined(separator: "\n") }

    /// Waits until it has ended and all it wrote is there; returns its status.
    func waitForEnd() async -> Int32 {
        await lines.wait { $0.last == .some(nil) }
        return await process.waitForEnd().status
    }
}
