import CMeasure
import Foundation

/// uWebSockets, C++, in a process of its own: a peer where `Benchmarks/comparisons/uwebsockets` has built its server and
/// named it.
enum UWebSocketsPeer {
    private static let variable = "WEIR_UWEBSOCKETS"

    /// A side of a benchmark, or none where there is no server.
    ///
    /// - Parameter share: The bar: what part of the peer's work for each second of processor time Weir has to do.
    static func side(
        share: Double,
        _ run: @escaping @Sendable (_ server: URL, _ events: Int) async throws -> Sample
    ) -> [Side] {
        guard let path = ProcessInfo.processInfo.environment[variable] else { return [] }
        let server = URL(fileURLWithPath: path)
        return [
            Side(name: "uWebSockets, C++", bar: .within(1 / share)) { try await run(server, $0) }
        ]
    }

    @concurrent
    static func echo(_ server: URL, _ messages: Int) async throws -> Sample {
        let used = try await measure(
            server, .webSocketEcho, messages: messages, connections: EchoLoad.connections)
        // The generator has compared the answers.
        return used.sample(events: messages, checksum: UInt64(messages))
    }

    @concurrent
    static func http(_ server: URL, _ messages: Int) async throws -> Sample {
        let used = try await measure(
            server, .http, messages: messages, connections: IngestLoad.Framing.http.connections)
        return used.sample(events: used.count, checksum: used.checksum)
    }

    /// What the server says of itself, and the clocks of this process.
    private struct Used {
        let wallNanoseconds: Double
        let cpu: CPUTime
        let generatorCPU: CPUTime
        let count: Int
        let checksum: UInt64

        func sample(events: Int, checksum: UInt64) -> Sample {
            var sample = Sample(
                events: events, wallNanoseconds: wallNanoseconds, cpu: cpu, checksum: checksum)
            sample.generatorCPU = generatorCPU
            return sample
        }
    }

    private static func measure(
        _ server: URL, _ framing: IngestLoad.Framing, messages: Int, connections: Int
    ) async throws -> Used {
        let process = try LineProcess(server)
        do {
            let first = try await process.line()
            guard let port = Int(first) else {
                throw MeasurementError(description: "the server of uWebSockets said: \(first)")
            }
            let generator = try LoadGenerator(
                framing, port: port, messages: messages, connections: connections)
            do {
                try await generator.ready()
                let before = try await report(process)
                let watch = cmeasure_now()
                try generator.start()
                let sending = try await generator.sent()
                let wall = cmeasure_now() - watch
                let after = try await report(process)
                try generator.end()
                try process.end()
                return Used(
                    wallNanoseconds: Double(wall), cpu: after.cpu - before.cpu,
                    generatorCPU: sending, count: after.count, checksum: after.checksum)
            } catch {
                generator.kill()
                throw error
            }
        } catch {
            process.kill()
            throw error
        }
    }

    /// The processor time so far, and what has come since the report before.
    private static func report(
        _ process: LineProcess
    ) async throws -> (cpu: CPUTime, count: Int, checksum: UInt64) {
        try process.say("\n")
        let line = try await process.line()
        let words = line.split(separator: " ").dropFirst()
        let numbers = words.compactMap { UInt64($0) }
        guard line.hasPrefix("used "), words.count == 4, numbers.count == 4 else {
            throw MeasurementError(description: "the server of uWebSockets said: \(line)")
        }
        return (
            CPUTime(.init(user: Int64(numbers[0]), system: Int64(numbers[1]))), Int(numbers[2]),
            numbers[3]
        )
    }
}
