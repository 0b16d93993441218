import Synchronization

/// Loads of rising rates, to find the highest at which a bound on the latency holds.
final class LoadSearch: Sendable {
    private let plan: LoadPlan
    private let rates: [Double]
    private let bound: LatencyBound?
    private let current = Mutex<LoadRun?>(nil)
    private let wasInterrupted = Atomic<Bool>(false)

    /// Prepares a search.
    ///
    /// - Parameters:
    ///   - plan: The load of one step; its duration is the step's.
    ///   - rates: The steps.
    ///   - bound: What has to hold; without one all steps are run.
    /// - Throws: A ``LoadError`` when the plan is not valid.
    init(_ plan: LoadPlan, rates: [Double], bound: LatencyBound?) throws(LoadError) {
        try plan.validate()
        self.plan = plan
        self.rates = rates
        self.bound = bound
    }

    /// Ends the step that runs, and the search with it.
    func interrupt() {
        wasInterrupted.store(true, ordering: .relaxed)
        current.withLock { $0 }?.interrupt()
    }

    /// Runs the steps.
    ///
    /// - Parameter onStep: Gets each step when it has ended.
    /// - Throws: A ``LoadError`` when no connection could be opened in the first step.
    func run(
        onSecond: (@Sendable (LoadRecord) -> Void)? = nil,
        onStep: (LoadSearchReport.Step) -> Void = { _ in }
    ) async throws -> LoadSearchReport {
        var search = RateSearch(rates, stopsAtFirstBad: bound != nil)
        var steps: [LoadSearchReport.Step] = []
        var failure: String?
        while let rate = search.next, !wasInterrupted.load(ordering: .relaxed) {
            var plan = plan
            plan.rate = rate
            let run = try LoadRun(plan)
            current.withLock { $0 = run }
            // An interruption that came before there was a run.
            if wasInterrupted.load(ordering: .relaxed) { run.interrupt() }
            let report: LoadReport
            do {
                report = try await run.run(onSecond: onSecond)
            } catch {
                // A target that was there and is gone has a report all the same.
                if steps.isEmpty { throw error }
                failure = "\(error)"
                break
            }
            let step = LoadSearchReport.Step(rate, report, bound)
            steps.append(step)
            onStep(step)
            if report.wasInterrupted { break }
            search.tried(isGood: step.held)
            if !step.held && report.bottleneck == "generator" && bound != nil { search.stop() }
        }
        current.withLock { $0 = nil }
        return LoadSearchReport(
            target: plan.target.url, bound: bound, steps: steps, highest: search.highestGood,
            wasInterrupted: wasInterrupted.load(ordering: .relaxed), failure: failure)
    }
}
