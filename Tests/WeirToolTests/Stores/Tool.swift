import Foundation
import Testing
import WeirTestSupport

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

    static func run(_ product: String, _ arguments: [String]) async throws -> Outcome {
        try await run(at: Products.path(of: product), arguments)
    }

    /// Runs a program that has a path.
    static func run(at path: String, _ arguments: [String]) async throws -> Outcome {
        let folder = try Folder()
        // Files, so that neither of two full pipes can hold the process up.
        let (output, errors) = (folder("output"), folder("errors"))
        let process = try ChildProcess(
            path, arguments, environment: ["SWIFT_BACKTRACE": "enable=no"], output: .file(output),
            errors: .file(errors))
        return Outcome(
            status: await process.waitForEnd().status,
            output: try String(contentsOfFile: output, encoding: .utf8),
            errors: try String(contentsOfFile: errors, encoding: .utf8))
    }
}

extension Folder {
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
    let folder: Folder
    let store: String
    let alerts: String

    init(_ options: [String] = []) async throws {
        folder = try Folder()
        store = folder("store")
        alerts = folder("alerts.jsonl")
        let made = try await Tool.run("WeirStoreFixture", ["make", store, alerts] + options)
        try #require(made.status == 0, "\(made)")
    }

    /// A command of `weir` on the store with the service behind it.
    func weir(
        _ command: String, _ options: [String] = [], service: [String] = ["serve"]
    ) async throws -> Outcome {
        try await Tool.run(
            "weir",
            [command, store] + options + ["--", Products.path(of: "WeirStoreFixture")] + service)
    }
}
