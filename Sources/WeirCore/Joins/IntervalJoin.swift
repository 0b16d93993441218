extension KeyedStream {
    /// Joins each row with the rows of another stream that have the same key and a time near its own.
    ///
    /// A row at time *t* meets the other stream's rows from *t* + `interval.lowerBound` to *t* +
    /// `interval.upperBound`, both included. Rows are forgotten when the watermark says that no
    /// partner can come any more; `weir_timers_pending` shows how many keys wait for that. Rows
    /// behind the watermark are left out, counted, and go to the late rows that are given.
    ///
    /// ```swift
    /// orders.keyed(by: \.id).join(
    ///     payments.keyed(by: \.order), within: .zero ... .minutes(10), .inner
    /// ) { order, payment in Paid(order, payment) }
    /// ```
    ///
    /// - Parameters:
    ///   - other: The other stream, with event times and keys of the same type.
    ///   - interval: The other rows' times relative to those of this stream.
    ///   - kind: Which rows and pairs are results. A pair has the later of its two times. A row
    ///     without a partner is known to have none, and has the time, when its interval is over.
    ///   - rowsPerKey: How many rows a key keeps on each side; further ones meet those that are there
    ///     and go to the dead letters. Default 1,000,000.
    ///   - late: Takes the rows that come behind the watermark. Default: they are counted only.
    ///   - name: The stage's name, unique in its topology.
    ///   - combine: Makes what is emitted of a pair, or of one row that has no partner; nil for
    ///     nothing: rows that are refused count as partners all the same.
    /// - Complexity: O(rows that the key keeps) per row; event time advances at a cost that depends on
    ///   what is due alone.
    ///
    /// **Emits when** a row comes that has partners, and when the watermark says that a row has none.
    /// **Suspends upstream when** its mailbox is full. **Finishes when** both inputs have ended.
    /// **Cancels when** nobody takes its events any more.
    /// **On restart** the rows are as before the event that failed.
    @inlinable
    public func join<Other: Sendable, First, Second, Output: Sendable, Failure: Error>(
        _ other: KeyedStream<Key, Other>, within interval: ClosedRange<Duration>,
        _ kind: JoinKind<Element, Other, First, Second>, rowsPerKey: Int = 1_000_000,
        late: LateRows<Element, Other>? = nil, name: String? = nil, file: StaticString = #fileID,
        line: UInt = #line,
        _ combine: @escaping @Sendable (First, Second) throws(Failure) -> Output?
    ) -> EventStream<Output> {
        let (leftKeys, rightKeys) = (keys, other.keys)
        let node = joinStage(
            other, "intervalJoin", name: name,
            traits: NodeTraits(
                outputs: 3, needsEventTime: true, taps: late?.taps ?? [:],
                problem: JoinLimit.problem(rowsPerKey)),
            at: SourceLocation(file, line)
        ) { scope, outputs in
            if Failure.self != Never.self { scope.markFallible() }
            let downstream = AnyReceiver.joined(outputs[0], as: Output.self)
            let lateLeft = AnyReceiver.joined(outputs[1], as: Element.self)
            let lateRight = AnyReceiver.joined(outputs[2], as: Other.self)
            let engine = IntervalRows<Key, Element, Other>(
                scope, interval, kind.shape, rowsPerKey
            ) { signal in
                try downstream.signal(signal)
                try lateLeft.signal(signal)
                try lateRight.signal(signal)
            }
            let emit = {
                (left: Element?, right: Other?, time: Int64, output: inout BatchWriter<Output>)
                    throws in
                guard let (first, second) = kind.parts(left, right),
                    let result = try combine(first, second)
                else { return }
                output.append(result, at: EventTime(nanoseconds: time))
            }
            engine.deadlines.onDue(
                { limit, units in
                    var output = BatchWriter<Output>()
                    var left = units
                    while left > 0, let next = engine.deadlines.index.next(upTo: limit) {
                        left -= 1
                        try engine.expire(next.entry, next.deadline, limit: limit) {
                            try emit($0, $1, $2, &output)
                        }
                    }
                    if !output.isEmpty { try downstream.batch(output.take()) }
                    return left == 0
                }, abandon: { engine.abandon($0, $1) })
            scope.onPublish { (keys: engine.table.count, timers: engine.deadlines.index.count) }
            let left = engine.receiver(
                keys: leftKeys, downstream, late: lateLeft,
                signal: { try engine.deadlines.receive($0) }
            ) { row, key, hash, time, output in
                try engine.addLeft(row, key, hash: hash, at: time) { row, other, time in
                    try emit(row, other, time, &output)
                }
            }
            let right = engine.receiver(
                keys: rightKeys, downstream, late: lateRight, signal: { _ in }
            ) { row, key, hash, time, output in
                try engine.addRight(row, key, hash: hash, at: time) { row, other, time in
                    try emit(row, other, time, &output)
                }
            }
            return (left, right)
        }
        return EventStream<Output>(node: node)
    }
}
