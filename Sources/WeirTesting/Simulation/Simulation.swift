public import WeirCore
import WeirJournal

/// Runs a topology many times with everything that may go wrong, and compares each run with one
/// in which nothing did.
///
/// Each seed is a run of its own, in virtual time on one thread: it decides in which order stages
/// take turns, when checkpoints are taken, at which step or call of the disk the process or the
/// machine crashes and what the disk then loses, which handlers throw, and which calls of the disk
/// fail. What the sinks' receivers have in the end must be the same as without all that.
///
/// ```swift
/// let payments = (1...30).map { Payment(card: "\($0 % 3)", amount: Double($0), at: EventTime()) }
/// let simulation = Simulation { world in
///     Topology("spending") {
///         EventStream("payments", from: world.source("payments", payments))
///             .keyed(by: \.card)
///             .reduce(into: 0.0, name: "sum") { $0 += $1.amount }
///             .sink(world.sink("sums"))
///     }
/// }
/// try simulation.run(seeds: 0..<1_000)
/// ```
///
/// The closure stands for the process's `main`: it is called for each life of the process, and what
/// it makes is lost with a crash.
public struct Simulation: Sendable {
    let topology: @Sendable (SimulatedWorld) -> Topology
    var options = SimulationOptions()
    var checks: [@Sendable (SimulationOutcome) throws -> Void] = []

    /// Describes a simulation; nothing runs yet.
    ///
    /// - Parameter topology: Makes the topology with inputs and sinks of the simulated world. Called
    ///   at each start of the simulated process.
    public init(_ topology: @escaping @Sendable (SimulatedWorld) -> Topology) {
        self.topology = topology
    }

    // MARK: What may happen

    /// Lets the process or the machine crash at most so often in a run; 0 is never.
    ///
    /// Default 2.
    public func crashes(upTo count: Int) -> Simulation { with { $0.crashes = max(0, count) } }

    /// Has at most so many checkpoints taken in each life of the process.
    ///
    /// Default 6.
    public func checkpoints(upTo count: Int) -> Simulation {
        with { $0.checkpoints = max(0, count) }
    }

    /// Has at most so many transactions of stages with code that may throw fail in each life.
    ///
    /// Default 2. They fail before they have changed anything, or when all is done. A supervisor
    /// that allows fewer than two attempts gives up the event: set 0 for it.
    public func handlerErrors(upTo count: Int) -> Simulation {
        with { $0.handlerErrors = max(0, count) }
    }

    /// Has at most so many writes of simulated sinks fail in each life.
    ///
    /// Default 1.
    public func writeErrors(upTo count: Int) -> Simulation {
        with { $0.writeErrors = max(0, count) }
    }

    /// Has at most so many calls of the simulated disk fail in each life.
    ///
    /// Default 1. It fails as a broken device does, or as one that is full for a while.
    public func diskErrors(upTo count: Int) -> Simulation { with { $0.diskErrors = max(0, count) } }

    /// Lets sources wait up to this long, in virtual time, between batches.
    ///
    /// Default 10 ms.
    public func delays(upTo delay: Duration) -> Simulation { with { $0.delay = max(.zero, delay) } }

    /// Lets each event of an input come up to so many places later.
    ///
    /// Default 0: in order. For topologies whose outcome does not depend on the order, such as windows
    /// in event time that wait for late events.
    public func reordering(within places: Int) -> Simulation {
        with { $0.reordering = max(0, places) }
    }

    /// The number of instances of keyed stages that don't say their own, the same in each life of
    /// the process.
    ///
    /// Default 1.
    public func parallelism(_ instances: Int) -> Simulation {
        parallelism(instances...instances)
    }

    /// Lets each life of the process have another number of instances of keyed stages: what a
    /// checkpoint holds is then spread anew at a restart.
    ///
    /// The run that all others are compared with has the lowest of them. Stages that say their own
    /// parallelism keep it.
    ///
    /// - Parameter instances: The numbers from which each life draws its own, such as `1...4`.
    public func parallelism(_ instances: ClosedRange<Int>) -> Simulation {
        with {
            let lowest = max(1, instances.lowerBound)
            $0.parallelism = lowest...max(lowest, instances.upperBound)
        }
    }

    /// Leaves out the comparison of what keyed stages remember at the end.
    ///
    /// For state that depends on the order of events in a way that no output shows.
    public func ignoringState() -> Simulation { with { $0.comparesState = false } }

    /// How many runs may be spent on making a failure smaller.
    ///
    /// Default 2,000.
    public func shrinking(upTo runs: Int) -> Simulation { with { $0.shrinking = max(0, runs) } }

