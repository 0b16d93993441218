/// Ends a stage's loop in good order.
struct StageStopped: Error {}

/// A call of an asynchronous operator has failed: the stage is to restart.
struct CallFailure: Error {
    let cause: any Error
    /// The call's number among the stage's trials.
    let trial: Int
    /// Whether the parent of the stage's supervisor is to decide.
    let escalates: Bool
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
