extension KeyedStream {
    /// Joins each event with the version of a row that was valid at the event's time: a temporal join
    /// against a versioned table.
    ///
    /// A row of `versions` is valid from its event time on, until the next one of its key. Events wait
    /// until the watermark has reached their time, so that the version they get does not depend on the
    /// order of arrival. Versions that no event can ask for any more are forgotten: a key keeps the
    /// newest one behind the watermark, and those ahead of it. Late events get what there is; late
    /// versions are taken in while they still matter. Late events, and late versions that don't matter
    /// any more since a newer one is behind the watermark, are counted and go to the late rows that
    /// are given.
    ///
    /// ```swift
    /// orders.keyed(by: \.currency).join(asOf: rates.keyed(by: \.currency)) { order, rate in
    ///     rate.map { order.amount * $0.factor }
    /// }
    /// ```
    ///
    /// - Parameters:
    ///   - versions: The stream of rows, with event times and keys of the same type.
    ///   - waitingPerKey: How many events of a key wait for the watermark; further ones go to the
    ///     dead letters. Default 1,000,000.
    ///   - versionsPerKey: How many versions of a key's row are kept; the oldest go first and count as
    ///     dropped. Default 10,000.
    ///   - late: Takes the late events, which are joined besides, and the late versions that were left
    ///     out. Default: they are counted only.
    ///   - name: The stage's name, unique in its topology.
    ///   - combine: Makes what is emitted of an event and the row, nil when none was valid yet; nil
    ///     leaves the event out.
    /// - Complexity: O(log n) per event and version of a key, when they come in order.
    ///
    /// **Emits when** the watermark reaches an event's time, with that time. **Suspends upstream when**
    /// its mailbox is full. **Finishes when** both inputs have ended. **Cancels when** nobody takes its
    /// events any more. **On restart** events and versions are as before the event that failed.
    @inlinable
    public func join<Row: Sendable, Output: Sendable, Failure: Error>(
        asOf versions: KeyedStream<Key, Row>, waitingPerKey: Int = 1_000_000,
        versionsPerKey: Int = 10_000, late: LateRows<Element, Row>? = nil, name: String? = nil,
        file: StaticString = #fileID, line: UInt = #line,
        _ combine: @escaping @Sendable (Element, Row?) throws(Failure) -> Output?
    ) -> EventStream<Output> {
        let (eventKeys, rowKeys) = (keys, versions.keys)
        let node = joinStage(
            versions, "asOfJoin", name: name,
            traits: NodeTraits(
                outputs: 3, needsEventTime: true, taps: late?.taps ?? [:],
                problem: JoinLimit.problem(min(waitingPerKey, versionsPerKey))),
            at: SourceLocation(file, line)
        ) { scope, outputs in
            if Failure.self != Never.self { scope.markFallible() }
            let downstream = AnyReceiver.joined(outputs[0], as: Output.self)
            let lateEvents = AnyReceiver.joined(outputs[1], as: Element.self)
            let lateRows = AnyReceiver.joined(outputs[2], as: Row.self)
            let deadlines = Deadlines<Key>(scope) { signal in
                try downstream.signal(signal)
                try lateEvents.signal(signal)
                try lateRows.signal(signal)
            }
            let tally = BatchTally(scope, .skipped)
            let count = scope.makeCount(.joinRows)
            let waitingPeak = scope.makePeak(
                .joinKeyWaiting, limit: waitingPerKey, .joinKeyWaitingLimit)
            let versionsPeak = scope.makePeak(
                .joinKeyRows, limit: versionsPerKey, .joinKeyRowsLimit)
            let table = scope.makeTable(Key.self, AsOfRows<Element, Row>.self) { table, group in
                table.forEach(inGroup: group) { key, rows, _ in
                    count.value += rows.count
                    waitingPeak.note(rows.waiting.count)
                    versionsPeak.note(rows.versions.count)
                    let entry = WindowEntry(key: key, hash: stableHash(key), mark: 0)
                    for event in rows.waiting { deadlines.index.add(entry, at: event.time) }
                }
            }
            scope.onPublish { (keys: table.count, timers: deadlines.index.count) }
            // Hands over the events of a key that wait no more.
            let take = {
                (
                    entry: WindowEntry<Key>, deadline: Int64, isSingle: Bool,
                    body: (AsOfRows<Element, Row>.Timed<Element>, Row?) throws -> Void
                ) throws in
                var isEmpty = false
                try table.update(entry.key, hash: entry.hash, default: AsOfRows()) { rows in
                    let before = rows.count
                    defer { count.value += rows.count - before }
                    while let event = rows.next(upTo: deadline) {
                        try body(event, rows.version(at: event.time))
                        if isSingle, rows.hasDue(deadline) {
                            deadlines.index.add(entry, at: deadline)
                            break
                        }
                    }
                    rows.forget(before: deadline)
                    isEmpty = rows.count == 0
                }
                if isEmpty { table.remove(entry.key, hash: entry.hash) }
            }
            deadlines.onDue(
                { limit, units in
                    var output = BatchWriter<Output>()
                    var left = units
                    while left > 0, let (deadline, entry) = deadlines.index.next(upTo: limit) {
                        left -= 1
                        try take(entry, deadline, deadlines.isSingle) { event, row in
                            guard let joined = try combine(event.value, row) else { return }
                            output.append(joined, at: EventTime(nanoseconds: event.time))
                        }
                    }
                    if !output.isEmpty { try downstream.batch(output.take()) }
                    return left == 0
                },
                abandon: { entry, deadline in
                    var abandoned: Element?
                    try? take(entry, deadline, true) { event, _ in abandoned = event.value }
                    return abandoned
                })
            return (
                Receiver<Element>(
                    batch: { batch in
                        let batchKeys = eventKeys(batch)
                        let hashes = table.hashesAhead(of: batchKeys)
                        let limit = deadlines.limit
                        var output = BatchWriter<Output>()
                        var late = Batch<Element>()
                        for index in batch.elements.indices {
                            let key = batchKeys[index]
                            let hash = table.hash(of: key, at: index, in: hashes)
                            let event = batch.elements[index]
                            let time = batch.time(at: index)
                            var isEmpty = false
                            try table.update(key, hash: hash, default: AsOfRows()) { rows in
                                defer { isEmpty = rows.count == 0 }
                                if time.nanoseconds <= limit {
                                    late.append(event, at: time)
                                    let row = rows.version(at: time.nanoseconds)
                                    guard let joined = try combine(event, row) else { return }
                                    return output.append(joined, at: time)
                                }
                                guard rows.waiting.count < waitingPerKey else {
                                    return tally.giveUp(event, JoinLimit.full(waitingPerKey))
                                }
                                count.value += 1
                                if rows.wait(event, time.nanoseconds) {
                                    deadlines.index.add(
                                        WindowEntry(key: key, hash: hash, mark: 0),
                                        at: time.nanoseconds)
                                }
                                waitingPeak.note(rows.waiting.count)
                            }
                            if isEmpty { table.remove(key, hash: hash) }
                        }
                        if !output.isEmpty { try downstream.batch(output.take()) }
                        try deadlines.finish(late: late, to: lateEvents)
                    }, signal: { try deadlines.receive($0) }),
                Receiver<Row>(
                    batch: { batch in
                        let batchKeys = rowKeys(batch)
                        let hashes = table.hashesAhead(of: batchKeys)
                        let limit = deadlines.limit
                        var late = Batch<Row>()
                        for index in batch.elements.indices {
                            let key = batchKeys[index]
                            let hash = table.hash(of: key, at: index, in: hashes)
                            let time = batch.time(at: index)
                            try table.update(key, hash: hash, default: AsOfRows()) { rows in
                                if rows.isOver(time.nanoseconds, at: limit) {
                                    return late.append(batch.elements[index], at: time)
                                }
                                let before = rows.count
                                defer { count.value += rows.count - before }
                                rows.add(batch.elements[index], time.nanoseconds)
                                rows.forget(before: limit)
                                if rows.versions.count > versionsPerKey {
                                    tally.drop(rows.versions.count - versionsPerKey)
                                    rows.versions.removeFirst(
                                        rows.versions.count - versionsPerKey)
                                }
                                versionsPeak.note(rows.versions.count)
                            }
                        }
                        try deadlines.finish(late: late, to: lateRows)
                    }, signal: { _ in })
            )
        }
        return EventStream<Output>(node: node)
    }
}

