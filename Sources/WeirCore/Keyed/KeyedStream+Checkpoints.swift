/// An event that leaves with a checkpoint.
public struct Checkpointed<Element: Sendable>: Sendable {
    /// The number of the checkpoint; numbers grow from one to the next, over all runs on a store.
    public var checkpoint: Int
    /// The event.
    public var element: Element

    /// Creates an event of a checkpoint.
    public init(checkpoint: Int, element: Element) {
        self.checkpoint = checkpoint
        self.element = element
    }
}

extension Checkpointed: Codable where Element: Codable {}
extension Checkpointed: Equatable where Element: Equatable {}

extension KeyedStream {
    /// Holds the newest event of each key back until the next checkpoint: what has changed since
    /// the last one, each key once.
    ///
    /// What it emits belongs to that checkpoint, so that a transactional sink behind it makes final
    /// exactly one event per checkpoint and key that has changed. Without a store it emits once, at
    /// the end of the input. Watermarks wait while events are held back, so that none is late for
    /// what follows.
    ///
    /// - Parameter name: The stage's name, unique in its topology.
    /// - Complexity: O(1) per event; a checkpoint costs O(keys that have changed).
    ///
    /// **Emits when** a checkpoint is taken, and when the input ends. **Suspends upstream when** its
    /// mailbox is full. **Finishes when** the input ends. **Cancels when** nobody takes its events
    /// any more. **On restart** what is held back is as before the event that failed.
    @inlinable
    public func latestPerCheckpoint(
        name: String? = nil, file: StaticString = #fileID, line: UInt = #line
    ) -> EventStream<Checkpointed<Element>> {
        let keys = self.keys
        let node = stage(
            "latestPerCheckpoint", name: name, traits: NodeTraits(), at: SourceLocation(file, line)
        ) { scope, outputs in
            let downstream = AnyReceiver.joined(outputs[0], as: Checkpointed<Element>.self)
            let changed = ChangedKeys<Key, Element>(scope, downstream)
            scope.onBarrier { try changed.release(checkpoint: $0) }
            scope.onPublish { (keys: changed.table.count, timers: 0) }
            let table = changed.table
            return Receiver(
                batch: { batch in
                    changed.signals.value.receivedEvent()
                    let batchKeys = keys(batch)
                    let hashes = table.hashesAhead(of: batchKeys)
                    for index in batch.elements.indices {
                        let hash = table.hash(of: batchKeys[index], at: index, in: hashes)
                        let held = Held(batch.elements[index], batch.time(at: index))
                        try table.update(batchKeys[index], hash: hash, default: held) { $0 = held }
                    }
                },
                signal: { signal in
                    if table.count > 0 {
                        guard case .end = signal else { return changed.signals.value.hold(signal) }
                        try changed.release(checkpoint: nil)
                    }
                    try downstream.signal(signal)
                })
        }
        return EventStream(node: node)
    }
}

/// The newest event of a key.
@usableFromInline
struct Held<Element: Sendable>: Sendable {
    @usableFromInline let element: Element
    @usableFromInline let time: EventTime

    @inlinable
    init(_ element: Element, _ time: EventTime) {
        self.element = element
        self.time = time
    }
}

/// The keys that have changed since the last checkpoint, each with its newest event.
///
/// Empty whenever a checkpoint captures state.
@usableFromInline
final class ChangedKeys<Key: Hashable & Codable & Sendable, Element: Sendable> {
    @usableFromInline let table: KeyedTable<Key, Held<Element>>
    /// What waits for the events; nothing of it is left when state is captured.
    @usableFromInline let signals = TransactionalValue(HeldSignals())
    private unowned let scope: StageScope
    private let downstream: Receiver<Checkpointed<Element>>

    @usableFromInline
    init(_ scope: StageScope, _ downstream: Receiver<Checkpointed<Element>>) {
        self.scope = scope
        self.downstream = downstream
        table = KeyedTable(tracksChanges: scope.mayRollBack)
        scope.register(TableParticipant(table))
        scope.registerTransient(signals)
    }

    /// Emits what is held back, and then the signals that have waited for it.
    ///
    /// - Parameter checkpoint: Its number; nil for the one that comes next.
    @usableFromInline
    func release(checkpoint: Int?) throws {
        try emit(checkpoint: checkpoint)
        for signal in signals.value.release() { try downstream.signal(signal) }
    }

    private func emit(checkpoint: Int?) throws {
        let number = checkpoint ?? scope.environment.checkpoints?.upcoming ?? 0
        for group in 0..<KeyGroup.count where table.count(inGroup: group) > 0 {
            var batch = Batch<Checkpointed<Element>>()
            var keys: [Key] = []
            table.forEach(inGroup: group) { key, held, _ in
                batch.append(Checkpointed(checkpoint: number, element: held.element), at: held.time)
                keys.append(key)
            }
            for key in keys { table.remove(key, hash: stableHash(key)) }
            try downstream.batch(batch)
        }
    }
}
