extension EventStream {
    /// Merges events while the stages behind it are too slow to take each one.
    ///
    /// It is a stage whose mailbox merges what arrives while it is full: as long as the stage behind it has room, events
    /// pass as they are. That stage's mailbox holds what it has not taken, so bound it too where the newest counts:
    /// `.stage("slow").mailbox(.bounded(1))`. Merged events count as dropped with the reason `conflated`.
    ///
    /// - Parameters:
    ///   - capacity: How many events may wait before merging begins, at least 1. Default 1.
    ///   - seed: Begins a merged event.
    ///   - merge: Adds an event to a merged one; it runs on the sender's side and must be quick.
    ///
    /// **Emits when** an event arrives or the next stage has room again. **Suspends upstream** never.
    /// **Finishes when** the input ends. **Cancels when** nobody takes its events any more.
    /// **On restart** nothing changes: merged events wait in the mailbox.
    @inlinable
    public func conflate<Merged: Sendable>(
        capacity: Int = 1, seed: @escaping @Sendable (Element) -> Merged,
        name: String? = nil, file: StaticString = #fileID, line: UInt = #line,
        _ merge: @escaping @Sendable (Merged, Merged) -> Merged
    ) -> EventStream<Merged> {
        let location = SourceLocation(file, line)
        let problem =
            capacity < 1 ? "conflate needs a capacity of at least 1, not \(capacity)" : nil
        let counted = transform("conflateSeed", at: location) {
            (_, downstream: Receiver<Conflated<Merged>>) in
            Receiver(
                batch: { batch in
                    try downstream.batch(
                        Batch(
                            unchecked: batch.elements.mapped {
                                Conflated(value: seed($0), count: 1)
                            }, times: batch.times))
                }, signal: downstream.signal)
        }
        let policy = MailboxPolicy.bounded(
            max(1, capacity), overflow: Conflated.policy(merge))
        let merged: EventStream<Merged> = counted.transform(
            "conflate", name: name, boundary: true, traits: NodeTraits(problem: problem),
            at: location
        ) { scope, downstream in
            let tally = BatchTally(scope, .conflated)
            return Receiver(
                batch: { batch in
                    for conflated in batch.elements { tally.drop(conflated.count - 1) }
                    try downstream.batch(
                        Batch(
                            unchecked: batch.elements.mapped { $0.value }, times: batch.times))
                }, signal: downstream.signal)
        }
        return merged.attribute("mailbox", .mailbox(policy), at: location)
    }

    /// Merges events while the stages behind it are too slow to take each one.
    ///
    /// See ``conflate(capacity:seed:name:file:line:_:)``; here the merged event is of the same type.
    ///
    /// - Parameter merge: Makes one event of the one that waits and a newer one.
    ///
    /// **Emits when** an event arrives or the next stage has room again. **Suspends upstream** never.
    /// **Finishes when** the input ends. **Cancels when** nobody takes its events any more.
    @inlinable
    public func conflate(
        capacity: Int = 1, name: String? = nil, file: StaticString = #fileID, line: UInt = #line,
        _ merge: @escaping @Sendable (_ waiting: Element, _ newer: Element) -> Element
    ) -> EventStream<Element> {
        conflate(capacity: capacity, seed: { $0 }, name: name, file: file, line: line, merge)
    }

    /// Keeps only the newest event while the stages behind it are too slow; see ``conflate(capacity:name:file:line:_:)``.
    ///
    /// **Emits when** an event arrives or the next stage has room again. **Suspends upstream** never.
    /// **Finishes when** the input ends. **Cancels when** nobody takes its events any more.
    @inlinable
    public func conflateToLatest(
        name: String? = nil, file: StaticString = #fileID, line: UInt = #line
    ) -> EventStream<Element> {
        conflate(capacity: 1, name: name, file: file, line: line) { _, newer in newer }
    }
}

/// A merged event and how many it was made of.
@usableFromInline
struct Conflated<Value: Sendable>: Sendable {
    @usableFromInline var value: Value
    @usableFromInline var count: Int

    @inlinable
    init(value: Value, count: Int) {
        self.value = value
        self.count = count
    }

    /// Merges an arriving batch into the last event that waits.
    @inlinable
    static func policy(_ merge: @escaping @Sendable (Value, Value) -> Value) -> OverflowPolicy {
        .conflating { waiting, arriving in
            let box = unsafeDowncast(waiting, to: BatchBox<Conflated>.self)
            let newer = unsafeDowncast(arriving, to: BatchBox<Conflated>.self).batch
            guard let last = box.batch.elements.indices.last else { return arriving }
            for index in newer.elements.indices {
                box.batch.elements[last].value = merge(
                    box.batch.elements[last].value, newer.elements[index].value)
                box.batch.elements[last].count += newer.elements[index].count
                if newer.hasTimes, box.batch.hasTimes {
                    box.batch.times[last] = max(box.batch.times[last], newer.times[index])
                }
            }
            return waiting
        }
    }
}
