import Histogram
import Synchronization

/// The line that is written each second while a load runs.
final class ProgressLine: Sendable {
    private struct State {
        var seconds = 0
        var sent = 0
    }

    private let state = Mutex(State())

    /// The line for what has happened up to now.
    func next(_ record: LoadRecord) -> String {
        let (second, before) = state.withLock { state in
            defer { state.sent = record.sent }
            state.seconds += 1
            return (state.seconds, state.sent)
        }
        var text = "\(second) s: \(record.sent) sent (\(record.sent - before)/s)"
        if record.answered > 0 { text += ", \(record.answered) answered" }
        let p99 = Double(record.latency.valueAtPercentile(99)) / 1e3
        text += ", p99 \(LoadReport.time(p99))"
        if record.failedConnections > 0 {
            text += ", \(record.failedConnections) connections failed"
        }
        return text
    }
}
