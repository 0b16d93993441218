extension WindowedStream {
    /// Joins the rows of each window with those of another stream that have the same key and fall
    /// into the same window.
    ///
    /// All kinds of windows do, also sessions, which are then made of the events of both streams.
    /// A row of this stream that comes too late goes to ``late``, and late rows of both streams go to
    /// those that are given.
    ///
    /// ```swift
    /// sellers.keyed(by: \.id).window(.tumbling(.seconds(10)))
    ///     .join(auctions.keyed(by: \.seller), .semi) { seller, _ in seller }
    /// ```
    ///
    /// - Parameters:
    ///   - other: The other stream, with event times and keys of the same type.
    ///   - kind: Which rows and pairs are results.
    ///   - rowsPerWindow: How many rows a window of a key keeps on each side; the others count as
    ///     dropped when it fires. Default 1,000,000.
    ///   - late: Takes the rows that come too late for all of their windows. Default: they are
    ///     counted only.
    ///   - name: The stage's name, unique in its topology.
    ///   - combine: Makes the result of a pair of rows, or of one row that has no partner.
    /// - Complexity: O(1) per row and window, O(results) when a window fires.
    ///
    /// **Emits when** the watermark reaches the end of a window, the trigger says so, or a late row
    /// changes a result. **Suspends upstream when** its mailbox is full.
    /// **Finishes when** both inputs have ended and the open windows have given their results.
    /// **Cancels when** nobody takes its events any more.
    /// **On restart** the windows are as before the event that failed.
    @inlinable
    public func join<Other: Sendable, First, Second, Output: Sendable, Failure: Error>(
        _ other: KeyedStream<Key, Other>, _ kind: JoinKind<Element, Other, First, Second>,
        rowsPerWindow: Int = 1_000_000, late: LateRows<Element, Other>? = nil, name: String? = nil,
        file: StaticString = #fileID,
        line: UInt = #line,
        _ combine: @escaping @Sendable (First, Second) throws(Failure) -> Output
    ) -> EventStream<Windowed<Key, Output>> {
        let (leftKeys, rightKeys) = (keyed.keys, other.keys)
        let (window, allowedLateness, trigger) = (self.window, self.allowedLateness, self.trigger)
        var taps = late?.taps ?? [:]
        taps[lateTap] = 1
        let node = keyed.joinStage(
            other, "windowJoin", name: name,
            traits: NodeTraits(
                outputs: 3, needsEventTime: window.needsTimes, taps: taps,
                problem: self.problem(combines: true) ?? JoinLimit.problem(rowsPerWindow)),
            at: SourceLocation(file, line)
        ) { scope, outputs in
            if Failure.self != Never.self { scope.markFallible() }
            let downstream = AnyReceiver.joined(outputs[0], as: Windowed<Key, Output>.self)
            let tally = BatchTally(scope, .skipped)
            let results = Receiver<Windowed<Key, JoinRows<Element, Other>>>(
                batch: { batch in
                    var output = BatchWriter<Windowed<Key, Output>>()
                    for index in batch.elements.indices {
                        let result = batch.elements[index]
                        tally.drop(result.value.omitted)
                        let time = batch.time(at: index)
                        try result.value.forEach(kind.shape) { left, right in
                            guard let (first, second) = kind.parts(left, right) else { return }
                            output.append(
                                Windowed(
                                    key: result.key, window: result.window,
                                    value: try combine(first, second)), at: time)
                        }
                    }
                    if !output.isEmpty { try downstream.batch(output.take()) }
                }, signal: downstream.signal)
            let rows = WindowJoinInput<Key, Element, Other>.receiver(
                scope, window: window, lateness: allowedLateness, trigger: trigger,
                maximum: rowsPerWindow, late: (outputs[1], outputs[2]), results)
            return (
                Receiver<Element>(
                    batch: { batch in
                        try rows.batch(
                            Batch(
                                unchecked: zip(leftKeys(batch), batch.elements).contiguous {
                                    WindowJoinInput(key: $0, row: .left($1))
                                }, times: batch.times))
                    }, signal: rows.signal),
                Receiver<Other>(
                    batch: { batch in
                        try rows.batch(
                            Batch(
                                unchecked: zip(rightKeys(batch), batch.elements).contiguous {
                                    WindowJoinInput(key: $0, row: .right($1))
                                }, times: batch.times))
                    }, signal: { _ in })
            )
        }
        return EventStream<Windowed<Key, Output>>(node: node)
    }
}

extension Zip2Sequence {
    @inlinable
    func contiguous<Output>(
        _ transform: (Sequence1.Element, Sequence2.Element) -> Output
    ) -> ContiguousArray<Output> {
        var output = ContiguousArray<Output>()
        output.reserveCapacity(underestimatedCount)
        for (first, second) in self { output.append(transform(first, second)) }
        return output
    }
}