/// The versions of a key's row and the events that wait for them, both by time.
@usableFromInline
struct AsOfRows<Event: Sendable, Row: Sendable>: Sendable {
    @usableFromInline
    struct Timed<Value: Sendable>: Sendable {
        @usableFromInline let time: Int64
        @usableFromInline let value: Value

        @inlinable
        init(_ time: Int64, _ value: Value) {
            self.time = time
            self.value = value
        }
    }

    @usableFromInline var versions: ContiguousArray<Timed<Row>> = []
    @usableFromInline var waiting: ContiguousArray<Timed<Event>> = []

    @inlinable
    init() {}

    @inlinable var count: Int { versions.count + waiting.count }

    /// The newest version that is not newer than `time`.
    @inlinable
    func version(at time: Int64) -> Row? {
        let end = Self.end(versions, time)
        return end == 0 ? nil : versions[end - 1].value
    }

    /// Of versions with the same time the last to come counts.
    @inlinable
    mutating func add(_ row: Row, _ time: Int64) {
        versions.insert(Timed(time, row), at: Self.end(versions, time))
    }

    /// Whether a version that begins at `time` has a newer one that began no later than `limit`.
    @inlinable
    func isOver(_ time: Int64, at limit: Int64) -> Bool {
        if time > limit { return false }
        let end = Self.end(versions, limit)
        return end > 0 && versions[end - 1].time > time
    }

