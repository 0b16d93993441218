import ArgumentParser
import Foundation
import Nexmark
import Weir

/// A query of Nexmark over generated events or files.
struct NexmarkCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "nexmark",
        abstract: "Runs queries of Nexmark: events/s, processor time, memory, results.")

    @Argument(help: "q0 to q22, several, or all.")
    var queries: [String]

    @Option(help: "How many events the generator makes: people, auctions and bids.")
    var events = 10_000_000

    @Option(help: "Events per second of event time.")
    var rate = 100_000

    @Option(help: "What the generator's random numbers follow from.")
    var seed: UInt64 = 42

    @Option(help: "How many actors each keyed stage runs as.")
    var parallelism = 1

    @Option(help: "A directory for checkpoints, with one for each query in it; none without it.")
    var store: String?

    @Option(help: "Seconds from one checkpoint to the next.")
    var checkpointEvery = 10.0

    @Option(help: "Kill the process behind so many events of --input, and a checkpoint.")
    var killBehind: Int?

    @Option(help: "A directory with person.csv, auction.csv and bid.csv, read instead.")
    var input: String?

    @Option(help: "A CSV file for the final result, sorted; only for one query and one run.")
    var output: String?

    @Option(help: "A directory for the files of q10. Default: a temporary one.")
    var files: String?

    @Option(help: "How often each query runs; the figures are those of the median run.")
    var runs = 1

    @Flag(help: "Make or read all events before the clock starts.")
    var prepared = false

    @Flag(help: "Run a hand-written loop over the same prepared events in turn with the query.")
    var compare = false

    func validate() throws {
        for query in queries where query != "all" && !QueryRun.names.contains(query) {
            throw ValidationError("there is no \(query); there are q0 to q22 and all")
        }
        guard events >= 1, rate >= 1, runs >= 1 else {
            throw ValidationError("--events, --rate and --runs must be at least 1")
        }
        guard (1...128).contains(parallelism) else {
            throw ValidationError("--parallelism takes 1 to 128")
        }
        if store != nil, runs != 1 {
            throw ValidationError("--store takes one run: the next one would go on from its end")
        }
        if output != nil, queries.count != 1 || queries == ["all"] || runs != 1 || compare {
            throw ValidationError("--output takes one query and one run")
        }
        if killBehind != nil, input == nil {
            throw ValidationError("--kill-behind takes --input")
        }
    }

    func run() async throws {
        let names = queries.contains("all") ? QueryRun.names : queries
        print(Machine.current().summary)
        let events = try preparedEvents()
        for name in names {
            var measured: [NexmarkRun] = []
            for _ in 0..<runs { measured.append(try await measure(name, events)) }
            let median = measured.sorted { $0.seconds < $1.seconds }[measured.count / 2]
            print(median.text)
            if runs > 1 { print("    " + spread(measured.map { $0.eventsPerSecond / 1e6 })) }
            if compare, let text = Comparison(measured)?.text { print("    " + text) }
        }
        let load = Machine.loadAverages().map { $0.formatted3 }.joined(separator: " ")
        print("load afterwards \(load)")
    }

    private func preparedEvents() throws -> ContiguousArray<NexmarkEvent>? {
        if let input { return try EventFiles(directory: input).read() }
        guard prepared || compare else { return nil }
        var generator = NexmarkGenerator(seed: seed, rate: rate)
        var made = ContiguousArray<NexmarkEvent>()
        made.reserveCapacity(events)
        for _ in 0..<events { made.append(generator.next()) }
        return made
    }

    @concurrent
    private func measure(
        _ name: String, _ prepared: ContiguousArray<NexmarkEvent>?
    ) async throws -> NexmarkRun {
        let temporary = name == "q10" && files == nil ? temporaryDirectory() : nil
        defer { if let temporary { try? FileManager.default.removeItem(atPath: temporary) } }
        var loopSeconds: Double?
        var loopCPUSeconds: Double?
        var loopResults: Int?
        if compare, let prepared {
            let watch = Stopwatch()
            let loop = NexmarkLoops.run(name, prepared)
            if let loop {
                let sample = watch.sample(
                    events: prepared.count, checksum: UInt64(truncatingIfNeeded: loop.1))
                loopResults = loop.count
                loopSeconds = sample.wallNanoseconds / 1e9
                loopCPUSeconds = sample.cpu.nanoseconds / 1e9
            }
        }
        guard
            let query = QueryRun(
                name, from: source(name, prepared), keepsRows: output != nil,
                files: files ?? temporary)
        else { throw ValidationError("there is no \(name)") }
        var configuration = RunConfiguration(parallelism: parallelism, seed: 1)
        // A store belongs to one topology.
        if let store {
            configuration.store = .directory(
                "\(store)/\(name)", checkpointEvery: .seconds(checkpointEvery))
        }
        let watch = Stopwatch()
        try await query.topology.run(configuration)
        let count = prepared?.count ?? events
        let sample = watch.sample(events: count, checksum: 0)
        if let output { try query.results.write(to: output) }
        return NexmarkRun(
            name: name, events: count, results: query.results.count,
            seconds: sample.wallNanoseconds / 1e9, cpuSeconds: sample.cpu.nanoseconds / 1e9,
            loopSeconds: loopSeconds, loopCPUSeconds: loopCPUSeconds, loopResults: loopResults)
    }

    private func source(
        _ name: String, _ prepared: ContiguousArray<NexmarkEvent>?
    ) -> Source<NexmarkEvent> {
        guard let prepared else { return .nexmark(events: events, seed: seed, rate: rate) }
        guard let killBehind else { return .collection(prepared) }
        let checkpoints = store.map { "\($0)/\(name)/checkpoints" }
        return .collection(prepared, killedBehind: killBehind) {
            guard let checkpoints else { return true }
            let all = (try? FileManager.default.contentsOfDirectory(atPath: checkpoints)) ?? []
            return all.contains {
                FileManager.default.fileExists(atPath: "\(checkpoints)/\($0)/MANIFEST")
            }
        }
    }

    private func temporaryDirectory() -> String {
        "\(FileManager.default.temporaryDirectory.path)/weir-nexmark-\(UUID().uuidString)"
    }

    private func spread(_ values: [Double]) -> String {
        let (least, greatest) = (values.min() ?? 0, values.max() ?? 0)
        return "\(values.count) runs, \(least.formatted3)–\(greatest.formatted3) M events/s"
    }
}

