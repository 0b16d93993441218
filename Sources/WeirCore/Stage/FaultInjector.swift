/// Makes the transactions of stages fail on purpose, to show that nothing of them stays.
package protocol FaultInjector: Sendable {
    /// Called before a transaction of a stage that may fail, and again when all but its commit is
    /// done; what it throws is handled as if a handler had thrown it.
    func strike(stage: String, isDone: Bool) throws
}
