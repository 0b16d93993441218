import WeirCore

/// What is in a store, as tables for a terminal.
struct InspectText {
    private let contents: StoreContents

    init(_ contents: StoreContents) {
        self.contents = contents
    }

    var text: String {
        var lines = ["store '\(contents.path)'"]
        if let topology = contents.topology { lines[0] += " of topology '\(topology)'" }
        if let process = contents.lastProcess { lines[0] += ", last opened by process \(process)" }
        lines += snapshots("checkpoints", contents.checkpoints)
        lines += snapshots("savepoints", contents.savepoints)
        if let newest = (contents.checkpoints.last { $0.isComplete && !$0.stages.isEmpty })
            ?? contents.savepoints.first
        {
            lines += stages(of: newest)
        }
        for journal in contents.ingest { lines += describe(journal) }
        lines.append("")
        if contents.damage.isEmpty {
            lines.append(contents.isVerified ? "all bytes read: no damage" : "no damage seen")
        } else {
            lines.append("damaged:")
            lines += contents.damage.map { damage in
                let place = damage.offset.map { " at offset \($0)" } ?? ""
                return "  \(damage.file)\(place): \(damage.reason)"
            }
        }
        return lines.joined(separator: "\n")
    }

    private func snapshots(_ title: String, _ snapshots: [StoreContents.Snapshot]) -> [String] {
        if snapshots.isEmpty { return title == "checkpoints" ? ["", "no checkpoints"] : [] }
        var rows = [[title, "taken", "stages", "entries", "bytes", ""]]
        for snapshot in snapshots {
            let name = snapshot.savepoint ?? snapshot.checkpoint.map { "\($0)" } ?? "?"
            guard snapshot.isComplete else {
                rows.append([name, "–", "–", "–", "–", "incomplete"])
                continue
            }
            var remark = snapshot.problem == nil ? "" : "damaged"
            if snapshot.hasEnded { remark += remark.isEmpty ? "ended" : ", ended" }
            rows.append([
                name, snapshot.takenAt.map { "\($0)" } ?? "?", "\(snapshot.stages.count)",
                "\(snapshot.entries)", "\(snapshot.bytes)", remark,
            ])
        }
        return [""] + Self.table(rows)
    }

    private func stages(of snapshot: StoreContents.Snapshot) -> [String] {
        var rows = [["stage", "instances", "state", "holds", "entries", "watermark", "position"]]
        for stage in snapshot.stages {
            let head = [stage.name, "\(stage.instances)"]
            let position = stage.position.map { position in
                position.identity == 0
                    ? "\(position.offset)" : "\(position.offset)+\(position.identity)"
            }
            let tail = [
                stage.hasEnded ? "ended" : stage.watermark.map { "\($0)" } ?? "–", position ?? "–",
            ]
            if stage.states.isEmpty {
                rows.append(head + ["–", "–", "–"] + tail)
            }
            for (index, state) in stage.states.enumerated() {
                let first = index == 0
                rows.append(
                    (first ? head : ["", ""]) + [state.id, state.contents, "\(state.entries)"]
                        + (first ? tail : ["", ""]))
            }
        }
        let name =
            snapshot.savepoint.map { "savepoint '\($0)'" }
            ?? "checkpoint \(snapshot.checkpoint ?? 0)"
        return ["", "\(name):"] + Self.table(rows)
    }

    private func describe(_ journal: StoreContents.IngestJournal) -> [String] {
        var lines = [
            "",
            "ingest journal of '\(journal.source)': records \(journal.firstPosition) to "
                + "\(journal.endPosition), \(journal.messages) messages, "
                + "\(journal.segments.count) segment\(journal.segments.count == 1 ? "" : "s"), "
                + "\(journal.bytes) bytes",
        ]
        if !journal.keys.isEmpty {
            let keys = journal.keys.map(String.init).joined(separator: ", ")
            lines.append("  encrypted with key \(keys): messages and producers aren't shown")
        }
        if let first = journal.firstTime, let last = journal.lastTime {
            lines.append("  read from \(first) to \(last)")
        }
        lines += journal.segments.map { "  \($0.file): from record \($0.first), \($0.bytes) bytes" }
        if journal.producerCount > 0 {
            lines.append("  producers: \(journal.producerCount)")
            lines += journal.producers.map { "    \($0.name): \($0.last)" }
            if journal.producers.count < journal.producerCount { lines.append("    …") }
        }
        if let tail = journal.tail { lines.append("  behind the end: \(tail)") }
        return lines
    }

    /// Rows with columns as wide as their widest cell.
    static func table(_ rows: [[String]]) -> [String] {
        let count = rows.map(\.count).max() ?? 0
        let widths = (0..<count).map { column in
            rows.map { $0.count > column ? $0[column].count : 0 }.max() ?? 0
        }
        return rows.map { row in
            var line = ""
            for (column, cell) in row.enumerated() {
                line += cell
                if column < row.count - 1 {
                    line += String(repeating: " ", count: widths[column] - cell.count + 2)
                }
            }
            while line.last == " " { line.removeLast() }
            return line
        }
    }
}
