/// The two outputs of a keyed rate limit.
public struct RateLimitedStream<Element: Sendable>: Sendable {
    @usableFromInline let node: Node

    @usableFromInline
    init(node: Node) {
        self.node = node
    }

    /// The events within their key's rate.
    public var passed: EventStream<Element> { EventStream(node: node, output: 0) }
    /// The events beyond it, with their times; they count as dropped (`throttled`).
    public var excess: EventStream<Element> { EventStream(node: node, output: 1) }
}

extension KeyedStream {
    /// Limits the rate of the events of each key, by a token bucket for each in processing time.
    ///
    /// A key is forgotten as soon as its bucket is full again. Event time waits for events that are
    /// delayed, so that they are not late for what follows.
    ///
    /// ```swift
    /// let calls = payments.keyed(by: \.card).rateLimit(events: 5, per: .seconds(1))
    /// calls.passed.sink(.print)
    /// calls.excess.sink(.deadLetters("too many payments of a card"))
    /// ```
    ///
    /// - Parameters:
    ///   - events: How many events of a key may pass in `period`, 1 to 1,000,000,000.
    ///   - period: Above zero, at most 24 hours.
    ///   - burst: How many of a key may pass at once after a quiet time, 1 to 1,000,000; `events`
    ///     when nil (1,000,000 at most).
    ///   - mode: What happens to those that come too fast. Default: they go to `excess`.
    ///   - name: The stage's name, unique in its topology.
    /// - Complexity: O(1) per event; O(log n) for each of n keys that wait for something.
    ///
    /// **Emits when** an event arrives, or when the token of one that is delayed comes.
    /// **Suspends upstream when** its mailbox is full, or as many events wait as the mode allows.
    /// **Finishes when** the input has ended and the events that wait have passed at their time.
    /// **Cancels when** nobody takes its events any more.
    /// **On restart** tokens and the events that wait are as before the batch.
    @inlinable
    public func rateLimit(
        events: Int, per period: Duration, burst: Int? = nil, mode: KeyedRateMode = .drop,
        name: String? = nil, file: StaticString = #fileID, line: UInt = #line
    ) -> RateLimitedStream<Element> {
        let keys = self.keys
        let capacity = burst ?? min(events, 1_000_000)
        let problem = KeyedRateMode.problem(mode, events, period, capacity)
        let rate = KeyedRate(events: events, per: period, burst: capacity)
        let node = stage(
            "rateLimit", name: name, traits: NodeTraits(outputs: 2, problem: problem),
            at: SourceLocation(file, line)
        ) { scope, outputs in
            let limiter = KeyedRateLimiter<Key, Element>(scope, rate, mode, outputs)
            limiter.register()
            scope.show(.rateLimitKeys) { limiter.table.count }
            scope.onPublish { (keys: limiter.table.count, timers: limiter.index.count) }
            return Receiver(
                batch: { batch in try limiter.handle(batch, keys: keys) },
                signal: { try limiter.receive($0) })
        }
        return RateLimitedStream(node: node)
    }
}

extension KeyedRateLimiter {
    /// Keeps the stage alive, and its intake within bounds, while events wait.
    @usableFromInline
    func register() {
        scope.register(self)
    }
}