    /// Adds an event; whether no event waits for the same time yet.
    @inlinable
    mutating func wait(_ event: Event, _ time: Int64) -> Bool {
        let end = Self.end(waiting, time)
        let isFirst = end == 0 || waiting[end - 1].time != time
        waiting.insert(Timed(time, event), at: end)
        return isFirst
    }

    /// Whether an event waits for `deadline` or an earlier time.
    @inlinable
    func hasDue(_ deadline: Int64) -> Bool {
        guard let first = waiting.first else { return false }
        return first.time <= deadline
    }

    /// Takes out the first event that waits for `deadline` or an earlier time.
    @inlinable
    mutating func next(upTo deadline: Int64) -> Timed<Event>? {
        hasDue(deadline) ? waiting.removeFirst() : nil
    }

    /// Forgets the versions that were over at `time`.
    @inlinable
    mutating func forget(before time: Int64) {
        let oldest = waiting.first.map { Swift.min($0.time, time) } ?? time
        let end = Self.end(versions, oldest)
        if end > 1 { versions.removeFirst(end - 1) }
    }

    /// Behind the values whose time is not later than `time`.
    @inlinable
    static func end<Value>(_ values: ContiguousArray<Timed<Value>>, _ time: Int64) -> Int {
        if let last = values.last, last.time <= time { return values.count }
        var (low, high) = (0, values.count)
        while low < high {
            let middle = (low + high) / 2
            if values[middle].time <= time { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

extension AsOfRows.Timed: Encodable where Value: Encodable {}
extension AsOfRows.Timed: Decodable where Value: Decodable {}
extension AsOfRows: Encodable where Event: Encodable, Row: Encodable {}
extension AsOfRows: Decodable where Event: Decodable, Row: Decodable {}
