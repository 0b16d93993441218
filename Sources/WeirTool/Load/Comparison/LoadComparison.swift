import Foundation

/// Two reports side by side.
struct LoadComparison: Codable, Sendable {
    /// One figure of both.
    struct Row: Codable, Sendable, Equatable {
        let name: String
        let first: Double
        let second: Double
        /// The second by the first; nil where the first is 0.
        let ratio: Double?
        /// Whether it is a time, in microseconds.
        let isTime: Bool

        init(_ name: String, _ first: Double, _ second: Double, isTime: Bool = true) {
            (self.name, self.first, self.second, self.isTime) = (name, first, second, isTime)
            ratio = first == 0 ? nil : second / first
        }
    }

    let rows: [Row]
    /// In what the two loads differ, so that their times say little of each other.
    let differences: [String]
    /// What else has to be known of the two.
    let notes: [String]
    /// Why the second is worse than allowed; empty where no limit was given.
    let failures: [String]

    /// Compares two loads.
    ///
    /// - Parameter limit: By which part the times may be above the first's, and the rate below it.
    init(_ first: LoadReport, _ second: LoadReport, failAbove limit: Double? = nil) {
        let rates = Row(
            "messages/s", first.achievedMessagesPerSecond, second.achievedMessagesPerSecond,
            isTime: false)
        let times = zip(first.latencyMicroseconds.named, second.latencyMicroseconds.named)
            .map { Row($0.name, $0.microseconds, $1.microseconds) }
        rows =
            [rates] + times + [
                Row(
                    "generator p99", first.generatorLatenessMicroseconds.p99,
                    second.generatorLatenessMicroseconds.p99),
                Row("generator cores", first.generatorCores, second.generatorCores, isTime: false),
            ]
        let differences = Self.differences(first, second)
        self.differences = differences
        notes = Self.notes("the first", first) + Self.notes("the second", second)
        if let limit {
            failures = Self.failures(limit, rates, times, first, second, differences)
        } else {
            failures = []
        }
    }

    /// Percentiles that a limit is for; those above rest on few messages.
    private static let limited = ["p50", "p90", "p99"]
    /// Figures of a load that may differ by this part and still be the same.
    private static let tolerance = 0.05

    private static func differences(_ first: LoadReport, _ second: LoadReport) -> [String] {
        var result: [String] = []
        func same(_ name: String, _ left: String, _ right: String) {
            if left != right { result.append("\(name): \(left) and \(right)") }
        }
        func near(_ name: String, _ left: Double, _ right: Double) {
            if abs(left - right) > tolerance * max(left, right) {
                result.append("\(name): \(LoadReport.rate(left)) and \(LoadReport.rate(right))")
            }
        }
        same("transport", name(first), name(second))
        same("what is measured", first.measured, second.measured)
        near("messages/s asked for", first.askedMessagesPerSecond, second.askedMessagesPerSecond)
        near(
            "messages/s at the end", first.lastMessagesPerSecond ?? 0,
            second.lastMessagesPerSecond ?? 0)
        near("bytes of a message", size(first), size(second))
        same("connections", "\(first.connections)", "\(second.connections)")
        return result
    }

    private static func name(_ report: LoadReport) -> String {
        report.transport + (report.isSecure ? " with TLS" : "")
    }

    private static func size(_ report: LoadReport) -> Double {
        report.sent == 0 ? 0 : Double(report.payloadBytesSent) / Double(report.sent)
    }

    private static func notes(_ which: String, _ report: LoadReport) -> [String] {
        var result: [String] = []
        if report.wasInterrupted { result.append("\(which) was interrupted") }
        if report.bottleneck != "none" { result.append("\(which): \(report.verdict)") }
        return result
    }

    private static func failures(
        _ limit: Double, _ rate: Row, _ times: [Row], _ first: LoadReport, _ second: LoadReport,
        _ differences: [String]
    ) -> [String] {
        var result: [String] = []
        if !differences.isEmpty { result.append("the loads are not the same") }
        func percent(_ part: Double) -> String { String(format: "%+.1f%%", part * 100) }
        for row in times where limited.contains(row.name) {
            if let ratio = row.ratio, ratio > 1 + limit {
                result.append("\(row.name) is \(percent(ratio - 1))")
            }
        }
        if let ratio = rate.ratio, ratio < 1 - limit {
            result.append("messages/s is \(percent(ratio - 1))")
        }
        func lost(_ report: LoadReport) -> Int {
            report.unsent + report.unfinished + report.refused
        }
        if lost(second) > lost(first) {
            result.append("\(lost(second)) messages were not answered as expected")
        }
        if second.bottleneck == "generator" { result.append("the second generator was late") }
        return result
    }

    /// The comparison for people.
    var table: String {
        let width = 16
        var lines = [LoadReport.row("", ["first", "second", "ratio"], width)]
        lines += rows.map { row in
            let cells = [row.first, row.second].map { value in
                row.isTime ? LoadReport.time(value) : LoadReport.number(value)
            }
            let ratio = row.ratio.map { String(format: "%.2f", $0) } ?? "–"
            return LoadReport.row(row.name, cells + [ratio], width)
        }
        lines.append("")
        if differences.isEmpty {
            lines.append("The loads are the same: rate, size, connections and transport.")
        } else {
            lines.append("THE LOADS DIFFER, so the ratios say little:")
            lines += differences.map { "  \($0)" }
        }
        lines += notes.map { "Note: \($0)" }
        lines += failures.map { "FAILED: \($0)" }
        return lines.joined(separator: "\n")
    }
}
