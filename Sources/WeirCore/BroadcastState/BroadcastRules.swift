/// The rules of one instance: rolled back with the batch; in checkpoints once, and restored in all
/// instances, however many there are then.
@usableFromInline
final class BroadcastRules<Rules: Codable & Sendable> {
    @usableFromInline let value: TransactionalValue<Rules>

    @usableFromInline
    init(_ scope: StageScope, _ initial: Rules) {
        value = TransactionalValue(initial)
        scope.copiedInput = 1
        scope.registerTransient(value)
        scope.keep(ReplicatedValue(value, isWriter: scope.instance == 0))
    }
}

/// A value that all instances of a stage have alike.
private final class ReplicatedValue<Value: Codable & Sendable>: CheckpointedState {
    private let value: TransactionalValue<Value>
    private let isWriter: Bool
    private let codec = StateCodec<Value>.make()
    private var frozen: Value?

    init(_ value: TransactionalValue<Value>, isWriter: Bool) {
        self.value = value
        self.isWriter = isWriter
    }

    var contents: String { "\(Value.self)" }
    var obstacle: String? { nil }
    // A portion without a group then goes to every instance.
    var isKeyed: Bool { true }

    func beginCapture() {
        if isWriter { frozen = value.value }
    }

    func captureNext() -> CapturedPortion? {
        guard let value = frozen, let codec else { return nil }
        frozen = nil
        return CapturedPortion(entries: 1) { try codec.encode(value) }
    }

    func restore(_ portion: inout RestoredPortion, ownsGroup: (Int) -> Bool) throws {
        if let restored = try codec?.read(&portion.reader) { value.value = restored }
    }
}
