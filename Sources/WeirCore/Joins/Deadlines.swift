/// What of a stage's keys is due at which event time; fired in portions before the watermark goes on.
@usableFromInline
final class Deadlines<Key: Hashable & Codable & Sendable>: TransactionParticipant {
    @usableFromInline unowned let scope: StageScope
    @usableFromInline let index = WindowIndex<Key>()
    private let forward: (Signal) throws -> Void
    private var fire: ((_ limit: Int64, _ units: Int) throws -> Bool)?
    private var abandon: ((WindowEntry<Key>, _ deadline: Int64) -> (any Sendable)?)?
    private var latePending = 0

    @usableFromInline
    init(_ scope: StageScope, forward: @escaping (Signal) throws -> Void) {
        self.scope = scope
        self.forward = forward
        scope.register(index)
        scope.register(self)
    }

    /// Up to where event time has come.
    @usableFromInline var limit: Int64 { scope.watermark.nanoseconds }

    /// Whether each result is a unit of its own, since the one that fails is being looked for.
    @usableFromInline var isSingle: Bool { scope.portion == 1 }

    /// Says how entries are fired.
    ///
    /// - Parameters:
    ///   - fire: Fires at most `units` and returns whether there are more; with ``isSingle`` a unit
    ///     has one result at the most, and its entry is entered again for the others.
    ///   - abandon: Does with the next unit, whose entry it gets, what `fire` does except for the
    ///     result, and returns what that would have been made of.
    @usableFromInline
    func onDue(
        _ fire: @escaping (_ limit: Int64, _ units: Int) throws -> Bool,
        abandon: @escaping (WindowEntry<Key>, _ deadline: Int64) -> (any Sendable)?
    ) {
        self.fire = fire
        self.abandon = abandon
    }

    /// Sends on the rows of a batch that came behind the watermark, and counts them once it is done.
    @usableFromInline
    func finish<Row>(late rows: consuming Batch<Row>, to receiver: Receiver<Row>) throws {
        if rows.isEmpty { return }
        latePending += rows.count
        try receiver.batch(rows)
    }

    @usableFromInline
    func receive(_ signal: Signal) throws {
        guard case .watermark(let time) = signal, (index.nextDeadline ?? .max) <= time.nanoseconds,
            index.count > 0
        else { return try forward(signal) }
        let limit = time.nanoseconds
        scope.enqueue(
            { [unowned self] in
                if let fire, try fire(limit, max(1, scope.portion)) { return true }
                try forward(signal)
                return false
            },
            abandon: { [unowned self] in
                guard let (deadline, entry) = index.next(upTo: limit) else { return nil }
                return abandon?(entry, deadline)
                    ?? "rows of key \(entry.key) at \(deadline) ns"
            })
    }

    @usableFromInline func beginBatch() { latePending = 0 }

    @usableFromInline
    func commitBatch() {
        if latePending > 0 { scope.countLate(latePending) }
        latePending = 0
    }

    @usableFromInline func rollbackBatch() { latePending = 0 }
}
