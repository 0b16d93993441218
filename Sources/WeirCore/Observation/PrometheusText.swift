import Synchronization

/// Metrics in the text format of Prometheus (exposition format 0.0.4).
package struct PrometheusText {
    private struct Family {
        let kind: String
        let help: String
        var samples = ""
    }

    private var order: [String] = []
    private var families: [String: Family] = [:]

    package init() {}

    /// Adds a sample; the first one of a name says what it is.
    package mutating func add(
        _ name: String, _ kind: Kind, _ help: String, _ labels: [(String, String)],
        _ value: Double
    ) {
        begin(name, kind.rawValue, help)
        append(name, to: name, labels, value)
    }

    package mutating func add(
        _ name: String, _ kind: Kind, _ help: String, _ labels: [(String, String)], _ value: Int
    ) {
        add(name, kind, help, labels, Double(value))
    }

    /// Adds a histogram of durations.
    mutating func add(
        _ name: String, _ help: String, _ labels: [(String, String)],
        _ durations: RunHistogram.Durations
    ) {
        begin(name, "histogram", help)
        var upTo = 0
        for (bound, count) in zip(RunHistogram.bounds, durations.counts) {
            upTo += count
            append("\(name)_bucket", to: name, labels + [("le", Self.text(bound))], Double(upTo))
        }
        append("\(name)_bucket", to: name, labels + [("le", "+Inf")], Double(durations.count))
        append("\(name)_sum", to: name, labels, durations.sum)
        append("\(name)_count", to: name, labels, Double(durations.count))
    }

    /// Adds a sum and a count, whose quotient is a mean: a summary without quantiles.
    mutating func add(
        _ name: String, _ help: String, _ labels: [(String, String)], sum: Double, count: Int
    ) {
        begin(name, "summary", help)
        append("\(name)_sum", to: name, labels, sum)
        append("\(name)_count", to: name, labels, Double(count))
    }

    private mutating func begin(_ name: String, _ kind: String, _ help: String) {
        if families[name] != nil { return }
        families[name] = Family(kind: kind, help: help)
        order.append(name)
    }

    private mutating func append(
        _ sample: String, to name: String, _ labels: [(String, String)], _ value: Double
    ) {
        let list = labels.map { "\($0)=\"\(Self.escaped($1))\"" }.joined(separator: ",")
        let braces = list.isEmpty ? "" : "{\(list)}"
        families[name]?.samples += "\(sample)\(braces) \(Self.text(value))\n"
    }

    package enum Kind: String, Sendable { case counter, gauge }

    /// All samples, one family behind the other.
    package var text: String {
        var text = ""
        for name in order {
            guard let family = families[name] else { continue }
            text += "# HELP \(name) \(family.help)\n# TYPE \(name) \(family.kind)\n"
            text += family.samples
        }
        return text
    }

    private static func text(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        if value == value.rounded(), abs(value) < 1e15 { return "\(Int64(value))" }
        return "\(value)"
    }

    private static func escaped(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": result += "\\\\"
            case "\"": result += "\\\""
            case "\n": result += "\\n"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}

extension RunningTopology {
    /// The metrics of the run as Prometheus reads them, whatever metrics backend there is.
    ///
    /// They are those that go to swift-metrics, with the same names and labels: of all stages, and
    /// of checkpoints, ingest journals and connections where there are such. Counters are exact at
    /// the moment of the call. Complexity: O(stages); the stages don't notice.
    public func prometheusText() -> String {
        var text = PrometheusText()
        addMetrics(to: &text)
        return text.text
    }

    package func addMetrics(to text: inout PrometheusText) {
        let now = environment.clock.monotonicNanoseconds()
        let time = environment.clock.now()
        for stage in plan.stages {
            let boxes = mailboxes(of: stage.index)
            for index in boxes.indices {
                var labels = [("topology", name), ("stage", stage.name)]
                if boxes.count > 1 { labels.append(("instance", "\(index)")) }
                let metrics =
                    instances[stage.index].isEmpty
                    ? nil : instances[stage.index][index].metrics
                addMailbox(boxes[index], metrics, labels, now, &text)
                guard let metrics else { continue }
                let supervisor = stage.supervisor ?? supervisors.root
                addCounters(metrics, labels, supervisor.strategy.description, now, &text)
                addGauges(metrics, labels, time, &text)
            }
        }
        environment.resources.instruments.add(to: &text)
    }

    private func addMailbox(
        _ mailbox: Mailbox, _ metrics: StageMetrics?, _ labels: [(String, String)], _ now: Int64,
        _ text: inout PrometheusText
    ) {
        let depth = mailbox.depth
        text.add("weir_mailbox_depth", .gauge, "Events that wait.", labels, depth)
        text.add(
            "weir_mailbox_capacity", .gauge, "Events that may wait.", labels,
            mailbox.totalCapacity)
        let since = metrics?.busySince.load(ordering: .relaxed) ?? 0
        text.add(
            "weir_mailbox_oldest_seconds", .gauge,
            "How long the stage has been at what it took last, while more waits.", labels,
            depth > 0 && since > 0 ? Double(now - since) / 1e9 : 0)
        let reasons = dropped(metrics.map { [$0] } ?? [], [mailbox])
        for (reason, count) in reasons.sorted(by: { $0.key < $1.key }) {
            text.add(
                "weir_dropped_total", .counter, "Events dropped by policy.",
                labels + [("reason", reason)], count)
        }
    }

    private func addCounters(
        _ metrics: StageMetrics, _ labels: [(String, String)], _ strategy: String, _ now: Int64,
        _ text: inout PrometheusText
    ) {
        let counts: [(String, String, Int)] = [
            (
                "weir_events_in_total", "Events taken by a stage.",
                metrics.eventsIn.load(ordering: .relaxed)
            ),
            (
                "weir_events_out_total", "Events emitted or written.",
                metrics.eventsOut.load(ordering: .relaxed)
            ),
            ("weir_batches_in_total", "Batches taken.", metrics.batchesIn.load(ordering: .relaxed)),
            (
                "weir_late_events_total", "Events behind their windows.",
                metrics.late.load(ordering: .relaxed)
            ),
            (
                "weir_dead_letters_total", "Events given up.",
                metrics.deadLetters.load(ordering: .relaxed)
            ),
        ]
        for (name, help, count) in counts { text.add(name, .counter, help, labels, count) }
        text.add(
            "weir_restarts_total", .counter, "Restarts of the stage and its source.",
            labels + [("strategy", strategy)], metrics.restarts.load(ordering: .relaxed))
        let seconds = { (nanoseconds: Int64) in Double(nanoseconds) / 1e9 }
        text.add(
            "weir_handler_seconds", "Time for a batch.", labels,
            sum: seconds(metrics.busyNanoseconds.load(ordering: .relaxed)),
            count: metrics.batchesIn.load(ordering: .relaxed))
        text.add(
            "weir_busy_seconds_total", .counter,
            "Time at work, or waiting for something outside.", labels,
            seconds(metrics.busyNanoseconds.load(ordering: .relaxed)))
        text.add(
            "weir_idle_seconds_total", .counter, "Time without input.", labels,
            seconds(metrics.idleNanoseconds.load(ordering: .relaxed)))
        var blocked = metrics.blockedByStage
        let since = metrics.blockedSince.load(ordering: .relaxed)
        if since > 0, let target = metrics.blockedTarget {
            blocked[target, default: 0] += now - since
        }
        for (target, time) in blocked.sorted(by: { $0.key < $1.key }) {
            text.add(
                "weir_blocked_seconds_total", .counter, "Time waiting for room.",
                labels + [("edge", target)], seconds(time))
        }
    }

    private func addGauges(
        _ metrics: StageMetrics, _ labels: [(String, String)], _ time: EventTime,
        _ text: inout PrometheusText
    ) {
        text.add(
            "weir_state_keys", .gauge, "Keys that have state.", labels,
            metrics.stateKeys.load(ordering: .relaxed))
        text.add(
            "weir_timers_pending", .gauge, "Timers and windows that are pending.", labels,
            metrics.pendingTimers.load(ordering: .relaxed))
        for (gauge, value) in metrics.shownGauges.sorted(by: { $0.key.name < $1.key.name }) {
            text.add(
                gauge.name, gauge.isCounter ? .counter : .gauge, gauge.help, labels, value)
        }
        let watermark = EventTime(nanoseconds: metrics.watermark.load(ordering: .relaxed))
        if watermark != .min, watermark != .max {
            text.add(
                "weir_watermark_lag_seconds", .gauge, "The clock minus the watermark.", labels,
                EventTime.seconds(watermark.duration(to: time)))
        }
        let recovery = metrics.recoveryNanoseconds.load(ordering: .relaxed)
        if recovery > 0 {
            text.add(
                "weir_recovery_seconds", .gauge, "How long the last restart took.", labels,
                Double(recovery) / 1e9)
        }
        let inputs = metrics.inputs
        if !inputs.isEmpty {
            text.add(
                "weir_input_idle", .gauge, "1 while one of several inputs is idle.", labels,
                inputs.contains { $0.isIdle && !$0.hasEnded } ? 1 : 0)
        }
    }
}
