import ArgumentParser
import Foundation

@main
struct WeirBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "weir-bench",
        abstract: "Measures Weir against its peers, both in one run.",
        subcommands: [
            Core.self, Network.self, JSON.self, Binary.self, Operators.self, Recovery.self,
            NexmarkCommand.self,
            NexmarkEventsCommand.self, List.self,
            GenerateTCP.self, GenerateWebSocket.self, GenerateEcho.self, GenerateHTTP.self,
            GenerateIdle.self, IdleServer.self,
            RecoveryWorker.self,
        ])
}

extension WeirBench {
    struct Core: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Operators, hand-over, stages, latency, allocations, keyed state.")
        @OptionGroup var options: MeasurementOptions

        func run() async throws { try await options.measure(.core) }
    }

    struct Network: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Ingest over loopback, from a load generator in a process of its own.")
        @OptionGroup var options: MeasurementOptions

        func run() async throws { try await options.measure(.network) }
    }

    struct JSON: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "json", abstract: "Decoding of JSON events into structs.")
        @OptionGroup var options: MeasurementOptions

        func run() async throws { try await options.measure(.json) }
    }

    struct Binary: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Encoding and decoding of events and state in the binary format.")
        @OptionGroup var options: MeasurementOptions

        func run() async throws { try await options.measure(.binary) }
    }

    struct Operators: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Each operator by itself, between a source and a sink.")
        @OptionGroup var options: MeasurementOptions

        func run() async throws { try await options.measure(.operators) }
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Lists the benchmarks, their sides and their exact workloads.")

        func run() {
            for benchmark in Catalogue.benchmarks {
                let state = benchmark.hasWeir ? "" : "  [peers only]"
                print("\(benchmark.group.rawValue) \(benchmark.id)  \(benchmark.title)\(state)")
                print("    \(benchmark.workload)")
                print("    \(benchmark.events) events; \(benchmark.metric.unit)")
                for side in benchmark.sides {
                    let events = side.events(of: benchmark.events)
                    let bar = side.bar.map { "; bar \($0.text)" } ?? ""
                    print("    - \(side.name) (\(events) events\(bar))")
                }
            }
        }
    }
}

/// The arguments of the commands that measure.
struct MeasurementOptions: ParsableArguments {
    @Argument(help: "Benchmarks to run, as in \"C1 C2\"; all of the group where none is named.")
    var ids: [String] = []

    @Option(help: "How often each side is measured; the bars ask for at least 5.")
    var runs = 7

    @Option(help: "Events of a run, in place of each benchmark's own number.")
    var events: Int?

    @Option(help: "Measure only sides whose names contain this, as in \"Weir\" for a profile.")
    var side: String?

    @Option(help: "A file for the results as JSON.")
    var json: String?

    func validate() throws {
        guard runs >= 1 else { throw ValidationError("--runs must be at least 1") }
        guard events ?? 1 >= 1 else { throw ValidationError("--events must be at least 1") }
    }

    func measure(_ group: Benchmark.Group) async throws {
        let benchmarks = try Catalogue.select(group, ids).map { benchmark in
            guard let side else { return benchmark }
            var benchmark = benchmark
            benchmark.sides.removeAll { !$0.name.localizedStandardContains(side) }
            return benchmark
        }
        let machine = Machine.current()
        let runner = Runner(runs: runs, events: events)
        var results: [BenchmarkResult] = []
        for benchmark in benchmarks {
            results.append(try await runner.run(benchmark))
        }
        let report = Report(
            machine: machine, loadAfter: Machine.loadAverages(), command: CommandLine.arguments,
            benchmarks: results)
        print(report.table)
        if let json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            try encoder.encode(report).write(to: URL(fileURLWithPath: json))
        }
    }
}
