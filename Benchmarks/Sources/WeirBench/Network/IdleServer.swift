import ArgumentParser
import CLoad
import Foundation
import Weir

/// A server whose memory is measured while its connections are silent; started by `IdleKind`.
struct IdleServer: AsyncParsableCommand {
    static let name = "idle-server"
    static let configuration = CommandConfiguration(commandName: name, shouldDisplay: false)
    @Option var kind: IdleKind
    @Option var connections: Int

    func run() async throws {
        let report = try await measure()
        try FileHandle.standardOutput.write(contentsOf: JSONEncoder().encode(report))
    }

    @concurrent
    private func measure() async throws -> IdleReport {
        let limit = cload_descriptors(true)
        guard limit >= UInt64(connections) + 32 else {
            throw MeasurementError(
                description: "\(connections) connections need more than \(limit) descriptors")
        }
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("weir-bench-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        let certificate = try kind == .tls ? SelfSigned(in: folder) : nil
        let running = try await topology(certificate).start()
        guard let port = running.addresses.values.first?.port else {
            throw MeasurementError(description: "the topology listens nowhere")
        }
        let generator = try LoadGenerator(
            GenerateIdle.name,
            ["--kind", kind.rawValue, "--port", "\(port)", "--connections", "\(connections)"]
                + (certificate.map { ["--certificate", $0.chain] } ?? []))
        do {
            let report = try await rounds(generator)
            try generator.end()
            try await running.drain()
            return report
        } catch {
            generator.kill()
            throw error
        }
    }

    private func topology(_ certificate: SelfSigned?) -> Topology {
        var options = WebSocketOptions()
        options.connection.pingInterval = .seconds(600)
        if kind == .deflate { options.connection.compression = WebSocketCompression() }
        let tls = certificate.map {
            TLSServerConfiguration(.files(chain: $0.chain, key: $0.key))
        }
        let source = Source<String>.webSocket(
            GenerateWebSocket.path, port: 0, tls: tls, options: options)
        let room = connections + 16
        return Topology("idle") {
            ServerSettings(port: 0) { server in
                server.listener.maximumConnections = room
                server.listener.maximumConnectionsPerAddress = room
            }
            EventStream("messages", from: source).sink(.forEachBatch { _ in })
        }
    }

    /// How long nothing happens before memory is looked at.
    private static let quiet = Duration.milliseconds(500)

    private func rounds(_ generator: LoadGenerator) async throws -> IdleReport {
        guard try await generator.ask("r") == "ready" else {
            throw MeasurementError(description: "the generator of connections is not ready")
        }
        // For what the start of topology and process still gives back or takes.
        try await Task.sleep(for: Self.quiet)
        let sockets = try Self.sockets()
        let before = try Self.memory()
        let watch = Stopwatch()
        try await open(generator, beside: sockets)
        let opened = watch.sample(events: connections, checksum: 0)
        let first = try await Self.idleMemory()
        try await close(generator, beside: sockets)
        try await open(generator, beside: sockets)
        let second = try await Self.idleMemory()
        try await close(generator, beside: sockets)
        let closed = try await Self.idleMemory()
        return IdleReport(
            connections: connections, wallNanoseconds: opened.wallNanoseconds, cpu: opened.cpu,
            memory: ConnectionMemory(
                first: first.perConnection(connections, since: before),
                second: second.perConnection(connections, since: before),
                closed: closed.perConnection(connections, since: before)))
    }

    private func open(_ generator: LoadGenerator, beside sockets: Int) async throws {
        let answer = try await generator.ask("o")
        let here = try Self.sockets() - sockets
        guard answer == "open", here == connections else {
            throw MeasurementError(
                description: "\(here) of \(connections) connections are open: \(answer)")
        }
    }

    private func close(_ generator: LoadGenerator, beside sockets: Int) async throws {
        guard try await generator.ask("c") == "closed" else {
            throw MeasurementError(description: "the connections were not closed")
        }
        let deadline = ContinuousClock.now + .seconds(30)
        while try Self.sockets() > sockets {
            guard ContinuousClock.now < deadline else {
                throw MeasurementError(description: "connections stay open after their end")
            }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    private static func idleMemory() async throws -> ProcessMemory {
        try await Task.sleep(for: quiet)
        return try memory()
    }

    private static func memory() throws -> ProcessMemory {
        guard let memory = ProcessMemory.current() else {
            throw MeasurementError(description: "this system does not tell a process's memory")
        }
        return memory
    }

    private static func sockets() throws -> Int {
        let count = Int(cload_open_sockets())
        guard count >= 0 else {
            throw MeasurementError(description: "this system does not tell a process's sockets")
        }
        return count
    }
}

/// A certificate for 127.0.0.1 that is its own authority.
private struct SelfSigned {
    let chain: String
    let key: String

    init(in folder: URL) throws {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        chain = folder.appendingPathComponent("server.pem").path
        key = folder.appendingPathComponent("server.key").path
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [
            "openssl", "req", "-x509", "-days", "3", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", chain, "-subj",
            "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
        ]
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw MeasurementError(description: "openssl made no certificate")
        }
    }
}
