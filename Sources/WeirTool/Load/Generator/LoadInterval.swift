import Dispatch
import Histogram
import Synchronization

/// What happened in one second of a load, or in the rest at its end.
struct LoadInterval: Sendable {
    /// Nanoseconds from the load's start.
    let start: UInt64
    let length: UInt64
    let due: Int
    let sent: Int
    /// The times that came to an end in it.
    let latency: Histogram<UInt64>
}

/// The seconds of a load; put in order on a queue of its own, so that the loop is not held up.
final class IntervalLog: Sendable {
    private struct State {
        var seconds: [LoadReport.Second] = []
        var lines: [String] = []
    }

    private let queue = DispatchQueue(label: "weir-load-intervals")
    private let keepsHistograms: Bool
    private let state = Mutex(State())

    /// Begins an empty log; `keepsHistograms` writes each second as a line of a histogram log.
    init(keepsHistograms: Bool) {
        self.keepsHistograms = keepsHistograms
    }

    func append(_ interval: LoadInterval) {
        queue.async { [self] in
            let second = LoadReport.Second(interval)
            let line = keepsHistograms ? HistogramLog.line(interval) : nil
            state.withLock { state in
                state.seconds.append(second)
                if let line { state.lines.append(line) }
            }
        }
    }

    /// What was appended up to now.
    func contents() -> (seconds: [LoadReport.Second], lines: [String]) {
        queue.sync { state.withLock { ($0.seconds, $0.lines) } }
    }
}
