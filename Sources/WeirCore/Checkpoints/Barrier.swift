/// Marks, in every stream, where a checkpoint is taken: what comes before it belongs to the
/// checkpoint, what comes behind doesn't (Carbone et al.: Lightweight Asynchronous Snapshots for
/// Distributed Dataflows, 2015).
@usableFromInline
package struct Barrier: Sendable, Hashable {
    /// The number of the checkpoint, counted on over all runs on a store.
    package let checkpoint: Int
    /// Whether the run ends here, to be continued from this checkpoint: no windows fire.
    package let suspends: Bool

    package init(checkpoint: Int, suspends: Bool = false) {
        self.checkpoint = checkpoint
        self.suspends = suspends
    }
}
