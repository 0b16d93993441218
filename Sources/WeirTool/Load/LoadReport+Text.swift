import Foundation

extension LoadReport {
    /// The report as a table for people.
    var table: String {
        var rows: [(String, String)] = [
            ("target", target),
            ("connections", "\(connections)"),
            ("messages", messages),
            (
                "rate",
                "\(Self.rate(achievedMessagesPerSecond)) of "
                    + "\(Self.rate(askedMessagesPerSecond)) messages/s asked for"
            ),
            (
                "payload",
                "\(Self.bytes(payloadBytesSent)) sent, \(Self.bytes(bytesReceived)) received"
            ),
            ("time", "\(Self.number(seconds)) s" + (wasInterrupted ? ", interrupted" : "")),
        ]
        if failedConnections > 0 {
            rows.append(("connections failed", "\(failedConnections)"))
        }
        if unexpectedAnswers > 0 {
            rows.append(("answers to nothing", "\(unexpectedAnswers)"))
        }
        let width = rows.map(\.0.count).max() ?? 0
        var lines = rows.map { name, value in
            name.padding(toLength: width + 2, withPad: " ", startingAt: 0) + value
        }
        lines += failures.map { "  \($0)" }
        lines += ["", Self.row("", ["p50", "p90", "p99", "p99.9", "max"])]
        lines.append(Self.row(measured, latencyMicroseconds))
        lines.append(Self.row("generator late", generatorLatenessMicroseconds))
        lines += [
            "",
            "\(measured): \(explanation)",
            "generator: \(Self.number(generatorProcessorSeconds)) s of processor time, "
                + "\(Self.number(generatorCores)) cores",
            verdict,
        ]
        return lines.joined(separator: "\n")
    }

    private var messages: String {
        var parts = ["\(due) due", "\(sent) sent"]
        if let answered { parts.append("\(answered) answered") }
        if unsent > 0 { parts.append("\(unsent) NOT SENT") }
        if unfinished > 0 {
            parts.append("\(unfinished) " + (answered == nil ? "NOT TAKEN" : "NOT ANSWERED"))
        }
        return parts.joined(separator: ", ")
    }

    private var explanation: String {
        answered == nil
            ? "from when a message was due to when the kernel had it; not the target's latency"
            : "from when a message was due to its answer"
    }

    private static func row(_ name: String, _ percentiles: Percentiles) -> String {
        let values = [
            percentiles.p50, percentiles.p90, percentiles.p99, percentiles.p999,
            percentiles.maximum,
        ]
        return row(name, values.map { time($0) })
    }

    private static func row(_ name: String, _ cells: [String]) -> String {
        name.padding(toLength: 16, withPad: " ", startingAt: 0)
            + cells.map { String(repeating: " ", count: max(1, 11 - $0.count)) + $0 }.joined()
    }

    /// A time in the unit that suits it.
    static func time(_ microseconds: Double) -> String {
        switch microseconds {
        case ..<1_000: "\(number(microseconds)) µs"
        case ..<1_000_000: "\(number(microseconds / 1e3)) ms"
        default: "\(number(microseconds / 1e6)) s"
        }
    }

    /// A rate, with the digits that low ones need.
    private static func rate(_ value: Double) -> String {
        value < 100 ? number(value) : String(format: "%.0f", value)
    }

    private static func bytes(_ count: Int) -> String {
        switch count {
        case ..<10_000: "\(count) B"
        case ..<10_000_000: "\(number(Double(count) / 1e3)) kB"
        default: "\(number(Double(count) / 1e6)) MB"
        }
    }

    private static func number(_ value: Double) -> String {
        String(format: value < 10 ? "%.2f" : value < 100 ? "%.1f" : "%.0f", value)
    }
}
