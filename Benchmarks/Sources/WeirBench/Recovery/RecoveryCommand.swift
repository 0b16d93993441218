import ArgumentParser
import Foundation

/// Restart of a stage and of the process, checkpoints, durable ingest.
struct Recovery: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Restart of a stage and of the process, replay, durable ingest, checkpoints.")

    @Argument(help: "Benchmarks to run: R1, R2, R4, R5, C8, C9; all where none is named.")
    var ids: [String] = []

    @Option(help: "How often each is measured; the bars ask for at least 5.")
    var runs = 5

    @Option(help: "A part of the full size, such as 0.01 for a smoke run.")
    var scale = 1.0

    @Option(help: "Where stores are put; a directory on the disk that counts.")
    var directory = FileManager.default.temporaryDirectory.path

    static let all = ["R1", "R2", "R4", "R5", "C8", "C9"]

    func validate() throws {
        guard runs >= 1 else { throw ValidationError("--runs must be at least 1") }
        guard scale > 0, scale <= 1 else { throw ValidationError("--scale takes 0 to 1") }
        for id in ids where !Self.all.contains(id) {
            let known = Self.all.joined(separator: ", ")
            throw ValidationError("there is no \(id); there are \(known)")
        }
    }

    func run() async throws {
        let machine = Machine.current()
        print(machine.summary)
        for id in ids.isEmpty ? Self.all : ids {
            let work = try WorkDirectory(in: directory)
            defer { work.remove() }
            let rows =
                switch id {
                case "R1": try await StageRestart(runs: runs, scale: scale).rows()
                case "R2": try await ProcessRestart(runs: runs, scale: scale, work: work).rows()
                case "R4": try await ReplaySpeed(runs: runs, scale: scale, work: work).rows()
                case "R5": try await DurableIngest(runs: runs, scale: scale, work: work).rows()
                case "C8": try await SnapshotPause(runs: runs, scale: scale, work: work).rows()
                default: try await TransactionCost(runs: runs, scale: scale, work: work).rows()
                }
            print("\n" + rows.map(\.text).joined(separator: "\n"))
        }
        let load = Machine.loadAverages().map { $0.formatted3 }.joined(separator: " ")
        print("\nload after the last benchmark \(load)")
    }
}

/// A line of a result: what, the median, the spread, and the bar.
struct RecoveryRow {
    let name: String
    let values: [Double]
    let unit: String
    var bar = ""
    var isMet: Bool?

    var median: Double {
        let sorted = values.sorted()
        return sorted.isEmpty ? .nan : sorted[sorted.count / 2]
    }

    var text: String {
        let range = "\((values.min() ?? .nan).formatted3)–\((values.max() ?? .nan).formatted3)"
        let verdict = isMet.map { $0 ? "yes" : "NO" } ?? ""
        return [
            name.padding(toLength: 66, withPad: " ", startingAt: 0),
            "\(median.formatted3) \(unit)".padding(toLength: 18, withPad: " ", startingAt: 0),
            range.padding(toLength: 18, withPad: " ", startingAt: 0),
            bar.padding(toLength: 14, withPad: " ", startingAt: 0), verdict,
        ].joined(separator: "  ")
    }
}

/// A directory for stores, made anew for each use.
final class WorkDirectory: Sendable {
    let path: String

    init(in parent: String) throws {
        path = "\(parent)/weir-bench-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    func fresh(_ name: String) throws -> String {
        let directory = "\(path)/\(name)-\(UUID().uuidString)"
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true)
        return directory
    }

    func remove() { try? FileManager.default.removeItem(atPath: path) }
}
