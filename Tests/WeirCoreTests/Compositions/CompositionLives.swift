import Synchronization
import WeirCore
import WeirJournal

@testable import WeirTesting

/// Runs a composition in several lives, each of which a suspension ends.
///
/// Meanwhile stages are held, let go on and restarted; each life may have another parallelism. The
/// last one ends by itself, or is drained with what its sources have sent until then.
struct CompositionLives {
    private let composition: Composition
    private let seed: UInt64
    private let inputs = CompositionInputs()
    private let outside = SimulatedOutside()

    init(_ composition: Composition, seed: UInt64) {
        self.composition = composition
        self.seed = seed
    }

    func run() throws(CompositionFailure) {
        do {
            try runLives()
        } catch {
            throw CompositionFailure(
                composition: composition, drawing: inputs.lastDrawing, failure: error)
        }
    }

    private func runLives() throws {
        var draw = Draw(random: SplitMix64(seed: seed), parallelism: composition.parallelism)
        let trial = Trial.calm(seed: seed &+ 1, options: SimulationOptions())
        var files = SimulatedFileSystem(seed: seed)
        try files.createDirectory(SimulatedWorld.directory)
        var now = EventTime()
        let lives = draw.number(1...3)
        for life in 0...lives {
            let world = SimulatedWorld(
                trial: trial, life: life, outside: outside, fileSystem: files,
                faults: LifeFaults([]), options: SimulationOptions())
            let process = LivingProcess(trial, life, files, startingAt: now)
            let topology = composition.topology(in: world, CompositionInputs()) { name, items in
                source(name, items, world)
            }
            inputs.draw(topology)
            try process.start(topology, &draw, composition.parallelism)
            let isLast = life == lives
            let isDrained = isLast && draw.chance(1, of: 2)
            let steps = isLast && !isDrained ? Int.max : draw.below(1 << draw.number(3...11))
            try process.live(for: steps, &draw)
            if isDrained {
                try process.end("drain") { try await $0.drain() }
            } else if !isLast, !process.hasEnded {
                try process.end("suspend") { try await $0.suspend() }
            }
            now = process.clock.now().advanced(by: .seconds(1))
            if process.hasDrained || isLast { break }
            let next = files.fork()
            next.kill()
            files = next
        }
        let run = TrialRun(outside: outside, files: files)
        try composition.check(
            SimulationOutcome(run: run, reference: run), of: inputs.all(composition.inputs.count))
    }

    /// Notes what it has sent.
    private func source(_ name: String, _ items: [Item], _ world: SimulatedWorld) -> Source<Item> {
        let number = composition.inputs.indices.first { "in\($0)" == name } ?? 0
        let seed = seed &* 31 &+ UInt64(number)
        return Source("living") { [inputs] inlet in
            var random = SplitMix64(seed: seed)
            var next = Int(inlet.position?.offset ?? 0)
            inputs.noteMore(Array(items[..<next]), of: number)
            while next < items.count {
                try Task.checkCancellation()
                let end = min(items.count, next + Int.random(in: 1...4, using: &random))
                inputs.noteMore(Array(items[..<end]), of: number)
                try await inlet.send(
                    Batch(ContiguousArray(items[next..<end])),
                    position: SourcePosition(offset: Int64(end)))
                next = end
                if Bool.random(using: &random) {
                    try await inlet.context.sleep(
                        for: .microseconds(Int.random(in: 1...5_000, using: &random)))
                }
            }
        }
    }
}

/// One life of a process that is steered.
private final class LivingProcess {
    let clock: VirtualClock
    private let executor: SteppingExecutor
    private let trial: Trial
    private let files: SimulatedFileSystem
    private var running: RunningTopology?
    private let result = Outcome<Void>()
    private(set) var hasDrained = false

