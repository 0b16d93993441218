import Synchronization

extension RunningTopology {
    /// How the topology is doing.
    ///
    /// Rates and ratios are those since the last call, or since the start. What is under way counts: a stage that has
    /// waited for a minute shows so before the wait is over. Complexity: O(stages); the stages don't notice.
    public func status() -> TopologyStatus {
        let now = environment.clock.monotonicNanoseconds()
        let (elapsed, samples) = observer.changes(of: self, now: now)
        let seconds = Double(elapsed) / 1e9
        let stages = plan.stages.map { stage in
            stageStatus(stage, samples[stage.index], now: now, seconds: seconds)
        }
        let edges = plan.edges.map { edge in
            edgeStatus(edge, samples[edge.from], stages, seconds: seconds)
        }
        var status = TopologyStatus(
            topology: name, time: environment.clock.now(), intervalSeconds: seconds,
            stages: stages, edges: edges,
            supervisors: supervisors.restarts.map {
                SupervisorStatus(
                    name: $0.label, strategy: $0.strategy.description, restarts: $0.count)
            }, bottleneck: nil, deadLetters: deadLetters.total)
        status.bottleneck = BottleneckSearch(status).result
        status.connections = environment.resources.all(of: (any ConnectionReporting).self)
            .map(\.connectionStatus).sorted { $0.stage < $1.stage }
        return status
    }

    private func stageStatus(
        _ stage: Plan.Stage, _ samples: [StageSample], now: Int64, seconds: Double
    ) -> StageStatus {
        let metrics = instances[stage.index].map { $0.metrics }
        let mailboxes = mailboxes(of: stage.index)
        let count = Double(max(1, metrics.count))
        func total(_ value: (StageMetrics) -> Int) -> Int { metrics.reduce(0) { $0 + value($1) } }
        func ratio(_ value: (StageSample) -> Int64) -> Double {
            let sum = samples.reduce(0) { $0 + value($1) }
            return min(1, Double(sum) / 1e9 / max(seconds, 1e-9) / count)
        }
        let depth = mailboxes.reduce(0) { $0 + $1.depth }
        let isPaused = mailboxes.contains { $0.isPaused }
        let busySince = metrics.map { $0.busySince.load(ordering: .relaxed) }.filter { $0 > 0 }
        let watermark = watermark(of: metrics)
        let lag = watermark.map { EventTime.seconds($0.duration(to: environment.clock.now())) }
        return StageStatus(
            name: stage.name, instances: metrics.count, isPaused: isPaused,
            activity: activity(metrics, mailboxes, isPaused: isPaused),
            eventsIn: total { $0.eventsIn.load(ordering: .relaxed) },
            eventsOut: total { $0.eventsOut.load(ordering: .relaxed) },
            eventsInPerSecond: Double(samples.reduce(0) { $0 + $1.eventsIn }) / seconds,
            eventsOutPerSecond: Double(samples.reduce(0) { $0 + $1.eventsOut }) / seconds,
            busyRatio: ratio { $0.busy }, idleRatio: ratio { $0.idle },
            blockedRatio: ratio { $0.blocked }, mailboxDepth: depth,
            mailboxCapacity: mailboxes.reduce(0) { $0 + $1.totalCapacity },
            oldestSeconds: depth > 0 ? Double(now - (busySince.min() ?? now)) / 1e9 : 0,
            watermark: watermark, watermarkLagSeconds: watermark == .max ? nil : lag,
            watermarkHeldBackBy: holdingBack(stage.index),
            late: total { $0.late.load(ordering: .relaxed) },
            dropped: dropped(metrics, mailboxes),
            deadLetters: total { $0.deadLetters.load(ordering: .relaxed) },
            restarts: total { $0.restarts.load(ordering: .relaxed) },
            stateKeys: total { $0.stateKeys.load(ordering: .relaxed) },
            timers: total { $0.pendingTimers.load(ordering: .relaxed) },
            gauges: gauges(metrics), alignment: metrics.lazy.compactMap { $0.alignment }.first)
    }

