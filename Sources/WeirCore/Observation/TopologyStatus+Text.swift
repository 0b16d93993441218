extension TopologyStatus: CustomStringConvertible {
    /// A table of the stages, the edges that were blocked, and the bottleneck.
    public var description: String {
        var rows = [
            [
                "stage", "in/s", "out/s", "busy", "idle", "blocked", "mailbox", "lag s", "late",
                "dropped", "dead", "restarts", "keys", "timers", "now",
            ]
        ]
        for stage in stages {
            rows.append([
                stage.instances > 1 ? "\(stage.name) ×\(stage.instances)" : stage.name,
                Self.text(stage.eventsInPerSecond), Self.text(stage.eventsOutPerSecond),
                Self.percent(stage.busyRatio), Self.percent(stage.idleRatio),
                Self.percent(stage.blockedRatio),
                "\(stage.mailboxDepth)/\(stage.mailboxCapacity)",
                stage.watermarkLagSeconds.map(Self.text) ?? "-", "\(stage.late)",
                "\(stage.dropped.values.reduce(0, +))", "\(stage.deadLetters)",
                "\(stage.restarts)", "\(stage.stateKeys)", "\(stage.timers)", stage.activity,
            ])
        }
        var lines = ["topology \(topology), last \(Self.text(intervalSeconds)) s"]
        lines += Self.table(rows)
        for stage in stages where !stage.watermarkHeldBackBy.isEmpty {
            let names = stage.watermarkHeldBackBy.joined(separator: ", ")
            lines.append("\(stage.name): event time is held back by \(names)")
        }
        for stage in stages {
            guard let alignment = stage.alignment, alignment.isHeld else { continue }
            lines.append(
                "\(stage.name): held back by \(alignment.waitsFor.joined(separator: ", ")) in "
                    + "'\(alignment.group)', \(Self.text(alignment.aheadSeconds)) s ahead")
        }
        for edge in edges where edge.isBlocked || edge.blockedRatio > 0 {
            lines.append(
                "\(edge.from) -> \(edge.to): blocked \(Self.percent(edge.blockedRatio))")
        }
        lines.append("bottleneck: \(bottleneck.map { "\($0)" } ?? "none")")
        return lines.joined(separator: "\n")
    }

    private static func percent(_ ratio: Double) -> String { "\(Int((ratio * 100).rounded()))%" }

    /// A number with at most one decimal, none from 100 on.
    static func text(_ value: Double) -> String {
        guard value.isFinite, abs(value) < 1e15 else { return "-" }
        if abs(value) >= 100 || value == value.rounded() { return "\(Int64(value.rounded()))" }
        return "\((value * 10).rounded() / 10)"
    }

    private static func table(_ rows: [[String]]) -> [String] {
        let widths = (rows.first ?? []).indices.map { column in
            rows.reduce(0) { max($0, $1[column].count) }
        }
        return rows.map { row in
            var line = ""
            for (column, cell) in row.enumerated() {
                let space = String(repeating: " ", count: widths[column] - cell.count)
                // Names and words to the left, numbers to the right.
                line += column == 0 || column == row.count - 1 ? cell + space : space + cell
                line += "  "
            }
            while line.last == " " { line.removeLast() }
            return line
        }
    }
}
