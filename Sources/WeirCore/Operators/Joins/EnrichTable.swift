/// Whether events wait for the table that they are to be enriched from.
public struct TableStart: Sendable, Hashable {
    @usableFromInline let waitingLimit: Int

    /// Events are enriched with what the table has when they come.
    ///
    /// The default.
    public static let immediate = TableStart(waitingLimit: 0)

    /// Events wait until the table's stream has ended or the first watermark has come over both streams.
    ///
    /// - Parameter limit: How many events wait in each parallel instance; when there are more, all of them go on with
    ///   what the table has. Default 8,192.
    public static func whenLoaded(limit: Int = 8_192) -> TableStart {
        TableStart(waitingLimit: max(0, limit))
    }
}

extension EventStream {
    /// Adds to each event the newest row of a second stream that has the same key.
    ///
    /// The stage keeps the newest row per key; it is keyed on both inputs and may run as several actors. A row for a new
    /// key that finds the table full goes to the dead letters. Events keep their event time; event time is that of the
    /// slower of the two streams.
    ///
    /// - Parameters:
    ///   - table: The stream of rows.
    ///   - key: The key of an event; a pure function such as `\.card`.
    ///   - rowKey: The key of a row.
    ///   - entries: How many keys the table of one instance holds at most. Default 1,000,000.
    ///   - start: Whether events wait for the table to be loaded. Default: they don't.
    ///   - parallelism: The number of actors, 1 to 128; what the run's configuration says when nil.
    ///   - combine: Makes what is emitted of an event and the row, nil when there is none; nil leaves the event out.
    ///
    /// **Emits when** an event arrives, or when the table is loaded. **Suspends upstream when** its mailbox is full.
    /// **Finishes when** both inputs have ended. **Cancels when** nobody takes its events any more.
    /// **On restart** the table is as of the last completed batch.
    @inlinable
    public func enrich<
        Row: Sendable, Key: Hashable & Codable & Sendable, Output: Sendable, Failure: Error
    >(
        with table: EventStream<Row>, by key: @escaping @Sendable (Element) -> Key,
        rowKey: @escaping @Sendable (Row) -> Key, entries: Int = 1_000_000,
        start: TableStart = .immediate, parallelism: Int? = nil, name: String? = nil,
        file: StaticString = #fileID, line: UInt = #line,
        _ combine: @escaping @Sendable (Element, Row?) throws(Failure) -> Output?
    ) -> EventStream<Output> {
        let events = keyed(by: key, parallelism: parallelism)
        let rows = table.keyed(by: rowKey, parallelism: parallelism)
        var problem: String?
        if let parallelism, !(1...KeyGroup.count).contains(parallelism) {
            problem = "enrich takes a parallelism of 1 to 128, not \(parallelism)"
        }
        if entries < 1 { problem = "enrich needs at least 1 entry, not \(entries)" }
        return EventStream<Output>(
            node: Node(
                kind: "enrich", name: name,
                inputs: [
                    edge(partition: events.partition), table.edge(partition: rows.partition),
                ], isBoundary: true, parallelism: parallelism,
                traits: NodeTraits(isKeyed: true, problem: problem),
                location: SourceLocation(file, line)
            ) { scope, outputs in
                if Failure.self != Never.self { scope.markFallible() }
                let downstream = AnyReceiver.joined(outputs[0], as: Output.self)
                let known = scope.makeTable(Key.self, Row.self)
                scope.onPublish { (keys: known.count, timers: 0) }
                let tally = BatchTally(scope, .skipped)
                let join = { (batch: Batch<Element>) throws in
                    let output = try BatchWriter<Output>.gather(expecting: batch.count) { output in
                        for index in batch.elements.indices {
                            let element = batch.elements[index]
                            let joinKey = key(element)
                            let row = known.value(for: joinKey, hash: stableHash(joinKey))
                            guard let joined = try combine(element, row) else { continue }
                            output.append(joined, at: batch.time(at: index))
                        }
                    }
                    if !output.isEmpty { try downstream.batch(output) }
                }
                let gate = TableGate<Element>(
                    scope, start, group: { KeyGroup.keyGroup(ofHash: stableHash(key($0))) },
                    joined: Receiver(batch: { try join($0) }, signal: downstream.signal))
                return [
                    AnyReceiver(gate.receiver),
                    AnyReceiver(
                        Receiver<Row>(
                            batch: { batch in
                                for row in batch.elements {
                                    let joinKey = rowKey(row)
                                    let hash = stableHash(joinKey)
                                    if known.count >= entries,
                                        known.value(for: joinKey, hash: hash) == nil
                                    {
                                        tally.giveUp(
                                            row, "the table is full: it has \(entries) entries")
                                        continue
                                    }
                                    try known.update(joinKey, hash: hash, default: row) { $0 = row }
                                }
                            }, signal: { _ in })),
                ]
            })
    }
}
