import Dispatch
import Foundation

/// A process that is told words on its standard input and answers with lines.
final class LineProcess: Sendable {
    private let process: Process
    private let input: FileHandle
    private let output: FileHandle

    init(_ executable: URL, _ arguments: [String] = []) throws {
        let (input, output) = (Pipe(), Pipe())
        process = Process()
        process.executableURL = executable
        process.arguments = arguments
        process.standardInput = input
        process.standardOutput = output
        self.input = input.fileHandleForWriting
        self.output = output.fileHandleForReading
        try process.run()
    }

    func say(_ word: String) throws {
        try input.write(contentsOf: Data(word.utf8))
    }

    /// The next line; the wait blocks a thread of Dispatch, none of the tasks'.
    func line() async throws -> String {
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

    /// Ends the process's input, waits for its end and gives its code.
    @discardableResult
    func end() throws -> Int32 {
        try input.close()
        process.waitUntilExit()
        return process.terminationStatus
    }

    func kill() {
        process.terminate()
    }
}
