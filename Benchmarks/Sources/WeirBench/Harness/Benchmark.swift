/// One comparison: a workload, the sides that run it, and the bars that Weir has to reach.
struct Benchmark: Sendable {
    enum Group: String, Codable, Sendable, CaseIterable {
        case core
        case network
        case json
        case binary
        case operators
    }

    /// The name used in the bars and on the command line, as in "C1".
    let id: String
    let group: Group
    let title: String
    /// The exact work of one event, so that each side does the same.
    let workload: String
    let metric: Metric
    /// How many events a run has, before a side's share.
    let events: Int
    /// What the machine has room for at most, whatever number is asked for.
    var eventsMax = Int.max
    /// The bars on Weir's own figure, in the metric's unit.
    var limits: [Limit] = []
    /// The sides in the order of the table; Weir's first where it exists.
    var sides: [Side]
    /// The checksum that a run of so many events has to give.
    let expectedChecksum: @Sendable (_ events: Int) -> UInt64

    var hasWeir: Bool { sides.contains { $0.isWeir } }
}

/// One implementation of a benchmark's workload.
struct Side: Sendable {
    let name: String
    var isWeir = false
    /// The part of the benchmark's events that this side runs; slow peers run fewer.
    var share = 1.0
    /// The bar on the ratio of this side's figure to Weir's.
    var bar: RatioBar?
    /// Runs the workload once and measures it; set-up is left out of the measurement.
    let run: @Sendable (_ events: Int) async throws -> Sample

    func events(of total: Int) -> Int { max(1, Int(Double(total) * share)) }
}

/// What a benchmark compares.
enum Metric: Sendable {
    case wallTime
    case cpuTime
    case medianLatency
    case allocations
    case memory

    var unit: String {
        switch self {
        case .wallTime: "ns/event"
        case .cpuTime: "CPU ns/event"
        case .medianLatency: "µs p50"
        case .allocations: "alloc/event"
        case .memory: "B/connection"
        }
    }

    func value(of sample: Sample) -> Double? {
        switch self {
        case .wallTime: sample.wallNanosecondsPerEvent
        case .cpuTime: sample.cpuNanosecondsPerEvent
        case .medianLatency: sample.latency?.p50
        case .allocations: sample.allocationsPerEvent
        case .memory: sample.memory?.first.anonymous
        }
    }
}

/// A bar on Weir's own figure.
struct Limit: Sendable {
    let atMost: Double

    func isMet(by value: Double) -> Bool { value <= atMost }
}

/// A bar on the ratio of a peer's figure to Weir's; lower figures are better in every metric.
enum RatioBar: Sendable {
    /// Weir needs at most `1 / factor` of what the peer needs.
    case faster(Double)
    /// Weir needs at most `factor` times what the peer needs.
    case within(Double)

    var text: String {
        switch self {
        case .faster(let factor): "≥ \(factor.formatted3)×"
        case .within(let factor): "≤ \(factor.formatted3)× its figure"
        }
    }

    func isMet(byPeerOverWeir ratio: Double) -> Bool {
        switch self {
        case .faster(let factor): ratio >= factor
        case .within(let factor): ratio >= 1 / factor
        }
    }
}

/// Why a measurement cannot be used.
struct MeasurementError: Error, CustomStringConvertible {
    let description: String
}
