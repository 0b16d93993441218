import ArgumentParser
import CMeasure
import Foundation
import Synchronization
import Weir

/// R2: a process with state is killed with SIGKILL and started again; timed from its exec to the
/// first event that it had not handled before.
struct ProcessRestart {
    let runs: Int
    let scale: Double
    let work: WorkDirectory

    func rows() async throws -> [RecoveryRow] {
        let keys = max(1_000, Int(1_000_000 * scale))
        var full: [Double] = []
        var empty: [Double] = []
        for _ in 0..<runs {
            let store = try work.fresh("store")
            empty.append(try Self.run(store, keys: 0, until: "new"))
            let filled = try work.fresh("store")
            _ = try Self.run(filled, keys: keys, until: "full")
            full.append(try Self.run(filled, keys: keys, until: "new"))
        }
        let medians = (
            RecoveryRow(name: "", values: full, unit: "").median,
            RecoveryRow(name: "", values: empty, unit: "").median
        )
        return [
            RecoveryRow(
                name: "R2  kill -9 with \(keys) keys, as many events behind the checkpoint",
                values: full, unit: "ms", bar: "≤ 1000 ms", isMet: medians.0 <= 1_000),
            RecoveryRow(
                name: "R2  start on an empty store", values: empty, unit: "ms", bar: "≤ 50 ms",
                isMet: medians.1 <= 50),
        ]
    }

    /// Starts a worker, waits until it says `line`, kills it, and returns the milliseconds it took.
    private static func run(_ store: String, keys: Int, until line: String) throws -> Double {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: CommandLine.arguments[0])
        process.arguments = ["recovery-worker", "--store", store, "--keys", "\(keys)"]
        let output = Pipe()
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        let began = cmeasure_now()
        try process.run()
        var text = ""
        while !text.contains(line + "\n") {
            let data = output.fileHandleForReading.availableData
            if data.isEmpty { throw MeasurementError(description: "R2: the worker ended: \(text)") }
            text += String(decoding: data, as: UTF8.self)
        }
        let elapsed = cmeasure_now() - began
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        return Double(elapsed) / 1e6
    }
}

/// What is killed: counts each key, checkpoints when all keys are there, counts them all again, says
/// `full`; after a restart it says `new` at the first event that is new.
struct RecoveryWorker: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "recovery-worker", shouldDisplay: false)
    @Option var store: String
    @Option var keys: Int

    func run() async throws {
        let keys = keys
        let gate = Gate()
        let source = Source<Int>("numbers") { inlet in
            let first = Int(inlet.position?.offset ?? 0)
            let end = first + (first < keys ? keys - first : keys)
            try await Self.send(first..<(keys == 0 ? 0 : end), inlet)
            if first < keys {
                // The checkpoint is behind these, before the second half.
                await gate.waitUntilOpen()
                try await Self.send(keys..<(2 * keys), inlet)
                return try await Self.rest(inlet)
            }
            try await Self.send(end..<(end + 1), inlet)
            try await Self.rest(inlet)
        }
        let topology = Topology("recovery") {
            EventStream("numbers", from: source)
                .keyed(by: { keys == 0 ? $0 : $0 % keys })
                .reduce(into: 0, name: "count") { count, _ in count += 1 }
                .sink(
                    .forEach { total in
                        if keys == 0 || total.value == 3 { Self.say("new") }
                        if total.key == keys - 1, total.value == 1 { gate.reached() }
                        if total.key == keys - 1, total.value == 2 { Self.say("full") }
                    })
        }
        let running = try await topology.start(
            RunConfiguration(store: .directory(store, checkpointEvery: .zero)))
        await gate.waitUntilReached()
        try await running.checkpoint()
        gate.open()
        try await running.waitUntilFinished()
    }

    private static func send(_ range: Range<Int>, _ inlet: Inlet<Int>) async throws {
        for start in stride(from: range.lowerBound, to: range.upperBound, by: 512) {
            let end = min(start + 512, range.upperBound)
            try await inlet.send(
                Batch(ContiguousArray(start..<end)), position: SourcePosition(offset: Int64(end)))
        }
        if range.isEmpty { try await inlet.send(Batch([0])) }
    }

    private static func rest(_ inlet: Inlet<Int>) async throws {
        try await inlet.context.sleep(for: .seconds(3_600))
    }

    private static func say(_ word: String) {
        FileHandle.standardOutput.write(Data("\(word)\n".utf8))
    }

    /// Lets the source wait for a checkpoint.
    private final class Gate: Sendable {
        private let arrival = AsyncStream.makeStream(of: Void.self)
        private let opening = AsyncStream.makeStream(of: Void.self)

        func reached() { arrival.continuation.finish() }
        func open() { opening.continuation.finish() }
        func waitUntilReached() async { for await _ in arrival.stream {} }
        func waitUntilOpen() async { for await _ in opening.stream {} }
    }
}
