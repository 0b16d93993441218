/// State from which something else follows that checkpoints needn't keep, such as deadlines.
@usableFromInline
package final class FollowedState: CheckpointedState {
    let state: any CheckpointedState
    private let follow: (_ group: Int) -> Void
    private let element: Any.Type?
    private var restored: Set<Int> = []

    /// - Parameters:
    ///   - element: The type of the user's that has to be Codable, to name it when it isn't.
    ///   - follow: Runs when all has been restored, once for each key group; -1 for state without.
    @usableFromInline
    package init(
        _ state: any CheckpointedState, holding element: Any.Type? = nil,
        _ follow: @escaping (_ group: Int) -> Void = { _ in }
    ) {
        self.state = state
        self.element = element
        self.follow = follow
    }

    @usableFromInline package var contents: String {
        element.map { "\($0)" } ?? state.contents
    }
    @usableFromInline package var obstacle: String? {
        guard let obstacle = state.obstacle else { return nil }
        return element.map { "\($0) isn't Codable" } ?? obstacle
    }
    @usableFromInline package var isKeyed: Bool { state.isKeyed }
    @usableFromInline package var version: Int { state.version }
    @usableFromInline package func noteInitial() { state.noteInitial() }
    @usableFromInline package func beginCapture() throws { try state.beginCapture() }
    @usableFromInline package func captureNext() -> CapturedPortion? { state.captureNext() }

    @usableFromInline
    package func restore(_ portion: inout RestoredPortion, ownsGroup: (Int) -> Bool) throws {
        try state.restore(&portion, ownsGroup: ownsGroup)
        restored.insert(portion.group)
    }

    @usableFromInline
    package func finishRestore() {
        state.finishRestore()
        for group in restored.sorted() { follow(group) }
        restored = []
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
    /// - Parameters:
    ///   - element: The type of the user's that has to be Codable.
    ///   - onRestore: Sets right what follows from the value.
    @usableFromInline
    package func register<Value: Sendable>(
        _ value: TransactionalValue<Value>, holding element: Any.Type? = nil,
        onRestore: @escaping () -> Void
    ) {
        registerTransient(value)
        keep(value: { value.value }, holding: element) {
            value.value = $0
            onRestore()
        }
    }

    /// Has checkpoints keep a value that is made of elements of the user's type.
    @usableFromInline
    package func keep<Value: Sendable>(
        value get: @escaping () -> Value, holding element: Any.Type?,
        set: @escaping (Value) -> Void
    ) {
        keep(FollowedState(CheckpointedValue(get: get, set: set), holding: element))
    }
}
