import ArgumentParser
import Foundation
import Weir

struct CompareLoadsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare",
        abstract: "Compares two reports that 'weir load --json' wrote.",
        discussion: """
            It says whether the loads were the same (transport, rate, size, connections), and how \
            the times of the second stand to those of the first. With --fail-above it ends with 1 \
            when p50, p90 or p99 of the second are above the first's by more than that, the rate \
            is below it by more, more messages were left, or the loads were not the same.
            """)

    @Argument(help: "The report to compare with.")
    var first: String

    @Argument(help: "The report to judge.")
    var second: String

    @Option(help: "The part by which the second may be worse, such as 10%.")
    var failAbove: String?

    @Option(help: "Draw both by percentile into this SVG file.")
    var plot: String?

    @Flag(help: "Print the comparison as JSON.")
    var json = false

    func validate() throws {
        if let failAbove { _ = try Self.part(failAbove) }
        do throws(LoadError) {
            try OutputFile.checkPlot(plot)
        } catch {
            throw ValidationError(error.description)
        }
    }

    /// Reads `10%`.
    static func part(_ text: String) throws -> Double {
        guard text.hasSuffix("%"), let percent = Double(text.dropLast()), percent.isFinite,
            percent >= 0
        else {
            throw ValidationError("--fail-above '\(text)': write a percentage such as 10%")
        }
        return percent / 100
    }

    func run() throws {
        let (first, second) = (try Self.read(first), try Self.read(second))
        let plotFile = try plot.map { try OutputFile($0) }
        let comparison = LoadComparison(
            first, second, failAbove: try failAbove.map { try Self.part($0) })
        if json {
            try SendLoadCommand.printJSON(comparison)
        } else {
            print(comparison.table)
        }
        let names = (Self.name(self.first), Self.name(self.second))
        try plotFile?.write(LatencyPlot(first, second, names: names).svg)
        if !comparison.failures.isEmpty { throw ExitStatus.of(1) }
    }

    private static func name(_ path: String) -> String {
        URL(fileURLWithPath: path).deletingPathExtension().lastPathComponent
    }

    static func read(_ path: String) throws -> LoadReport {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw LoadError("\(path) cannot be read")
        }
        let decoder = JSONDecoder()
        if let report = try? decoder.decode(LoadReport.self, from: data) { return report }
        if (try? decoder.decode(LoadSearchReport.self, from: data)) != nil {
            throw LoadError("\(path) is a report of steps; compare reports of single loads")
        }
        throw LoadError("\(path) is not a report of 'weir load --json'")
    }
}
