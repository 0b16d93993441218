import Foundation

extension Report {
    /// The report as a table for people: one line a side, under one heading a benchmark.
    var table: String {
        let load = loadAfter.map { $0.formatted3 }.joined(separator: " ")
        var lines = [machine.summary, "load after the last benchmark \(load)", ""]
        for benchmark in benchmarks where benchmark.group != .operators {
            lines.append(contentsOf: benchmark.table)
            lines.append("")
        }
        let operators = benchmarks.filter { $0.group == .operators }
        if !operators.isEmpty {
            let header = ["operator", "", "events"] + BenchmarkResult.operatorColumns
            let rows = [header] + operators.flatMap(\.operatorRows)
            lines.append(contentsOf: BenchmarkResult.align(rows, textColumns: [0, 1]))
            lines.append("")
        }
        return lines.joined(separator: "\n")
    }
}

extension BenchmarkResult {
    /// The columns of the one table of all operators, behind name, title and events.
    fileprivate static let operatorColumns = [
        "ns/event", "min–max", "CPU ns/event", "min–max", "alloc/event",
    ]

    fileprivate var operatorRows: [[String]] {
        sides.map { side in
            [
                id, title, "\(side.events)", side.figure.median.formatted3, side.figure.range,
                side.cpuNanosecondsPerEvent.median.formatted3, side.cpuNanosecondsPerEvent.range,
                side.allocationsPerEvent?.median.formatted3 ?? "–",
            ]
        }
    }

    fileprivate var table: [String] {
        let heading = "\(id)  \(title)" + (peersOnly ? "  [peers only: nothing is compared]" : "")
        let rows = [header] + sides.map { $0.row(showsWall: showsWall) }
        return [heading] + Self.align(rows, textColumns: [0, 7]) + notes
    }

    /// Beside the processor time that is compared stands the wall time, else the other way round.
    private var showsWall: Bool { unit == Metric.cpuTime.unit }

    private var header: [String] {
        [
            "side", unit, "min–max", showsWall ? "wall ns/event" : "CPU ns/event", "alloc/event",
            "÷ Weir", "min–max", "bar",
            "met?",
        ]
    }

    private var notes: [String] {
        sides.compactMap(\.note)
    }

    /// Pads each column to its widest cell; figures to the right, names to the left.
    fileprivate static func align(_ rows: [[String]], textColumns: Set<Int>) -> [String] {
        let columns = rows.first?.count ?? 0
        let widths = (0..<columns).map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            let cells = row.enumerated().map { column, cell in
                let padding = String(repeating: " ", count: widths[column] - cell.count)
                return textColumns.contains(column) ? cell + padding : padding + cell
            }
            return "    " + cells.joined(separator: "  ")
        }
    }
}

extension SideResult {
    fileprivate func row(showsWall: Bool) -> [String] {
        let other = showsWall ? wallNanosecondsPerEvent : cpuNanosecondsPerEvent
        return [
            name,
            figure.median.formatted3,
            figure.range,
            other.median.formatted3,
            allocationsPerEvent?.median.formatted3 ?? "–",
            isWeir ? "1" : ratioToWeir?.median.formatted3 ?? "–",
            ratioToWeir?.range ?? "–",
            bars.map(\.text).joined(separator: ", "),
            bars.map(\.verdict).joined(separator: ", "),
        ]
    }

    fileprivate var note: String? {
        if let latencyP50, let latencyP99, let senderLatenessP99 {
            return "    \(name): p50 \(latencyP50.median.formatted3) µs, "
                + "p99 \(latencyP99.median.formatted3) (\(latencyP99.range)) µs; "
                + "the load was late by \(senderLatenessP99.median.formatted3) µs at p99"
        }
        if let memory {
            return "    \(name): \(events) connections; with file pages "
                + "\(memory.resident.median.formatted3) B each; in a second round "
                + "\(memory.secondRound.median.formatted3) (\(memory.secondRound.range)) B; "
                + "when all are closed \(memory.closed.median.formatted3) B are left"
        }
        if let generatorCPUNanosecondsPerEvent {
            return "    \(name): the load generator used "
                + "\(generatorCPUNanosecondsPerEvent.median.formatted3) CPU ns/event"
        }
        return nil
    }
}

extension Spread {
    var range: String { "\(least.formatted3)–\(greatest.formatted3)" }
}

extension BarResult {
    fileprivate var verdict: String {
        switch met {
        case true?: "yes"
        case false?: "NO"
        case nil: "–"
        }
    }
}

extension Double {
    /// Three significant digits, without an exponent.
    var formatted3: String {
        switch magnitude {
        case ..<0.0005: "0"
        case ..<1: String(format: "%.3f", self)
        case ..<10: trimmed(String(format: "%.2f", self))
        case ..<100: trimmed(String(format: "%.1f", self))
        default: String(format: "%.0f", self)
        }
    }

    private func trimmed(_ text: String) -> String {
        guard text.contains(".") else { return text }
        var text = text
        while text.hasSuffix("0") { text.removeLast() }
        if text.hasSuffix(".") { text.removeLast() }
        return text
    }
}
