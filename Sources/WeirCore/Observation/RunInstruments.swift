import Metrics
import Synchronization

/// What a run counts beside its stages: each number goes to swift-metrics when it changes, and into
/// the text of Prometheus when somebody asks.
///
/// An instrument is made once for its name and labels, so that a stage that restarts goes on with
/// its numbers and the text has each sample once.
package final class RunInstruments: Sendable {
    private struct Entry: Sendable {
        let name: String
        let help: String
        let labels: [(String, String)]
        let instrument: any RunInstrument
    }

    private let topology: String
    private let entries = Mutex<[Entry]>([])

    /// - Parameter topology: The label of all; empty for none, which tests of a part have.
    package init(topology: String = "") {
        self.topology = topology
    }

    /// A number that only grows.
    package func counter(
        _ name: String, _ help: String, _ labels: [(String, String)] = []
    ) -> RunCounter {
        instrument(name, help, labels) { RunCounter(name, $0) }
    }

    /// A number that goes up and down.
    package func gauge(
        _ name: String, _ help: String, _ labels: [(String, String)] = []
    ) -> RunGauge {
        instrument(name, help, labels) { RunGauge(name, $0) }
    }

    /// Durations in seconds, counted by how long they were.
    package func histogram(
        _ name: String, _ help: String, _ labels: [(String, String)] = []
    ) -> RunHistogram {
        instrument(name, help, labels) { RunHistogram(name, $0) }
    }

    private func instrument<Instrument: RunInstrument>(
        _ name: String, _ help: String, _ labels: [(String, String)],
        make: ([(String, String)]) -> Instrument
    ) -> Instrument {
        let all = (topology.isEmpty ? [] : [("topology", topology)]) + labels
        return entries.withLock { entries in
            let found = entries.first {
                $0.name == name && $0.labels.elementsEqual(all) { $0 == $1 }
            }
            if let found = found?.instrument as? Instrument { return found }
            let made = make(all)
            entries.append(Entry(name: name, help: help, labels: all, instrument: made))
            return made
        }
    }

    /// Adds what there is to the text.
    func add(to text: inout PrometheusText) {
        for entry in entries.withLock({ $0 }) {
            switch entry.instrument.reading {
            case .number(let kind, let value):
                text.add(entry.name, kind, entry.help, entry.labels, value)
            case .durations(let durations):
                text.add(entry.name, entry.help, entry.labels, durations)
            }
        }
    }
}

/// What an instrument shows.
enum InstrumentReading: Sendable {
    case number(PrometheusText.Kind, Double)
    case durations(RunHistogram.Durations)
}

/// A number of a run that can be read.
protocol RunInstrument: Sendable {
    var reading: InstrumentReading { get }
}

/// A number of a run that only grows.
package final class RunCounter: RunInstrument {
    private let total = Atomic<Int>(0)
    private let reported: Counter

    init(_ name: String, _ dimensions: [(String, String)]) {
        reported = Counter(label: name, dimensions: dimensions)
    }

    package func increment(by amount: Int = 1) {
        total.add(amount, ordering: .relaxed)
        reported.increment(by: amount)
    }

    var reading: InstrumentReading { .number(.counter, Double(total.load(ordering: .relaxed))) }
}

/// A number of a run that goes up and down.
package final class RunGauge: RunInstrument {
    private let bits = Atomic<UInt64>(0)
    private let reported: Meter

    init(_ name: String, _ dimensions: [(String, String)]) {
        reported = Meter(label: name, dimensions: dimensions)
    }

    package func set(_ value: Double) {
        bits.store(value.bitPattern, ordering: .relaxed)
        reported.set(value)
    }

    var reading: InstrumentReading {
        .number(.gauge, Double(bitPattern: bits.load(ordering: .relaxed)))
    }
}

/// Durations of a run.
package final class RunHistogram: RunInstrument {
    /// Bounds in seconds, from what a fast disk takes to what a large checkpoint does.
    static let bounds = [
        0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5,
        10, 30, 60, 300,
    ]

    /// How many durations were how long.
    struct Durations: Sendable {
        /// Those up to each of the bounds that were above the bound before it.
        private(set) var counts = [Int](repeating: 0, count: bounds.count)
        private(set) var count = 0
        private(set) var sum = 0.0

        mutating func add(_ seconds: Double) {
            count += 1
            sum += seconds
            if let index = bounds.firstIndex(where: { seconds <= $0 }) { counts[index] += 1 }
        }
    }

    private let durations = Mutex(Durations())
    private let reported: Recorder

    init(_ name: String, _ dimensions: [(String, String)]) {
        reported = Recorder(label: name, dimensions: dimensions)
    }

    package func record(_ seconds: Double) {
        durations.withLock { $0.add(seconds) }
        reported.record(seconds)
    }

    var reading: InstrumentReading { .durations(durations.withLock { $0 }) }
}