    /// Adds a check of each run's outcome; a run fails when it throws.
    public func check(
        _ check: @escaping @Sendable (SimulationOutcome) throws -> Void
    ) -> Simulation {
        var copy = self
        copy.checks.append(check)
        return copy
    }

    private func with(_ change: (inout SimulationOptions) -> Void) -> Simulation {
        var copy = self
        change(&copy.options)
        return copy
    }

    // MARK: Running

    /// Runs the topology once for each seed.
    ///
    /// - Returns: What was done.
    /// - Throws: ``SimulationFailure`` for the first seed that fails, with the smallest run found that
    ///   fails as well.
    @discardableResult
    public func run(seeds: some Sequence<UInt64>) throws -> SimulationReport {
        var report = SimulationReport()
        let reference = try makeReference(Trial(seed: 0))
        for seed in seeds { try run(seed, reference, &report) }
        return report
    }

    /// Runs the topology once.
    ///
    /// - Throws: As ``run(seeds:)``.
    @discardableResult
    public func run(seed: UInt64) throws -> SimulationReport {
        try run(seeds: CollectionOfOne(seed))
    }

    /// Crashes the machine after each call of the disk that a run makes, in turn: also between a write
    /// and the call that makes it durable.
    ///
    /// - Parameters:
    ///   - seed: Decides the order of the stages' turns and the moments of checkpoints.
    ///   - losses: For each call, one run per seed for what the disk loses and tears.
    /// - Returns: What was done; ``SimulationReport/crashes`` is the number of crash points.
    /// - Throws: As ``run(seeds:)``.
    @discardableResult
    public func crashEverywhere(
        seed: UInt64 = 1, losses: some Sequence<UInt64>
    ) throws -> SimulationReport {
        var report = SimulationReport()
        let reference = try makeReference(Trial(seed: 0))
        var calm = Trial.calm(seed: seed, options: options)
        calm.drawCheckpoints(perform(calm).size, options)
        let size = perform(calm).size
        for loss in losses {
            for call in 0...size.calls {
                var trial = calm
                trial.injections.append(
                    Injection(life: 0, fault: .crashAfterCall(call, loss: loss)))
                let run = perform(trial)
                report.add(run)
                if let problem = problem(of: run, reference) {
                    throw shrink(trial, problem, size)
                }
            }
        }
        return report
    }

    /// Runs exactly what a failure says.
    ///
    /// - Parameter text: The text of ``SimulationFailure/replay``.
    /// - Throws: ``SimulationFailure`` when it still fails.
    @discardableResult
    public func replay(_ text: String) throws -> SimulationReport {
        let trial = try Trial(text)
        let reference = try makeReference(trial)
        var report = SimulationReport()
        let run = perform(trial)
        report.add(run)
        if let problem = problem(of: run, reference) {
            throw SimulationFailure(
                problem: problem, trial: trial, original: trial, run: run, attempts: 0)
        }
        return report
    }

    private func run(
        _ seed: UInt64, _ reference: TrialRun, _ report: inout SimulationReport
    ) throws {
        var trial = Trial.calm(seed: seed, options: options)
        let calm = perform(trial)
        report.add(calm)
        if let problem = problem(of: calm, reference) { throw shrink(trial, problem, calm.size) }
        trial.drawFaults(calm.size, options)
        let run = perform(trial)
        report.add(run)
        report.seeds += 1
        if let problem = problem(of: run, reference) { throw shrink(trial, problem, calm.size) }
    }

    /// The run without faults, for the events of a trial.
    func makeReference(_ trial: Trial) throws -> TrialRun {
        let trial = Trial.reference(of: trial)
        let run = perform(trial)
        if let problem = run.problem ?? failedCheck(of: run, run) {
            throw SimulationFailure(
                problem: "already without faults: \(problem)", trial: trial, original: trial,
                run: run, attempts: 0)
        }
        return run
    }

    /// What is wrong with a run; nil if nothing is.
    func problem(of run: TrialRun, _ reference: TrialRun) -> String? {
        run.difference(from: reference) ?? differenceInState(run, reference)
            ?? failedCheck(of: run, reference)
    }

    private func differenceInState(_ run: TrialRun, _ reference: TrialRun) -> String? {
        guard options.comparesState else { return nil }
        do {
            let expected = try FinalState(of: reference)
            return try FinalState(of: run).difference(from: expected)
        } catch {
            return "the state at the end can't be read: \(error)"
        }
    }

    private func failedCheck(of run: TrialRun, _ reference: TrialRun) -> String? {
        let outcome = SimulationOutcome(run: run, reference: reference)
        for check in checks {
            do {
                try check(outcome)
            } catch {
                return "\(error)"
            }
        }
        return nil
    }
}
