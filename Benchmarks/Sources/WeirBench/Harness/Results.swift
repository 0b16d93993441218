import Foundation

/// Everything that one call of `weir-bench` measured, as it is written to JSON.
struct Report: Codable {
    let machine: Machine
    /// Load averages over 1, 5 and 15 minutes, after the last benchmark.
    let loadAfter: [Double]
    let command: [String]
    let benchmarks: [BenchmarkResult]
}

/// What a benchmark's sides measured.
struct BenchmarkResult: Codable {
    let id: String
    let group: Benchmark.Group
    let title: String
    let workload: String
    let unit: String
    /// Weir's side is missing, so nothing is compared.
    let peersOnly: Bool
    let sides: [SideResult]
}

/// What the runs of one side measured.
struct SideResult: Codable {
    let name: String
    let isWeir: Bool
    let events: Int
    let runs: Int
    /// The figure in the benchmark's unit: median, least and greatest of the runs.
    let figure: Spread
    let wallNanosecondsPerEvent: Spread
    let cpuNanosecondsPerEvent: Spread
    let allocationsPerEvent: Spread?
    let latencyP50: Spread?
    let latencyP99: Spread?
    let senderLatenessP99: Spread?
    let generatorCPUNanosecondsPerEvent: Spread?
    let memory: MemoryResult?
    let checksum: UInt64
    /// This side's figure over Weir's, run by run.
    let ratioToWeir: Spread?
    let bars: [BarResult]
}

/// Further figures of a connection's memory, in bytes.
struct MemoryResult: Codable {
    /// With file pages, in the first round.
    let resident: Spread
    /// Anonymous memory with as many connections again after the first were closed.
    let secondRound: Spread
    /// Anonymous memory that is left when all are closed.
    let closed: Spread

    init?(_ runs: [Sample]) {
        guard let resident = Spread(runs.map { $0.memory?.first.resident }),
            let secondRound = Spread(runs.map { $0.memory?.second.anonymous }),
            let closed = Spread(runs.map { $0.memory?.closed.anonymous })
        else { return nil }
        self.resident = resident
        self.secondRound = secondRound
        self.closed = closed
    }
}

/// A bar and whether it is reached.
struct BarResult: Codable {
    let text: String
    /// Nothing where there is no figure of Weir's to compare.
    let met: Bool?
}

/// Median, least and greatest of several values.
struct Spread: Codable {
    let median: Double
    let least: Double
    let greatest: Double

    init?(_ values: [Double?]) {
        let sorted = values.compactMap { $0 }.sorted()
        guard let first = sorted.first, let last = sorted.last else { return nil }
        least = first
        greatest = last
        let middle = sorted.count / 2
        median =
            sorted.count.isMultiple(of: 2)
            ? (sorted[middle - 1] + sorted[middle]) / 2 : sorted[middle]
    }

    private init(exactly value: Double) {
        (median, least, greatest) = (value, value, value)
    }

    static let unknown = Spread(exactly: -1)
}

extension BenchmarkResult {
    init(_ benchmark: Benchmark, samples: [[Sample]]) {
        id = benchmark.id
        group = benchmark.group
        title = benchmark.title
        workload = benchmark.workload
        unit = benchmark.metric.unit
        peersOnly = !benchmark.hasWeir
        let weir = zip(benchmark.sides, samples).first { $0.0.isWeir }?.1
        sides = zip(benchmark.sides, samples).map { side, runs in
            SideResult(benchmark, side, runs, weir: weir)
        }
    }
}

extension SideResult {
    init(_ benchmark: Benchmark, _ side: Side, _ runs: [Sample], weir: [Sample]?) {
        let value = benchmark.metric.value(of:)
        name = side.name
        isWeir = side.isWeir
        events = runs.first?.events ?? 0
        self.runs = runs.count
        figure = Spread(runs.map { value($0) }) ?? .unknown
        wallNanosecondsPerEvent = Spread(runs.map(\.wallNanosecondsPerEvent)) ?? .unknown
        cpuNanosecondsPerEvent = Spread(runs.map(\.cpuNanosecondsPerEvent)) ?? .unknown
        allocationsPerEvent = Spread(runs.map(\.allocationsPerEvent))
        latencyP50 = Spread(runs.map { $0.latency?.p50 })
        latencyP99 = Spread(runs.map { $0.latency?.p99 })
        senderLatenessP99 = Spread(runs.map { $0.latency?.senderLatenessP99 })
        generatorCPUNanosecondsPerEvent = Spread(
            runs.map { run in run.generatorCPU.map { $0.nanoseconds / Double(run.events) } })
        memory = MemoryResult(runs)
        checksum = runs.first?.checksum ?? 0
        let ratio = side.isWeir ? nil : Self.ratio(of: runs, to: weir ?? [], value)
        ratioToWeir = ratio
        bars = Self.bars(benchmark, side, figure: figure, ratio: ratio)
    }

    /// The ratio run by run, as the runs of a pair are neighbours in time.
    private static func ratio(
        of runs: [Sample], to weir: [Sample], _ value: (Sample) -> Double?
    ) -> Spread? {
        Spread(
            zip(runs, weir).map { run, weir in
                guard let figure = value(run), let base = value(weir), base > 0 else { return nil }
                return figure / base
            })
    }

    private static func bars(
        _ benchmark: Benchmark, _ side: Side, figure: Spread, ratio: Spread?
    ) -> [BarResult] {
        if side.isWeir {
            return benchmark.limits.map { limit in
                BarResult(
                    text: "≤ \(limit.atMost.formatted3) \(benchmark.metric.unit)",
                    met: limit.isMet(by: figure.median))
            }
        }
        guard let bar = side.bar else { return [] }
        return [
            BarResult(
                text: bar.text, met: ratio.map { bar.isMet(byPeerOverWeir: $0.median) })
        ]
    }
}
