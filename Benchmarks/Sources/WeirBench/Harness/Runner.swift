import CMeasure
import Foundation

/// Runs the sides of a benchmark in turn and gathers what they measured.
struct Runner: Sendable {
    /// How often each side is measured.
    var runs = 7
    /// Events of a run, in place of the benchmark's own number.
    var events: Int?

    /// Runs A B C A B C …, so that what else the machine does falls on all sides alike.
    @concurrent
    func run(_ benchmark: Benchmark) async throws -> BenchmarkResult {
        let total = min(events ?? benchmark.events, benchmark.eventsMax)
        if total < events ?? benchmark.events {
            progress("\(benchmark.id): the machine's limits leave room for \(total) only")
        }
        var samples = [[Sample]](repeating: [], count: benchmark.sides.count)
        for side in benchmark.sides {
            let warmUp = max(1, side.events(of: total) / 10)
            _ = try await checked(side, warmUp, benchmark)
        }
        for run in 0..<runs {
            for (index, side) in benchmark.sides.enumerated() {
                progress("\(benchmark.id) run \(run + 1)/\(runs): \(side.name)")
                let count = side.events(of: total)
                var sample = try await checked(side, count, benchmark)
                if benchmark.metric == .allocations {
                    sample.allocationsPerEvent = try await allocations(side, count, benchmark)
                }
                samples[index].append(sample)
            }
        }
        if benchmark.metric == .wallTime, cmeasure_counts_allocations() {
            for (index, side) in benchmark.sides.enumerated() {
                let count = max(1, side.events(of: total) / 4)
                let perEvent = try await allocations(side, count, benchmark)
                for run in samples[index].indices {
                    samples[index][run].allocationsPerEvent = perEvent
                }
            }
        }
        return BenchmarkResult(benchmark, samples: samples)
    }

    private func checked(
        _ side: Side, _ events: Int, _ benchmark: Benchmark
    ) async throws -> Sample {
        let sample = try await side.run(events)
        let expected = benchmark.expectedChecksum(events)
        guard sample.events == events, sample.checksum == expected else {
            throw MeasurementError(
                description: """
                    \(benchmark.id), \(side.name): \(sample.events) events with checksum \
                    \(sample.checksum), where \(events) with \(expected) were due
                    """)
        }
        return sample
    }

    /// Allocations per event in steady state: a run of `3n` events less a run of `n`, so that what
    /// is allocated once per run cancels out.
    private func allocations(
        _ side: Side, _ events: Int, _ benchmark: Benchmark
    ) async throws -> Double? {
        guard cmeasure_counts_allocations() else { return nil }
        let short = try await countAllocations(side, events, benchmark)
        let long = try await countAllocations(side, 3 * events, benchmark)
        return max(0, Double(long) - Double(short)) / Double(2 * events)
    }

    private func countAllocations(
        _ side: Side, _ events: Int, _ benchmark: Benchmark
    ) async throws -> UInt64 {
        let before = cmeasure_allocations()
        cmeasure_set_counting(true)
        defer { cmeasure_set_counting(false) }
        _ = try await checked(side, events, benchmark)
        return cmeasure_allocations() - before
    }

    private func progress(_ text: String) {
        FileHandle.standardError.write(Data("\(text)\n".utf8))
    }
}
