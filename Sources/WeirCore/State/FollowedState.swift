/// State from which something else follows that checkpoints needn't keep, such as deadlines.
@usableFromInline
package final class FollowedState: CheckpointedState {
    private let state: any CheckpointedState
    private let follow: (_ group: Int) -> Void

    /// - Parameter follow: Runs after a portion has been restored, with its key group or -1.
    @usableFromInline
    package init(_ state: any CheckpointedState, _ follow: @escaping (_ group: Int) -> Void) {
        self.state = state
        self.follow = follow
    }

    @usableFromInline package var contents: String { state.contents }
    @usableFromInline package var obstacle: String? { state.obstacle }
    @usableFromInline package var isKeyed: Bool { state.isKeyed }
    @usableFromInline package func beginCapture() throws { try state.beginCapture() }
    @usableFromInline package func captureNext() -> CapturedPortion? { state.captureNext() }

    @usableFromInline
    package func restore(_ portion: inout RestoredPortion, ownsGroup: (Int) -> Bool) throws {
        try state.restore(&portion, ownsGroup: ownsGroup)
        follow(portion.group)
    }
}

extension StageScope {
    /// Registers what is rolled back with the batch and is empty between deliveries, so that
    /// checkpoints needn't keep it.
    @usableFromInline
    package func registerTransient(_ participant: some TransactionParticipant) {
        register(participant)
    }

    /// Registers a value that is rolled back with the batch and kept in checkpoints.
    ///
    /// - Parameter onRestore: Sets right what follows from the value.
    @usableFromInline
    package func register<Value>(
        _ value: TransactionalValue<Value>, onRestore: @escaping () -> Void
    ) {
        registerTransient(value)
        keep(
            CheckpointedValue(
                get: { value.value },
                set: {
                    value.value = $0
                    onRestore()
                }))
    }
}
