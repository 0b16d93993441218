/// Hands the counters of a run to swift-metrics at an interval.
final class MetricsReporter: Sendable {
    private let running: RunningTopology

    init(running: RunningTopology) {
        self.running = running
    }

    func run() async {
    }

    func report() {
    }
}
