import WeirCore

/// What a simulation may do to a run.
struct SimulationOptions: Sendable {
    var crashes = 2
    var checkpoints = 6
    var handlerErrors = 2
    var writeErrors = 1
    var diskErrors = 1
    var delay: Duration = .milliseconds(10)
    var reordering = 0
    var comparesState = true
    /// From which each life draws its own.
    var parallelism = 1...1
    /// Runs that may be spent on making a failure smaller.
    var shrinking = 2_000
}
