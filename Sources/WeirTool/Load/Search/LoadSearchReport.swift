/// What the steps of a search have measured, as it is written to JSON.
struct LoadSearchReport: Codable, Sendable {
    /// One load of the search.
    struct Step: Codable, Sendable {
        let messagesPerSecond: Double
        /// Whether all was answered at the rate asked for, within the bound.
        let held: Bool
        /// Why it did not hold.
        let reason: String?
        let report: LoadReport

        init(_ rate: Double, _ report: LoadReport, _ bound: LatencyBound?) {
            messagesPerSecond = rate
            self.report = report
            reason = Self.problem(rate, report, bound)
            held = reason == nil
        }

        private static func problem(
            _ rate: Double, _ report: LoadReport, _ bound: LatencyBound?
        ) -> String? {
            if report.wasInterrupted { return "it was interrupted" }
            guard let problem = problem(rate, of: report, bound) else { return nil }
            let isLate = report.bottleneck == "generator"
            return isLate ? "\(problem), while the generator was late" : problem
        }

        /// A generator that was late is no problem by itself: its lateness is in the latency.
        private static func problem(
            _ rate: Double, of report: LoadReport, _ bound: LatencyBound?
        ) -> String? {
            let missing = report.unsent + report.unfinished
            if missing > 0 { return "\(missing) messages were not taken or answered" }
            if report.refused > 0 { return "\(report.refused) answers had another status" }
            if report.achievedMessagesPerSecond < rate * Verdict.achievedMin {
                return "only \(LoadReport.rate(report.achievedMessagesPerSecond)) messages/s"
            }
            guard let bound else { return nil }
            let value = bound.value(in: report.latencyMicroseconds)
            if value <= bound.microseconds { return nil }
            return "\(bound.percentile) was \(LoadReport.time(value))"
        }
    }

    let target: String
    let bound: LatencyBound?
    /// In the order in which they were run.
    let steps: [Step]
    /// The highest rate that held; nil when none did.
    let highestMessagesPerSecond: Double?
    let wasInterrupted: Bool
    /// `none` when every step held, else what stopped the first that did not.
    let bottleneck: String
    let verdict: String

    init(
        target: String, bound: LatencyBound?, steps: [Step], highest: Double?,
        wasInterrupted: Bool, failure: String?
    ) {
        self.target = target
        self.bound = bound
        self.steps = steps
        highestMessagesPerSecond = highest
        self.wasInterrupted = wasInterrupted
        let bad = steps.filter { !$0.held }
            .min { $0.messagesPerSecond < $1.messagesPerSecond }
        bottleneck =
            bad.map { $0.report.bottleneck == "generator" ? "generator" : "target" } ?? "none"
        verdict = Self.verdict(bound, steps, highest, bad, wasInterrupted, failure)
    }

    private static func verdict(
        _ bound: LatencyBound?, _ steps: [Step], _ highest: Double?, _ bad: Step?,
        _ wasInterrupted: Bool, _ failure: String?
    ) -> String {
        let what = bound.map { "A \($0.text) held" } ?? "The load was answered as asked"
        var text: String
        if let highest {
            text = "\(what) up to \(LoadReport.rate(highest)) messages/s"
        } else {
            text = "\(what) at no step"
        }
        if let bad {
            let rate = LoadReport.rate(bad.messagesPerSecond)
            text += "; at \(rate) \(bad.reason ?? "it did not")."
            if bad.report.bottleneck == "generator" {
                text += " The limit found is the generator's, not the target's."
            }
        } else if wasInterrupted {
            text += "."
        } else {
            text += ", the highest step: the limit lies above."
        }
        if let failure { text += " Then the target could not be reached: \(failure)" }
        return text
    }

    /// The report as a table for people.
    var table: String {
        let width = 12
        var lines = [
            "target  \(target)", "",
            LoadReport.row(
                "messages/s", ["reached", "p50", "p99", "p99.9", "max", "cores", "held"], width),
        ]
        lines += steps.map { $0.row(width) }
        return (lines + ["", verdict]).joined(separator: "\n")
    }
}

extension LoadSearchReport.Step {
    fileprivate func row(_ width: Int) -> String {
        let latency = report.latencyMicroseconds
        let cells =
            [LoadReport.rate(report.achievedMessagesPerSecond)]
            + [latency.p50, latency.p99, latency.p999, latency.maximum].map { LoadReport.time($0) }
            + [LoadReport.number(report.generatorCores), held ? "yes" : "no"]
        return LoadReport.row(LoadReport.rate(messagesPerSecond), cells, width)
            + (reason.map { "  \($0)" } ?? "")
    }

    /// The line that is written when the step has ended.
    var line: String {
        "\(LoadReport.rate(messagesPerSecond)) messages/s: p99 "
            + LoadReport.time(report.latencyMicroseconds.p99) + ", "
            + (reason.map { "did not hold: \($0)" } ?? "held")
    }
}
