/// Marks, in every stream, where a checkpoint is taken: what comes before it belongs to the
/// checkpoint, what comes behind doesn't (Carbone et al.: Lightweight Asynchronous Snapshots for
/// Distributed Dataflows, 2015).
@usableFromInline
package struct Barrier: Sendable, Hashable {
    /// The number of the checkpoint, counted on over all runs on a store.
    package let checkpoint: Int
    /// Whether the run ends here, to be continued from this checkpoint: no windows fire.
    package let suspends: Bool

    /// What goes round a loop and is no barrier: it holds nothing up and belongs to no checkpoint.
    package let probe: LoopProbe?

    package init(checkpoint: Int, suspends: Bool = false) {
        self.checkpoint = checkpoint
        self.suspends = suspends
        probe = nil
    }

    init(probe: LoopProbe) {
        checkpoint = 0
        suspends = false
        self.probe = probe
    }
}