/// A row of either side on its way into the windows.
@usableFromInline
struct WindowJoinInput<Key: Hashable & Codable & Sendable, Left: Sendable, Right: Sendable>:
    Sendable
{
    @usableFromInline
    enum Row: Sendable {
        case left(Left)
        case right(Right)
    }

    @usableFromInline let key: Key
    @usableFromInline let row: Row

    @inlinable
    init(key: Key, row: Row) {
        self.key = key
        self.row = row
    }

    /// The windows of both sides.
    @inlinable
    static func receiver(
        _ scope: StageScope, window: Window, lateness: Duration, trigger: WindowTrigger,
        maximum: Int, late: (left: [AnyReceiver], right: [AnyReceiver]),
        _ results: Receiver<Windowed<Key, JoinRows<Left, Right>>>
    ) -> Receiver<Self> {
        let core = WindowCore<Key, Self>(
            scope: scope, domain: window.domain, lateness: lateness, interval: trigger.interval,
            late: late.left.isEmpty && late.right.isEmpty ? [] : [lateRows(late.left, late.right)],
            forward: results.signal)
        let fold = JoinFold<Key, Left, Right>(
            maximum: maximum, count: scope.makeCount(.joinRows),
            peak: scope.makePeak(.joinKeyRows, limit: maximum, .joinKeyRowsLimit))
        let keys: @Sendable (Batch<Self>) -> ContiguousArray<Key> = { batch in
            batch.elements.mapped { $0.key }
        }
        switch window.kind {
        case .sliding(let size, let slide, let offset) where !trigger.isEarly:
            return core.receiver(
                SlidingPanes(size: size, slide: slide, offset: offset, fold, core),
                downstream: results, keys: keys)
        case .session(let gap):
            return core.receiver(
                SessionWindows(gap: gap, fold, trigger, core), downstream: results, keys: keys)
        case .count(let size, let slide):
            return core.receiver(
                CountWindows(size: size, slide: slide, fold, core), downstream: results,
                keys: keys)
        default:
            return core.receiver(
                PlainWindows(window.kind, fold, trigger, core), downstream: results, keys: keys)
        }
    }

    /// Late rows go on as those of the side that they are of.
    @usableFromInline
    static func lateRows(_ left: [AnyReceiver], _ right: [AnyReceiver]) -> AnyReceiver {
        let left = AnyReceiver.joined(left, as: Left.self)
        let right = AnyReceiver.joined(right, as: Right.self)
        return AnyReceiver(
            Receiver<Self>(
                batch: { batch in
                    var (lefts, rights) = (Batch<Left>(), Batch<Right>())
                    for index in batch.elements.indices {
                        let time = batch.time(at: index)
                        switch batch.elements[index].row {
                        case .left(let row): lefts.append(row, at: time)
                        case .right(let row): rights.append(row, at: time)
                        }
                    }
                    if !lefts.isEmpty { try left.batch(lefts) }
                    if !rights.isEmpty { try right.batch(rights) }
                },
                signal: { signal in
                    try left.signal(signal)
                    try right.signal(signal)
                }))
    }
}

/// Gathers the rows of both sides.
@usableFromInline
struct JoinFold<Key: Hashable & Codable & Sendable, Left: Sendable, Right: Sendable>: WindowFold {
    @usableFromInline typealias Rows = JoinRows<Left, Right>
    @usableFromInline let maximum: Int
    @usableFromInline let count: StateCount
    @usableFromInline let peak: RecentPeak

    @inlinable
    init(maximum: Int, count: StateCount, peak: RecentPeak) {
        self.maximum = maximum
        self.count = count
        self.peak = peak
    }

    @inlinable var counts: Bool { true }
    @inlinable
    func entered(_ rows: Rows) {
        count.value += rows.count
        peak.note(max(rows.lefts.count, rows.rights.count))
    }

    @inlinable func left(_ rows: Rows) { count.value -= rows.count }

    @inlinable var combines: Bool { true }
    @inlinable func initial() -> Rows { Rows() }

    @inlinable
    func add(_ input: WindowJoinInput<Key, Left, Right>, to rows: inout Rows) {
        switch input.row {
        case .left(let row):
            guard rows.lefts.count < maximum else { return rows.omitted += 1 }
            rows.lefts.append(row)
            peak.note(rows.lefts.count)
        case .right(let row):
            guard rows.rights.count < maximum else { return rows.omitted += 1 }
            rows.rights.append(row)
            peak.note(rows.rights.count)
        }
        count.value += 1
    }

    @inlinable
    func combine(_ other: Rows, into rows: inout Rows) {
        // A checkpoint may have more than the bound allows now.
        let lefts = max(0, maximum - rows.lefts.count)
        let rights = max(0, maximum - rows.rights.count)
        rows.lefts.append(contentsOf: other.lefts.prefix(lefts))
        rows.rights.append(contentsOf: other.rights.prefix(rights))
        rows.omitted +=
            other.omitted + max(0, other.lefts.count - lefts)
            + max(0, other.rights.count - rights)
        peak.note(max(rows.lefts.count, rows.rights.count))
    }

    @inlinable func result(of rows: Rows) -> Rows { rows }
}
