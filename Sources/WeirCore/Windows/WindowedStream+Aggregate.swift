extension WindowedStream {
    /// Combines the events of each window into one value, in the order of their arrival.
    ///
    /// For sliding windows each of the size / slide windows of an event has a value of its own;
    /// ``reduce(into:name:file:line:_:combine:)`` and ``aggregate(_:name:file:line:)`` share panes
    /// instead.
    ///
    /// - Parameters:
    ///   - initial: The value of a window without events.
    ///   - name: The stage's name, unique in its topology.
    ///   - body: Adds an event to the value.
    /// - Complexity: O(windows of the event) per event; time advances at a cost that depends on the
    ///   windows due alone.
    ///
    /// **Emits when** the watermark reaches the end of a window, the trigger says so, or a late
    /// event changes a result.
    /// **Suspends upstream when** its mailbox is full.
    /// **Finishes when** the input ends and the open windows have given their results.
    /// **Cancels when** nobody takes its events any more.
    /// **On restart** the windows are as before the event that failed.
    @inlinable
    public func reduce<Value: Codable & Sendable, Failure: Error>(
        into initial: Value, name: String? = nil, file: StaticString = #fileID,
        line: UInt = #line,
        _ body: @escaping @Sendable (inout Value, Element) throws(Failure) -> Void
    ) -> EventStream<Windowed<Key, Value>> {
        fold(
            ReduceFold(start: initial, body: body, merge: nil), name: name,
            isFallible: Failure.self != Never.self, combines: false,
            at: SourceLocation(file, line))
    }

    /// Combines the events of each window into one value; values can be combined, so that sliding
    /// windows share panes.
    ///
    /// - Parameters:
    ///   - initial: The value of no event: combined with another value it gives that value.
    ///   - name: The stage's name, unique in its topology.
    ///   - body: Adds an event to the value.
    ///   - combine: Adds a value of later events to the value.
    /// - Complexity: O(1) per event and, on average, per result, whatever the number of windows of
    ///   an event.
    ///
    /// **Emits when** the watermark reaches the end of a window, the trigger says so, or a late
    /// event changes a result.
    /// **Suspends upstream when** its mailbox is full.
    /// **Finishes when** the input ends and the open windows have given their results.
    /// **Cancels when** nobody takes its events any more.
    /// **On restart** the windows are as before the event that failed.
    @inlinable
    public func reduce<Value: Codable & Sendable, Failure: Error>(
        into initial: Value, name: String? = nil, file: StaticString = #fileID,
        line: UInt = #line,
        _ body: @escaping @Sendable (inout Value, Element) throws(Failure) -> Void,
        combine: @escaping @Sendable (inout Value, Value) -> Void
    ) -> EventStream<Windowed<Key, Value>> {
        fold(
            ReduceFold(start: initial, body: body, merge: combine), name: name,
            isFallible: Failure.self != Never.self, combines: true,
            at: SourceLocation(file, line))
    }

    /// Applies an aggregate, such as `.count()` or `.sum(of: \.amount)`, to each window.
    ///
    /// - Complexity: O(1) additions per event and, on average, O(1) combinations per result.
    ///
    /// **Emits when** the watermark reaches the end of a window, the trigger says so, or a late
    /// event changes a result.
    /// **Suspends upstream when** its mailbox is full.
    /// **Finishes when** the input ends and the open windows have given their results.
    /// **Cancels when** nobody takes its events any more.
    /// **On restart** the windows are as before the event that failed.
    @inlinable
    public func aggregate<Summary: Aggregate>(
        _ aggregate: Summary, name: String? = nil, file: StaticString = #fileID,
        line: UInt = #line
    ) -> EventStream<Windowed<Key, Summary.Output>> where Summary.Input == Element {
        fold(
            AggregateFold(aggregate), name: name, isFallible: false, combines: true,
            problem: aggregate.problem, at: SourceLocation(file, line))
    }

    /// Collects the events of each window, up to a bound.
    ///
    /// - Parameters:
    ///   - maximum: How many events of a window are kept; the first ones. Default 10,000.
    ///   - name: The stage's name, unique in its topology.
    ///
    /// **Emits when** the watermark reaches the end of a window, the trigger says so, or a late
    /// event changes a result.
    /// **Suspends upstream when** its mailbox is full.
    /// **Finishes when** the input ends and the open windows have given their results.
    /// **Cancels when** nobody takes its events any more.
    /// **On restart** the windows are as before the event that failed.
    @inlinable
    public func collect(
        maximum: Int = 10_000, name: String? = nil, file: StaticString = #fileID,
        line: UInt = #line
    ) -> EventStream<Windowed<Key, CollectedEvents<Element>>> {
        fold(
            CollectFold<Element>(maximum: maximum), name: name, isFallible: false, combines: true,
            at: SourceLocation(file, line))
    }

    @inlinable
    func fold<Fold: WindowFold & Sendable>(
        _ fold: Fold, name: String?, isFallible: Bool, combines: Bool, problem: String? = nil,
        at location: SourceLocation
    ) -> EventStream<Windowed<Key, Fold.Output>> where Fold.Input == Element {
        let keys = keyed.keys
        let window = self.window
        let allowedLateness = self.allowedLateness
        let trigger = self.trigger
        let node = keyed.stage(
            "window", name: name,
            traits: NodeTraits(
                outputs: 2, needsEventTime: window.needsTimes, taps: [lateTap: 1],
                problem: problem ?? self.problem(combines: combines)), at: location
        ) { scope, outputs in
            if isFallible { scope.markFallible() }
            let downstream = AnyReceiver.joined(
                outputs[0], as: Windowed<Key, Fold.Output>.self)
            let core = WindowCore<Key, Element>(
                scope: scope, domain: window.domain, lateness: allowedLateness,
                interval: trigger.interval, late: outputs[1], forward: downstream.signal)
            switch window.kind {
            case .sliding(let size, let slide, let offset) where combines && !trigger.isEarly:
                return core.receiver(
                    SlidingPanes(size: size, slide: slide, offset: offset, fold, core),
                    downstream: downstream, keys: keys)
            case .session(let gap):
                return core.receiver(
                    SessionWindows(gap: gap, fold, trigger, core), downstream: downstream,
                    keys: keys)
            case .count(let size, let slide):
                return core.receiver(
                    CountWindows(size: size, slide: slide, fold, core), downstream: downstream,
                    keys: keys)
            default:
                return core.receiver(
                    PlainWindows(window.kind, fold, trigger, core), downstream: downstream,
                    keys: keys)
            }
        }
        return EventStream<Windowed<Key, Fold.Output>>(node: node)
    }
}
