import Metrics
import Synchronization

/// Hands the counters of a run to swift-metrics at an interval, so that the stages themselves have nothing to do with it.
final class MetricsReporter: Sendable {
    private let running: RunningTopology
    private let instruments = Mutex<[StageInstruments]>([])
    private let observer = Observer()

    init(running: RunningTopology) {
        self.running = running
    }

    /// Reports at the configured interval until cancelled; not at all when the interval is zero.
    func run() async {
        let interval = running.configuration.metricsInterval
        if interval <= .zero { return }
        let clock = running.environment.clock
        while (try? await clock.sleep(for: interval)) != nil { report() }
    }

    /// Reports what has changed since the last call.
    func report() {
        if running.configuration.metricsInterval <= .zero { return }
        let now = running.environment.clock.monotonicNanoseconds()
        let time = running.environment.clock.now()
        let (_, samples) = observer.changes(of: running, now: now)
        instruments.withLock { instruments in
            if instruments.isEmpty { instruments = makeInstruments() }
            for stage in instruments {
                let sample =
                    samples[stage.stage].indices.contains(stage.instance)
                    ? samples[stage.stage][stage.instance] : StageSample()
                stage.report(sample, now: now, time: time)
            }
        }
    }

    private func makeInstruments() -> [StageInstruments] {
        running.plan.stages.flatMap { stage in
            let mailboxes = running.mailboxes(of: stage.index)
            return mailboxes.indices.map { instance in
                let actors = running.instances[stage.index]
                return StageInstruments(
                    stage: stage.index, instance: instance, mailbox: mailboxes[instance],
                    metrics: actors.isEmpty ? nil : actors[instance].metrics,
                    strategy: (stage.supervisor ?? running.supervisors.root).strategy.description,
                    dimensions: [("topology", running.name), ("stage", stage.name)]
                        + (mailboxes.count > 1 ? [("instance", "\(instance)")] : []))
            }
        }
    }
}
