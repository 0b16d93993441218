/// What a simulation has done.
public struct SimulationReport: Sendable, CustomStringConvertible {
    /// Seeds that were run.
    public internal(set) var seeds = 0
    /// Runs: per seed one in an order of its own, and one with faults besides.
    public internal(set) var runs = 0
    /// Crashes of the process or the machine.
    public internal(set) var crashes = 0
    /// Handlers that threw, and writes and calls of the disk that failed.
    public internal(set) var faults = 0
    /// Checkpoints that were asked for, besides those at the ends of runs.
    public internal(set) var checkpoints = 0
    /// A number that stands for everything that happened in order: equal for equal runs.
    public internal(set) var trace: UInt64 = 0

    mutating func add(_ run: TrialRun) {
        runs += 1
        crashes += run.crashes
        faults += run.faults
        checkpoints += run.checkpoints
        trace = (trace ^ run.trace) &* 0x0000_0100_0000_01B3
    }

    /// The numbers in one line.
    public var description: String {
        "\(seeds) seeds: \(runs) runs, \(crashes) crashes, \(faults) other faults, "
            + "\(checkpoints) checkpoints"
    }
}

/// What a run has left behind, for a check of the user's own.
public struct SimulationOutcome {
    let run: TrialRun
    let reference: TrialRun

    /// What the receiver of a simulated sink has got, in order.
    ///
    /// Empty when there is no such sink of this type.
    public func events<Element: Sendable>(
        _ sink: String, as type: Element.Type = Element.self
    ) -> [Element] {
        let receiver = run.outside.receivers.first { $0.name == sink }?.receiver
        return (receiver as? SimulatedReceiver<Element>)?.events ?? []
    }

    /// The lines of a file of ``SimulatedWorld/file(_:)``.
    public func lines(_ file: String) -> [String] { run.lines(file) }

    /// The outcome of the run without faults.
    public var expected: SimulationOutcome {
        SimulationOutcome(run: reference, reference: reference)
    }
}

/// A run of a simulation whose outcome is not what it has to be.
public struct SimulationFailure: Error, CustomStringConvertible {
    /// What is wrong with the smallest run that fails.
    public let problem: String
    /// The seed that was run.
    public let seed: UInt64
    /// The smallest run found that fails: for ``Simulation/replay(_:)``.
    public let replay: String
    /// How many events that run has.
    public let events: Int
    /// What happens in that run, line by line.
    public let story: [String]
    /// The run's size before and after it was made smaller, and how many runs that took.
    private let effort: String

    init(problem: String, trial: Trial, original: Trial, run: TrialRun, attempts: Int) {
        self.problem = problem
        seed = original.seed
        replay = trial.text
        let inputs = run.outside.inputs
        events = inputs.reduce(0) { $0 + $1.input.kept.count }
        let all = inputs.reduce(0) { $0 + $1.input.count }
        effort =
            attempts == 0
            ? "" : "made smaller in \(attempts) runs to \(events) of \(all) events:\n"
        story = Self.inputs(of: run) + trial.story
    }

    private static func inputs(of run: TrialRun) -> [String] {
        run.outside.inputs.map { name, input in
            let shown = input.kept.prefix(10).map(input.describe).joined(separator: ", ")
            let more = input.kept.count > 10 ? ", … \(input.kept.count - 10) more" : ""
            return "\(name): \(shown)\(more)"
        }
    }

    /// The problem, what happens in the smallest run that fails, and how to run it again.
    public var description: String {
        """
        seed \(seed): \(problem)
        \(effort)\(story.map { "  \($0)" }.joined(separator: "\n"))
        again: try simulation.replay("\(replay)")
        """
    }
}