    private func gauges(_ metrics: [StageMetrics]) -> [String: Double] {
        var sums: [String: Double] = [:]
        for instance in metrics {
            for (gauge, value) in instance.shownGauges {
                sums[gauge.name] = gauge.combine(sums[gauge.name], value)
            }
        }
        return sums
    }

    private func activity(
        _ metrics: [StageMetrics], _ mailboxes: [Mailbox], isPaused: Bool
    ) -> String {
        if !mailboxes.isEmpty && mailboxes.allSatisfy({ $0.isClosed }) { return "ended" }
        for instance in metrics {
            if instance.blockedSince.load(ordering: .relaxed) != 0 { return "blocked" }
            if instance.alignment?.isHeld == true { return "aligning" }
            if instance.busySince.load(ordering: .relaxed) == 0 { continue }
            switch instance.activity {
            case .handling: return "handling"
            case .writing: return "writing"
            case .awaitingCalls: return "awaiting calls"
            case .restarting: return "restarting"
            }
        }
        return isPaused ? "paused" : "idle"
    }

    private func watermark(of metrics: [StageMetrics]) -> EventTime? {
        let lowest = metrics.map { $0.watermark.load(ordering: .relaxed) }.min() ?? Int64.min
        return lowest == .min ? nil : EventTime(nanoseconds: lowest)
    }

    func dropped(_ metrics: [StageMetrics], _ mailboxes: [Mailbox]) -> [String: Int] {
        var result: [String: Int] = [:]
        for instance in metrics {
            for (reason, count) in instance.droppedByReason {
                result[reason.rawValue, default: 0] += count
            }
        }
        for mailbox in mailboxes {
            let overflow = mailbox.dropped.load(ordering: .relaxed)
            let discarded = mailbox.discarded.load(ordering: .relaxed)
            if overflow > 0 { result[DropReason.overflow.rawValue, default: 0] += overflow }
            if discarded > 0 { result[DropReason.cancelled.rawValue, default: 0] += discarded }
        }
        return result
    }

    /// The stages behind the channels whose watermark is the lowest, if others are ahead of it.
    private func holdingBack(_ stage: Int) -> [String] {
        // One channel per edge and instance of the sender, as the assembly has numbered them.
        let senders = plan.edges.filter { $0.to == stage }.flatMap {
            Array(repeating: plan.stages[$0.from].name, count: instances[$0.from].count)
        }
        var names: [String] = []
        for instance in instances[stage] {
            let inputs = instance.metrics.inputs
            let active = zip(inputs, senders).filter {
                !$0.0.isIdle && !$0.0.isOver && !$0.0.hasEnded
            }
            let lowest = active.map { $0.0.watermark }.min() ?? .max
            guard inputs.contains(where: { $0.watermark > lowest }) else { continue }
            for (input, sender) in active
            where input.watermark == lowest && !names.contains(sender) {
                names.append(sender)
            }
        }
        return names
    }

    private func edgeStatus(
        _ edge: Plan.Edge, _ samples: [StageSample], _ stages: [StageStatus], seconds: Double
    ) -> EdgeStatus {
        let target = plan.stages[edge.to].name
        let metrics = instances[edge.from].map { $0.metrics }
        let now = environment.clock.monotonicNanoseconds()
        var total = metrics.reduce(0) { $0 + ($1.blockedByStage[target] ?? 0) }
        let blocked = metrics.filter { $0.blockedTarget == target }
        for instance in blocked {
            let since = instance.blockedSince.load(ordering: .relaxed)
            if since > 0 { total += now - since }
        }
        let recent = samples.reduce(0) { $0 + ($1.blockedOn[target] ?? 0) }
        return EdgeStatus(
            from: plan.stages[edge.from].name, to: target, blockedSeconds: Double(total) / 1e9,
            blockedRatio: min(
                1, Double(recent) / 1e9 / max(seconds, 1e-9) / Double(max(1, metrics.count))),
            isBlocked: !blocked.isEmpty, fill: stages[edge.to].mailboxFill)
    }
}

extension EventTime {
    static func seconds(_ duration: Duration) -> Double {
        Double(duration.components.seconds) + Double(duration.components.attoseconds) / 1e18
    }
}
