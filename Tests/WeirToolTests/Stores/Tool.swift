import Foundation
import Testing

/// What a program has printed, and its status.
struct Outcome: CustomStringConvertible {
    var status: Int32
    var output: String
    var errors: String

    var lines: [String] { output.split(separator: "\n").map(String.init) }
    var description: String { "status \(status)\n\(output)\n---\n\(errors)" }
}

/// Runs this package's programs, each in a process of its own.
enum Tool {
    /// Runs `weir` with arguments.
    static func weir(_ arguments: String...) async throws -> Outcome {
        try await run("weir", arguments)
    }

    /// Runs a program on a thread of its own: the pool's are for the other tests.
    static func run(_ product: String, _ arguments: [String]) async throws -> Outcome {
        try await run(at: path(of: product), arguments)
    }

    /// Runs a program that has a path.
    static func run(at path: String, _ arguments: [String]) async throws -> Outcome {
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                continuation.resume(with: Result { try runAndWait(path, arguments) })
            }
        }
    }

    private static func runAndWait(_ path: String, _ arguments: [String]) throws -> Outcome {
        let folder = try TemporaryFolder()
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(
            ["SWIFT_BACKTRACE": "enable=no"]
        ) { _, new in new }
        // Files, so that neither of two full pipes can hold the process up.
        let (output, errors) = (folder("output"), folder("errors"))
        for file in [output, errors] { try Data().write(to: URL(fileURLWithPath: file)) }
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = try FileHandle(forWritingTo: URL(fileURLWithPath: output))
        process.standardError = try FileHandle(forWritingTo: URL(fileURLWithPath: errors))
        try process.run()
        process.waitUntilExit()
        return Outcome(
            status: process.terminationStatus,
            output: try String(contentsOfFile: output, encoding: .utf8),
            errors: try String(contentsOfFile: errors, encoding: .utf8))
    }

    static func path(of product: String) throws -> String {
        var runner = CommandLine.arguments[0]
        if let index = CommandLine.arguments.firstIndex(of: "--test-bundle-path") {
            runner = try #require(CommandLine.arguments.dropFirst(index + 1).first)
        }
        var folder = URL(fileURLWithPath: runner).resolvingSymlinksInPath()
        while folder.path.contains(".xctest") { folder.deleteLastPathComponent() }
        return folder.appendingPathComponent(product).path
    }
}

/// A directory of the test's own, removed with the value.
final class TemporaryFolder: Sendable {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "weir-tool-\(UUID().uuidString)"
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func callAsFunction(_ name: String) -> String { "\(path)/\(name)" }

    /// Every file below, with its bytes.
    func snapshot(of directory: String) throws -> [String: Data] {
        let root = self(directory)
        var files: [String: Data] = [:]
        for name in try FileManager.default.subpathsOfDirectory(atPath: root) {
            files[name] = FileManager.default.contents(atPath: "\(root)/\(name)") ?? Data()
        }
        return files
    }
}

/// A store that a real run has made: 100 payments by 10 cards, a savepoint after 50.
struct MadeStore {
    let folder: TemporaryFolder
    let store: String
    let alerts: String

    init() async throws {
        folder = try TemporaryFolder()
        store = folder("store")
        alerts = folder("alerts.jsonl")
        let made = try await Tool.run("WeirStoreFixture", ["make", store, alerts])
        try #require(made.status == 0, "\(made)")
    }

    /// A command of `weir` on the store with the service behind it.
    func weir(
        _ command: String, _ options: [String] = [], service: [String] = ["serve"]
    ) async throws -> Outcome {
        try await Tool.run(
            "weir",
            [command, store] + options + ["--", Tool.path(of: "WeirStoreFixture")] + service)
    }
}
