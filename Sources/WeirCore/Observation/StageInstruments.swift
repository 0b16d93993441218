import Metrics
import Synchronization

/// The swift-metrics instruments of one stage instance.
final class StageInstruments: Sendable {
    let stage: Int
    let instance: Int
    private let mailbox: Mailbox
    private let metrics: StageMetrics?
    private let dimensions: [(String, String)]
    private let strategy: String
    private let eventsIn, eventsOut, late, deadLetters, restarts: Counter
    private let busy, idle: FloatingPointCounter
    private let handler: Recorder
    private let depth, capacity, oldest, keys, timers: Meter
    private let changing = Mutex(Changing())

    private struct Changing: Sendable {
        var reported: [String: Int] = [:]
        var dropped: [String: Counter] = [:]
        var blocked: [String: FloatingPointCounter] = [:]
        /// Made when there is something to show: not every stage has event time or was restarted.
        var lag, recovery, inputIdle: Meter?
        var gauges: [StageGauge: Meter] = [:]
        var counters: [StageGauge: Counter] = [:]
    }

    init(
        stage: Int, instance: Int, mailbox: Mailbox, metrics: StageMetrics?, strategy: String,
        dimensions: [(String, String)]
    ) {
        self.stage = stage
        self.instance = instance
        self.mailbox = mailbox
        self.metrics = metrics
        self.strategy = strategy
        self.dimensions = dimensions
        eventsIn = Counter(label: "weir_events_in_total", dimensions: dimensions)
        eventsOut = Counter(label: "weir_events_out_total", dimensions: dimensions)
        late = Counter(label: "weir_late_events_total", dimensions: dimensions)
        deadLetters = Counter(label: "weir_dead_letters_total", dimensions: dimensions)
        restarts = Counter(
            label: "weir_restarts_total", dimensions: dimensions + [("strategy", strategy)])
        busy = FloatingPointCounter(label: "weir_busy_seconds_total", dimensions: dimensions)
        idle = FloatingPointCounter(label: "weir_idle_seconds_total", dimensions: dimensions)
        handler = Recorder(label: "weir_handler_seconds", dimensions: dimensions)
        depth = Meter(label: "weir_mailbox_depth", dimensions: dimensions)
        capacity = Meter(label: "weir_mailbox_capacity", dimensions: dimensions)
        oldest = Meter(label: "weir_mailbox_oldest_seconds", dimensions: dimensions)
        keys = Meter(label: "weir_state_keys", dimensions: dimensions)
        timers = Meter(label: "weir_timers_pending", dimensions: dimensions)
    }

    /// - Parameter sample: What the instance has done since the last report.
    func report(_ sample: StageSample, now: Int64, time: EventTime) {
        let waiting = mailbox.depth
        depth.set(Double(waiting))
        capacity.set(Double(mailbox.totalCapacity))
        guard let metrics else { return reportDropped(nil) }
        eventsIn.increment(by: Int64(sample.eventsIn))
        eventsOut.increment(by: Int64(sample.eventsOut))
        increment(late, "late", to: metrics.late.load(ordering: .relaxed))
        increment(deadLetters, "dead", to: metrics.deadLetters.load(ordering: .relaxed))
        increment(restarts, "restarts", to: metrics.restarts.load(ordering: .relaxed))
        busy.increment(by: Double(sample.busy) / 1e9)
        idle.increment(by: Double(sample.idle) / 1e9)
        if sample.batchesIn > 0 {
            handler.record(Double(sample.busy) / 1e9 / Double(sample.batchesIn))
        }
        let since = metrics.busySince.load(ordering: .relaxed)
        oldest.set(waiting > 0 && since > 0 ? Double(now - since) / 1e9 : 0)
        keys.set(Double(metrics.stateKeys.load(ordering: .relaxed)))
        timers.set(Double(metrics.pendingTimers.load(ordering: .relaxed)))
        for (gauge, value) in metrics.shownGauges { report(gauge, value) }
        reportBlocked(sample)
        reportDropped(metrics)
        reportTime(metrics, time)
    }

    private func report(_ gauge: StageGauge, _ value: Double) {
        if gauge.isCounter {
            let counter = changing.withLock { changing in
                let counter =
                    changing.counters[gauge] ?? Counter(label: gauge.name, dimensions: dimensions)
                changing.counters[gauge] = counter
                return counter
            }
            increment(counter, gauge.name, to: Int(value))
        } else {
            changing.withLock { changing in
                set(&changing.gauges[gauge], gauge.name) { value }
            }
        }
    }

    private func increment(_ counter: Counter, _ key: String, to total: Int) {
        let change = changing.withLock { changing in
            defer { changing.reported[key] = total }
            return total - changing.reported[key, default: 0]
        }
        if change > 0 { counter.increment(by: Int64(change)) }
    }

    private func reportBlocked(_ sample: StageSample) {
        for (target, nanoseconds) in sample.blockedOn where nanoseconds > 0 {
            let counter = changing.withLock { changing in
                let counter =
                    changing.blocked[target]
                    ?? FloatingPointCounter(
                        label: "weir_blocked_seconds_total",
                        dimensions: dimensions + [("edge", target)])
                changing.blocked[target] = counter
                return counter
            }
            counter.increment(by: Double(nanoseconds) / 1e9)
        }
    }

    private func reportDropped(_ metrics: StageMetrics?) {
        var totals: [String: Int] = [:]
        for (reason, count) in metrics?.droppedByReason ?? [:] {
            totals[reason.rawValue, default: 0] += count
        }
        totals[DropReason.overflow.rawValue, default: 0] +=
            mailbox.dropped.load(ordering: .relaxed) + mailbox.spillLost
        totals[DropReason.cancelled.rawValue, default: 0] +=
            mailbox.discarded.load(ordering: .relaxed)
        for (reason, total) in totals where total > 0 {
            let counter = changing.withLock { changing in
                let counter =
                    changing.dropped[reason]
                    ?? Counter(
                        label: "weir_dropped_total", dimensions: dimensions + [("reason", reason)])
                changing.dropped[reason] = counter
                return counter
            }
            increment(counter, "dropped \(reason)", to: total)
        }
    }

    private func reportTime(_ metrics: StageMetrics, _ time: EventTime) {
        let watermark = EventTime(nanoseconds: metrics.watermark.load(ordering: .relaxed))
        let recovery = metrics.recoveryNanoseconds.load(ordering: .relaxed)
        let inputs = metrics.inputs
        changing.withLock { changing in
            if watermark != .min && watermark != .max {
                set(&changing.lag, "weir_watermark_lag_seconds") {
                    EventTime.seconds(watermark.duration(to: time))
                }
            }
            if recovery > 0 {
                set(&changing.recovery, "weir_recovery_seconds") { Double(recovery) / 1e9 }
            }
            if !inputs.isEmpty {
                set(&changing.inputIdle, "weir_input_idle") {
                    inputs.contains { $0.isIdle && !$0.hasEnded } ? 1 : 0
                }
            }
        }
    }

    private func set(_ meter: inout Meter?, _ label: String, _ value: () -> Double) {
        let made = meter ?? Meter(label: label, dimensions: dimensions)
        meter = made
        made.set(value())
    }
}
