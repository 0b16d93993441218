import CMeasure
import Dispatch
import Foundation

/// The load generator, in a process of its own: this executable with a hidden command.
///
/// It connects, says `ready`, waits for a byte, sends its load, says what processor time that took
/// and stays connected until its input ends.
final class LoadGenerator: Sendable {
    private let process: Process
    private let input: FileHandle
    private let output: FileHandle

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
        let (input, output) = (Pipe(), Pipe())
        process = Process()
        process.executableURL = executable
        process.arguments = [command] + arguments
        process.standardInput = input
        process.standardOutput = output
        self.input = input.fileHandleForWriting
        self.output = output.fileHandleForReading
        try process.run()
    }

    /// Waits until all connections are there.
    func ready() async throws {
        let line = try await line()
        guard line == "ready" else {
            throw MeasurementError(description: "the load generator said: \(line)")
        }
    }

    func start() throws {
        try input.write(contentsOf: Data("g".utf8))
    }

    /// Lets the generator close its connections; gives the processor time of sending.
    func finish() async throws -> CPUTime {
        let line = try await line()
        try input.close()
        process.waitUntilExit()
        let numbers = line.split(separator: " ").dropFirst().compactMap { Int64($0) }
        guard line.hasPrefix("sent "), numbers.count == 2, process.terminationStatus == 0 else {
            throw MeasurementError(description: "the load generator said: \(line)")
        }
        return CPUTime(.init(user: numbers[0], system: numbers[1]))
    }

    /// Sends a word of one letter and waits for the line that answers it.
    func ask(_ word: String) async throws -> String {
        try input.write(contentsOf: Data(word.utf8))
        return try await line()
    }

    /// Ends the generator's input, and so the generator.
    func end() throws {
        try input.close()
        process.waitUntilExit()
    }

    func kill() {
        process.terminate()
    }

    /// Reads a line; the wait blocks a thread of Dispatch, none of the tasks'.
    private func line() async throws -> String {
        try await withCheckedThrowingContinuation { continuation in
            DispatchQueue.global().async { [output] in
                continuation.resume(
                    with: Result {
                        var bytes: [UInt8] = []
                        while let byte = try output.read(upToCount: 1)?.first {
                            if byte == UInt8(ascii: "\n") { break }
                            bytes.append(byte)
                        }
                        return String(decoding: bytes, as: UTF8.self)
                    })
            }
        }
    }
}