    init(_ trial: Trial, _ life: Int, _ files: SimulatedFileSystem, startingAt start: EventTime) {
        self.trial = trial
        self.files = files
        clock = VirtualClock(startingAt: start)
        executor = SteppingExecutor(seed: trial.order &* 64 &+ UInt64(life))
    }

    deinit {
        running?.cancel()
        _ = executor.runUntilIdle(limit: 1_000_000)
    }

    private static let stepLimit = 2_000_000

    var hasEnded: Bool { result.result != nil }

    func start(_ topology: Topology, _ draw: inout Draw, _ parallelism: Int) throws {
        var configuration = TopologyTest.configuration
        configuration.seed = 1
        configuration.batchSize = trial.batchSize
        configuration.parallelism = parallelism == 1 ? 1 : draw.number(1...parallelism)
        configuration.clock = clock
        configuration.executor = executor
        var store = StateStore.directory(SimulatedWorld.store, checkpointEvery: .zero, keeping: 2)
        store.fileSystem = files
        configuration.store = store
        let started = Outcome<RunningTopology>()
        Task(executorPreference: executor) { [configuration, result] in
            do {
                let running = try await topology.start(configuration)
                started.set(.success(running))
                try await running.waitUntilFinished()
                result.set(.success(()))
            } catch {
                if started.result == nil { started.set(.failure(error)) }
                result.set(.failure(error))
            }
        }
        while started.result == nil, executor.step() {}
        running = try started.result?.get()
    }

    /// Goes on for so many steps, or to the end, and steers meanwhile.
    func live(for steps: Int, _ draw: inout Draw) throws {
        guard let running else { throw CompositionMismatch(description: "it doesn't start") }
        var step = 0
        while step < min(steps, Self.stepLimit), !hasEnded {
            if draw.chance(1, of: 40) { steer(running, &draw) }
            step += 1
            if executor.step() || clock.performNext(upTo: .max) { continue }
            if hasEnded { break }
            // What is held lets nothing happen any more.
            running.resume()
            if !executor.step(), !hasEnded { throw CompositionMismatch(description: "it is stuck") }
        }
        if step >= Self.stepLimit { throw CompositionMismatch(description: "it doesn't end") }
        if hasEnded {
            try result.result?.get()
            hasDrained = true
        }
    }

    private func steer(_ running: RunningTopology, _ draw: inout Draw) {
        let stage = running.stage(draw.pick(running.stages))
        switch draw.below(9) {
        case 0: running.pause()
        case 1, 2: running.resume()
        case 3, 4: stage?.pause()
        case 5, 6: stage?.resume()
        case 7: stage?.restart()
        default: Task(executorPreference: executor) { _ = try? await running.checkpoint() }
        }
    }

    /// Ends the life in good order.
    func end(
        _ label: String, _ action: @escaping @Sendable (RunningTopology) async throws -> Void
    ) throws {
        guard let running, !hasEnded else { return }
        let outcome = Outcome<Void>()
        Task(executorPreference: executor) {
            do {
                try await action(running)
                outcome.set(.success(()))
            } catch {
                outcome.set(.failure(error))
            }
        }
        var step = 0
        while outcome.result == nil || !hasEnded, step < Self.stepLimit {
            step += 1
            if executor.step() || clock.performNext(upTo: .max) { continue }
            throw CompositionMismatch(description: "'\(label)' is stuck")
        }
        guard let ending = outcome.result else {
            throw CompositionMismatch(description: "'\(label)' doesn't end")
        }
        if case .failure(let error) = ending {
            throw CompositionMismatch(
                description:
                    "'\(label)' throws \(error), the run: \(String(describing: result.result))")
        }
        try result.result?.get()
    }
}

/// Carries a result out of a task.
private final class Outcome<Value: Sendable>: Sendable {
    private let locked = Mutex<Result<Value, any Error>?>(nil)

    var result: Result<Value, any Error>? { locked.withLock { $0 } }

    func set(_ result: Result<Value, any Error>) { locked.withLock { $0 = result } }
}
