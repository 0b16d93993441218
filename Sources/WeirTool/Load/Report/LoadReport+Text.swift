import Foundation

extension LoadReport {
    /// The report as a table for people.
    var table: String {
        var rows: [(String, String)] = [
            ("target", target),
            ("connections", "\(connections)"),
            ("messages", messages),
            ("rate", rate),
            (
                "payload",
                "\(Self.bytes(payloadBytesSent)) sent, \(Self.bytes(bytesReceived)) received"
            ),
            ("time", "\(Self.number(seconds)) s" + (wasInterrupted ? ", interrupted" : "")),
        ]
        if let statuses { rows.append(("statuses", Self.text(statuses))) }
        if let acknowledgement { rows.append(("acknowledged", acknowledgement.text)) }
        if reconnections > 0 { rows.append(("reconnections", "\(reconnections)")) }
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
        lines += [""] + percentileRows
        if lastMessagesPerSecond != nil { lines += [""] + secondRows }
        lines += [
            "",
            "\(measured): \(explanation)",
            "generator: \(Self.number(generatorProcessorSeconds)) s of processor time, "
                + "\(Self.number(generatorCores)) cores",
            verdict,
        ]
        if let verification { lines += ["", verification.text] }
        return lines.joined(separator: "\n")
    }

    private var percentileRows: [String] {
        var rows = [(measured, latencyMicroseconds)]
        if let sinceSentMicroseconds { rows.append(("since sent", sinceSentMicroseconds)) }
        if let refusedMicroseconds { rows.append(("other statuses", refusedMicroseconds)) }
        rows.append(("generator late", generatorLatenessMicroseconds))
        let width = (rows.map(\.0.count).max() ?? 0) + 1
        let names = latencyMicroseconds.named.map(\.name)
        return [Self.row("", names, width)]
            + rows.map { name, values in
                let cells = values.named.map {
                    values.count == 0 ? "–" : Self.time($0.microseconds)
                }
                return Self.row(name, cells, width)
            }
    }

    /// A ramp second by second.
    private var secondRows: [String] {
        [Self.row("second", ["messages/s", "p50", "p99", "max"], 8)]
            + perSecond.enumerated().map { index, second in
                let times = [
                    second.p50Microseconds, second.p99Microseconds, second.maximumMicroseconds,
                ]
                let cells = times.map { second.count == 0 ? "–" : Self.time($0) }
                return Self.row(
                    "\(index + 1)", [Self.rate(second.messagesPerSecond)] + cells, 8)
            }
    }

    private var rate: String {
        let asked = Self.rate(askedMessagesPerSecond)
        let text = "\(Self.rate(achievedMessagesPerSecond)) of \(asked) messages/s asked for"
        guard let lastMessagesPerSecond else { return text }
        return text + " on average, up to \(Self.rate(lastMessagesPerSecond))"
    }

    private static func text(_ statuses: [String: Int]) -> String {
        if statuses.isEmpty { return "none" }
        return statuses.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }
            .joined(separator: ", ")
    }

    private var messages: String {
        var parts = ["\(due) due", "\(sent) sent"]
        if let answered { parts.append("\(answered) answered") }
        if refused > 0 { parts.append("\(refused) WITH ANOTHER STATUS") }
        if unsent > 0 { parts.append("\(unsent) NOT SENT") }
        if unfinished > 0 {
            parts.append("\(unfinished) " + (answered == nil ? "NOT TAKEN" : "NOT ANSWERED"))
        }
        return parts.joined(separator: ", ")
    }

    private var explanation: String {
        switch measured {
        case LoadPlan.Measurement.handOver.rawValue:
            "from when a message was due to when the kernel had it; not the target's latency"
        case LoadPlan.Measurement.acknowledgement.rawValue:
            "from when a message was due to its acknowledgement"
        default: "from when a message was due to its answer"
        }
    }

    static func row(_ name: String, _ cells: [String], _ width: Int) -> String {
        name.padding(toLength: width, withPad: " ", startingAt: 0)
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
    static func rate(_ value: Double) -> String {
        value < 100 ? number(value) : String(format: "%.0f", value)
    }

    private static func bytes(_ count: Int) -> String {
        switch count {
        case ..<10_000: "\(count) B"
        case ..<10_000_000: "\(number(Double(count) / 1e3)) kB"
        default: "\(number(Double(count) / 1e6)) MB"
        }
    }

    static func number(_ value: Double) -> String {
        String(format: value < 10 ? "%.2f" : value < 100 ? "%.1f" : "%.0f", value)
    }
}

extension LoadReport.Acknowledgement {
    fileprivate var text: String {
        var parts = ["\(acknowledged)"]
        if let isDurable { parts[0] += isDurable ? ", durable" : ", NOT DURABLE" }
        if resent > 0 { parts.append("\(resent) resent") }
        if notAcknowledged > 0 { parts.append("\(notAcknowledged) NOT ACKNOWLEDGED") }
        return parts.joined(separator: ", ")
    }
}