/// A query beside its hand-written loop, over several runs of both in turn.
private struct Comparison {
    private let nanoseconds: Double
    private let results: Int
    /// The loop's time by Weir's, by the wall clock and by processor time of all threads.
    private let byWall: [Double]
    private let byProcessor: [Double]

    /// Nil for a query without a loop.
    init?(_ runs: [NexmarkRun]) {
        let loops = runs.compactMap(\.loopSeconds).sorted()
        guard let events = runs.first?.events, let results = runs.first?.loopResults else {
            return nil
        }
        self.results = results
        nanoseconds = loops[loops.count / 2] / Double(events) * 1e9
        byWall = runs.compactMap { run in run.loopSeconds.map { $0 / run.seconds } }.sorted()
        byProcessor = runs.compactMap { run in
            run.loopCPUSeconds.map { $0 / run.cpuSeconds }
        }.sorted()
    }

    var text: String {
        "loop \(nanoseconds.formatted3) ns/event, \(results) results; Weir's speed is \(Self.spread(byWall)) of the "
            + "loop's, by processor time \(Self.spread(byProcessor))"
    }

    private static func spread(_ sorted: [Double]) -> String {
        let median = sorted[sorted.count / 2].formatted3
        guard let least = sorted.first, let greatest = sorted.last, sorted.count > 1 else {
            return median
        }
        return "\(median) (\(least.formatted3)–\(greatest.formatted3))"
    }
}

/// What one run of a query took.
private struct NexmarkRun {
    let name: String
    let events: Int
    let results: Int
    let seconds: Double
    let cpuSeconds: Double
    let loopSeconds: Double?
    let loopCPUSeconds: Double?
    let loopResults: Int?

    var eventsPerSecond: Double { Double(events) / seconds }

    var text: String {
        let memory = peakMemory.map { "\(Int($0 >> 20)) MiB at its peak" } ?? "memory unknown"
        return "\(name)  \(Int(eventsPerSecond)) events/s  \(cpuSeconds.formatted3) CPU s  "
            + "\(Int(Double(events) / cpuSeconds)) events/CPU s  \(memory)  \(results) results"
    }

    /// The most memory that the process has had, in bytes.
    private var peakMemory: UInt64? {
        guard let status = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8),
            let line = status.split(separator: "\n").first(where: { $0.hasPrefix("VmHWM:") })
        else { return nil }
        return line.split(separator: " ").compactMap { UInt64($0) }.first.map { $0 * 1_024 }
    }
}

/// Writes the generator's events into files.
struct NexmarkEventsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "nexmark-events",
        abstract: "Writes Nexmark's events as person.csv, auction.csv and bid.csv.")

    @Argument(help: "The directory.")
    var directory: String

    @Option(help: "How many events.")
    var events = 100_000

    @Option(help: "Events per second of event time.")
    var rate = 100_000

    @Option(help: "What the generator's random numbers follow from.")
    var seed: UInt64 = 42

    func run() throws {
        try EventFiles(directory: directory).write(events: events, seed: seed, rate: rate)
    }
}
