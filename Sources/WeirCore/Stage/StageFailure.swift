/// Ends a stage's loop in good order.
struct StageStopped: Error {}

/// An operator hands its failure to the parent of the stage's supervisor.
struct Escalation: Error {
    let cause: any Error
}

/// A stage has failed beyond what its supervisors restart; the run ends with it.
public struct StageFailure: Error, CustomStringConvertible {
    /// The name of the stage.
    public let stage: String

    /// What it threw.
    public let cause: any Error

    /// The stage and its error.
    public var description: String { "stage '\(stage)' failed: \(cause)" }
}
