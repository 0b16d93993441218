import Foundation
import Synchronization
import Testing

/// A process under test: its lines of standard output as they come, its standard error, how it ends.
final class Child: Sendable {
    /// How a child has ended.
    struct End: Sendable, Equatable {
        let status: Int32
        let isSignal: Bool
    }

    let pid: Int32
    private let lines: Lines
    private let errors: Lines
    private let end: Task<End, Never>

    /// Starts one of this package's products.
    init(_ product: String, _ arguments: [String], environment: [String: String] = [:]) throws {
        let process = Process()
        process.executableURL = try Self.productsFolder().appendingPathComponent(product)
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment
            .merging(["SWIFT_BACKTRACE": "enable=no"]) { $1 }.merging(environment) { $1 }
        let output = Pipe()
        let error = Pipe()
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = output
        process.standardError = error
        let ended = AsyncStream<End>.makeStream()
        process.terminationHandler = { process in
            ended.continuation.yield(
                End(
                    status: process.terminationStatus,
                    isSignal: process.terminationReason == .uncaughtSignal))
            ended.continuation.finish()
        }
        try process.run()
        pid = process.processIdentifier
        lines = Lines(output.fileHandleForReading)
        errors = Lines(error.fileHandleForReading)
        end = Task {
            for await end in ended.stream { return end }
            return End(status: -1, isSignal: false)
        }
    }

    /// The next line of standard output; nil when all who hold it have ended.
    func nextLine() async -> String? { await lines.next() }

    /// All of standard error to its end.
    func errorText() async -> String {
        var text = ""
        while let line = await errors.next() { text += line + "\n" }
        return text
    }

    /// Waits for standard output's next line, which is to begin with `word`, and returns its number.
    func number(after word: String) async throws -> Int {
        let line = try #require(await nextLine())
        try #require(line.hasPrefix("\(word) "), "got: \(line)")
        return try #require(Int(line.dropFirst(word.count + 1)))
    }

    func send(_ signal: Int32) { kill(pid, signal) }

    func waitForEnd() async -> End { await end.value }

    static func path(of product: String) throws -> String {
        try productsFolder().appendingPathComponent(product).path
    }

    private static func productsFolder() throws -> URL {
        var runner = CommandLine.arguments[0]
        if let index = CommandLine.arguments.firstIndex(of: "--test-bundle-path") {
            runner = try #require(CommandLine.arguments.dropFirst(index + 1).first)
        }
        var folder = URL(fileURLWithPath: runner).resolvingSymlinksInPath()
        // On macOS the runner lies inside a bundle.
        while folder.path.contains(".xctest") { folder.deleteLastPathComponent() }
        return folder
    }
}

/// The lines of a pipe, read on a thread of its own.
private actor Lines {
    private var iterator: AsyncStream<String>.Iterator

    init(_ handle: FileHandle) {
        let (stream, continuation) = AsyncStream<String>.makeStream()
        iterator = stream.makeAsyncIterator()
        Thread.detachNewThread {
            var rest = Data()
            while true {
                let data = handle.availableData
                if data.isEmpty { break }
                rest.append(data)
                while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                    continuation.yield(String(decoding: rest[..<end], as: UTF8.self))
                    rest = Data(rest[(end + 1)...])
                }
            }
            continuation.finish()
        }
    }

    func next() async -> String? {
        var copy = iterator
        let line = await copy.next(isolation: self)
        iterator = copy
        return line
    }
}
