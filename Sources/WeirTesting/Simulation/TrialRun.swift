import Logging
import WeirCore
import WeirJournal

/// What came of a trial.
struct TrialRun {
    let outside: SimulatedOutside
    /// The disk at the end, after the power failed once more.
    let files: SimulatedFileSystem
    /// What kept the run from ending.
    var problem: String?
    /// How much happened in the first life.
    var size = RunSize()
    /// How much happened in each life.
    var sizes: [RunSize] = []
    var crashes = 0
    var faults = 0
    var checkpoints = 0
    /// A number that stands for everything that happened, in order.
    var trace: UInt64 = 0

    init(outside: SimulatedOutside, files: SimulatedFileSystem) {
        self.outside = outside
        self.files = files
    }
}

extension Simulation {
    /// Performs a trial, life by life, until the topology has ended.
    func perform(_ trial: Trial) -> TrialRun {
        let outside = SimulatedOutside()
        var files = SimulatedFileSystem(seed: trial.seed)
        var run = TrialRun(outside: outside, files: files)
        var now = EventTime()
        do {
            try files.createDirectory(SimulatedWorld.directory)
        } catch {
            run.problem = "\(error)"
            return run
        }
        let lastLife = (trial.injections.map(\.life).max() ?? 0) + 1
        var life = 0
        lives: while true {
            let faults = LifeFaults(trial.faults(of: life))
            let world = SimulatedWorld(
                trial: trial, life: life, outside: outside, fileSystem: files, faults: faults,
                options: options)
            let process = SimulatedProcess(
                trial: trial, life: life, files: files, faults: faults, startingAt: now)
            let ending = process.run(
                topology(world), configuration(trial, life, files), limit: stepLimit)
            run.note(process)
            now = process.clock.now().advanced(by: .seconds(1))
            let next = files.fork()
            next.clearFaults()
            switch ending {
            case .crashed(let loss):
                run.crashes += 1
                if let loss {
                    next.crash(seed: loss)
                } else {
                    next.kill()
                }
            default: next.kill()
            }
            process.bury()
            files = next
            switch ending {
            case .finished: break lives
            case .crashed: break
            case .failed(let error):
                if process.faultsSuffered == 0 {
                    run.problem = "life \(life + 1) ended with an error: \(error)"
                    break lives
                }
            case .stuck:
                run.problem = "life \(life + 1) came to rest without having ended"
                break lives
            case .endless:
                run.problem = "life \(life + 1) did not end within \(stepLimit) steps"
                break lives
            }
            life += 1
            if life > lastLife + 1 {
                run.problem = "it was started \(life) times and did not come to its end"
                break lives
            }
        }
        // What is final has to stay when the power fails now.
        let disk = files.fork()
        disk.crash(seed: trial.seed)
        return run.ended(on: disk)
    }

    private func configuration(
        _ trial: Trial, _ life: Int, _ files: SimulatedFileSystem
    ) -> RunConfiguration {
        var configuration = TopologyTest.configuration
        configuration.seed = 1
        configuration.batchSize = trial.batchSize
        configuration.parallelism = trial.parallelism(
            of: life, otherwise: options.parallelism.lowerBound)
        var store = StateStore.directory(
            SimulatedWorld.store, checkpointEvery: .zero, keeping: 2)
        store.fileSystem = files
        configuration.store = store
        return configuration
    }

    private var stepLimit: Int { 2_000_000 }
}

extension TrialRun {
    fileprivate mutating func note(_ process: SimulatedProcess) {
        if sizes.isEmpty { size = process.size }
        sizes.append(process.size)
        faults += process.faultsSuffered
        checkpoints += process.checkpointsAsked
        for number in [
            process.executor.trace, UInt64(process.size.calls), UInt64(process.size.steps),
            UInt64(bitPattern: process.clock.now().nanoseconds),
        ] {
            trace = (trace ^ number) &* 0x0000_0100_0000_01B3
        }
    }

    fileprivate func ended(on files: SimulatedFileSystem) -> TrialRun {
        var run = TrialRun(outside: outside, files: files)
        run.problem = problem
        run.size = size
        run.sizes = sizes
        run.crashes = crashes
        run.faults = faults
        run.checkpoints = checkpoints
        run.trace = trace
        return run
    }

    /// The lines of a file at the end; none when it is missing.
    func lines(_ file: String) -> [String] {
        let path = "\(SimulatedWorld.directory)/\(file)"
        guard let bytes = try? files.readFile(path) else { return [] }
        return bytes.split(separator: 0x0A, omittingEmptySubsequences: false).dropLast(
            bytes.last == 0x0A ? 1 : 0
        ).map { String(decoding: $0, as: UTF8.self) }
    }

    /// In what way this run is not what the run without faults was; nil if it is.
    func difference(from reference: TrialRun) -> String? {
        if let problem { return problem }
        for (name, receiver) in outside.receivers {
            guard let other = reference.outside.receivers.first(where: { $0.name == name }) else {
                return "sink '\(name)' is not in the run without faults"
            }
            if let difference = receiver.difference(from: other.receiver) {
                return "sink '\(name)': \(difference)"
            }
        }
        for file in outside.files {
            let (actual, expected) = (lines(file), reference.lines(file))
            if actual == expected { continue }
            let shared = zip(actual, expected).prefix { $0 == $1 }.count
            let got = shared < actual.count ? actual[shared] : "missing"
            let wanted = shared < expected.count ? expected[shared] : "not to be"
            return "file '\(file)' has \(actual.count) lines, not \(expected.count): line "
                + "\(shared + 1) is \(got), not \(wanted)"
        }
        return nil
    }
}
