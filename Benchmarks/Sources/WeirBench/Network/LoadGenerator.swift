import CMeasure
import Foundation

/// The load generator, in a process of its own: this executable with a hidden command.
///
/// It connects, says `ready`, waits for a byte, sends its load, says what processor time that took
/// and stays connected until its input ends.
final class LoadGenerator: Sendable {
    private let process: LineProcess

    convenience init(
        _ framing: IngestLoad.Framing, port: Int, messages: Int, connections: Int
    ) throws {
        try self.init(
            framing.rawValue,
            [
                "--port", "\(port)", "--messages", "\(messages)", "--connections",
                "\(connections)",
            ])
    }

    init(_ command: String, _ arguments: [String]) throws {
        guard let executable = Bundle.main.executableURL else {
            throw MeasurementError(description: "the path of this executable is unknown")
        }
        process = try LineProcess(executable, [command] + arguments)
    }

    /// Waits until all connections are there.
    func ready() async throws {
        let line = try await process.line()
        guard line == "ready" else {
            throw MeasurementError(description: "the load generator said: \(line)")
        }
    }

    func start() throws {
        try process.say("g")
    }

    /// Waits until the load is sent; gives the processor time of sending.
    func sent() async throws -> CPUTime {
        let line = try await process.line()
        let numbers = line.split(separator: " ").dropFirst().compactMap { Int64($0) }
        guard line.hasPrefix("sent "), numbers.count == 2 else {
            throw MeasurementError(description: "the load generator said: \(line)")
        }
        return CPUTime(.init(user: numbers[0], system: numbers[1]))
    }

    /// The same, and lets the generator close its connections.
    func finish() async throws -> CPUTime {
        let used = try await sent()
        let code = try process.end()
        guard code == 0 else {
            throw MeasurementError(description: "the load generator ended with code \(code)")
        }
        return used
    }

    /// Sends a word of one letter and waits for the line that answers it.
    func ask(_ word: String) async throws -> String {
        try process.say(word)
        return try await process.line()
    }

    /// Ends the generator's input, and so the generator.
    func end() throws {
        try process.end()
    }

    func kill() {
        process.kill()
    }
}
