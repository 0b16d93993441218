import ArgumentParser
import CLoad
import Foundation

extension Benchmark {
    static var idleConnections: Benchmark {
        let descriptors = Int(clamping: cload_descriptors(false))
        return Benchmark(
            id: "N3", group: .network, title: "memory of an idle WebSocket connection",
            workload: """
                A .webSocket source and a sink in a topology of a new process, its limits of \
                connections raised by ServerSettings, and pings put off by ten minutes. Another \
                process opens the connections over loopback on path /events, one after the other, \
                each with its handshake, and stays silent. The figure is the server's own memory \
                (RssAnon of /proc/self/status; the kernel's is not in it) half a second after the last \
                handshake, less that before the first connection, by the number of connections. \
                Then all are closed and as many opened again, the second round. An event is a \
                connection. Each run has a process of its own.
                """,
            metric: .memory, events: 10_000,
            // Standard streams, the listener, the loop's own.
            eventsMax: max(1, descriptors - 64), limits: [Limit(atMost: 8_192)],
            sides: [
                Side(
                    name: "Weir, .webSocket source and sink", isWeir: true,
                    run: { try await IdleKind.plain.measure($0) }),
                Side(
                    name: "Weir, permessage-deflate",
                    run: { try await IdleKind.deflate.measure($0) }),
                Side(name: "Weir, TLS 1.3", run: { try await IdleKind.tls.measure($0) }),
            ],
            expectedChecksum: { UInt64($0) })
    }
}

/// What the idle connections have agreed on.
enum IdleKind: String, CaseIterable, ExpressibleByArgument, Sendable {
    case plain
    case deflate
    case tls

    /// Measures so many connections in a process that has not had any.
    @concurrent
    func measure(_ connections: Int) async throws -> Sample {
        guard let executable = Bundle.main.executableURL else {
            throw MeasurementError(description: "the path of this executable is unknown")
        }
        let process = Process()
        process.executableURL = executable
        process.arguments = [
            IdleServer.name, "--kind", rawValue, "--connections", "\(connections)",
        ]
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw MeasurementError(description: "the server of idle connections failed")
        }
        let report = try JSONDecoder().decode(IdleReport.self, from: data)
        var sample = Sample(
            events: report.connections, wallNanoseconds: report.wallNanoseconds, cpu: report.cpu,
            checksum: UInt64(report.connections))
        sample.memory = report.memory
        return sample
    }
}

/// What the server's process says of itself.
struct IdleReport: Codable {
    /// How many were open at a time, by the server's descriptors.
    let connections: Int
    /// From the word to open them to the last one's handshake.
    let wallNanoseconds: Double
    /// Of the server's process in that time.
    let cpu: CPUTime
    let memory: ConnectionMemory
}

/// What is resident of this process, in bytes.
struct ProcessMemory {
    let anonymous: Double
    let resident: Double

    /// Nil where the system does not tell it as Linux does.
    static func current() -> ProcessMemory? {
        guard let status = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8) else {
            return nil
        }
        func bytes(_ name: String) -> Double? {
            let line = status.split(separator: "\n").first { $0.hasPrefix(name + ":") }
            return line?.split(whereSeparator: \.isWhitespace).compactMap { Double($0) }.first
                .map { $0 * 1_024 }
        }
        guard let anonymous = bytes("RssAnon"), let resident = bytes("VmRSS") else { return nil }
        return ProcessMemory(anonymous: anonymous, resident: resident)
    }

    /// What each of so many connections has added since a moment before them.
    func perConnection(_ count: Int, since before: ProcessMemory) -> ConnectionMemory.Bytes {
        ConnectionMemory.Bytes(
            anonymous: (anonymous - before.anonymous) / Double(count),
            resident: (resident - before.resident) / Double(count))
    }
}
