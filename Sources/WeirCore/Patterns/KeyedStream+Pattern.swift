/// What comes of looking for a pattern: matches, time-outs and late events.
public struct PatternStream<Key: Hashable & Codable & Sendable, Element: Sendable>: Sendable {
    @usableFromInline let node: Node

    @usableFromInline
    init(node: Node) {
        self.node = node
    }

    /// The matches, with the event time at which they were known to be matches.
    public var matches: EventStream<PatternMatch<Key, Element>> {
        EventStream(node: node, output: 0)
    }

    /// Partial matches that were not complete when the pattern's `within` was over, with that time.
    ///
    /// One that was complete once and waited for more events of its last step is not among them.
    public var timeouts: EventStream<PatternMatch<Key, Element>> {
        EventStream(node: node, output: 1)
    }

    /// Events that came behind the watermark and were left out, with their times.
    public var late: EventStream<Element> { EventStream(node: node, output: 2) }
}

extension KeyedStream {
    /// Looks for a pattern in the events of each key.
    ///
    /// In event time the events of a key wait for the watermark and are looked at in the order of
    /// their times, equal ones in the order of arrival; late ones go to ``PatternStream/late``.
    /// Memory follows the partial matches, which share their events; give a pattern a
    /// ``Pattern/within(_:)`` so that they end.
    ///
    /// ```swift
    /// let probes = payments.keyed(by: \.card).pattern(
    ///     Pattern("small") { $0.amount < 1 }.times(2)
    ///         .followedBy("large") { $0.amount > 500 }
    ///         .within(.minutes(10)))
    /// probes.matches.map { "\($0.key): \($0["large"])" }.sink(.print)
    /// ```
    ///
    /// - Parameters:
    ///   - name: The stage's name, unique in its topology.
    ///   - time: The time that orders events and ends partial matches; in processing time events
    ///     are taken as they come. Default: event time.
    ///   - limits: How much is kept of each key; what is given up is counted as dropped
    ///     (`overflow`).
    /// - Complexity: O(partial matches of the key) conditions per event.
    ///
    /// **Emits when** the watermark (or, in processing time, an event) completes a match that no
    /// earlier partial match can rule out; a time-out when event time (or the clock) reaches it.
    /// **Suspends upstream when** its mailbox is full.
    /// **Finishes when** the input ends; partial matches with a `within` time out then.
    /// **Cancels when** nobody takes its events any more.
    /// **On restart** partial matches are as before the event that failed, which is tried again.
    @inlinable
    public func pattern(
        _ pattern: Pattern<Element>, name: String? = nil, time: TimeDomain = .eventTime,
        limits: PatternLimits = PatternLimits(), file: StaticString = #fileID, line: UInt = #line
    ) -> PatternStream<Key, Element> {
        let keys = self.keys
        let isFallible = pattern.isFallible || limits.overflow == .fail
        let node = stage(
            "pattern", name: name,
            traits: NodeTraits(
                outputs: 3, needsEventTime: time == .eventTime, problem: pattern.problem(limits)),
            at: SourceLocation(file, line)
        ) { scope, outputs in
            if isFallible { scope.markFallible() }
            let matcher = PatternMatcher<Key, Element>(
                scope, CompiledPattern(pattern), limits, time, outputs)
            scope.onPublish { (keys: matcher.table.count, timers: matcher.index.count) }
            return Receiver(
                batch: { batch in try matcher.handle(batch, keys: keys) },
                signal: { try matcher.receive($0) })
        }
        return PatternStream(node: node)
    }
}
