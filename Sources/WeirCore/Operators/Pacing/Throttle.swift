/// What a throttle does with events that come too fast.
public struct ThrottleMode: Sendable, Hashable {
    enum Kind: Sendable { case shape, dropNewest, dropOldest, latest }
    let kind: Kind

    /// Delays them and suspends upstream: nothing is lost.
    ///
    /// The default.
    public static let shape = ThrottleMode(kind: .shape)
    /// Drops the arriving ones.
    public static let dropNewest = ThrottleMode(kind: .dropNewest)
    /// Keeps the newest, as many as the burst, and drops older ones that wait.
    public static let dropOldest = ThrottleMode(kind: .dropOldest)
    /// Keeps the newest one only, which follows as soon as it may.
    public static let latest = ThrottleMode(kind: .latest)
}

extension EventStream {
    /// Limits the rate of the events, by a token bucket in processing time.
    ///
    /// An event that is held back always follows when its time has come or the input ends: none is held for ever. What
    /// is left out counts as dropped with the reason `throttled`.
    ///
    /// - Parameters:
    ///   - events: How many events may pass in `period`, 1 to 1,000,000,000.
    ///   - period: Above zero, at most 24 hours.
    ///   - burst: How many may pass at once after a quiet time, 1 to 1,000,000; `events` when nil (1,000,000 at most).
    ///   - mode: What happens to those that come too fast. Default: they are delayed.
    ///
    /// **Emits when** an event arrives and a token is there, or when a token comes for one that waits.
    /// **Suspends upstream when** events wait and the mode is `.shape`, or the next stage is full.
    /// **Finishes when** the input has ended and the events that wait have passed at their time; in the other modes than
    /// `.shape` they pass at once. **Cancels when** nobody takes its events any more.
    /// **On restart** the events that wait and the tokens are as of the last completed batch.
    public func throttle(
        events: Int, per period: Duration, burst: Int? = nil, mode: ThrottleMode = .shape,
        name: String? = nil, file: StaticString = #fileID, line: UInt = #line
    ) -> EventStream<Element> {
        let capacity = burst ?? min(events, 1_000_000)
        var problem: String?
        if !(1...1_000_000_000).contains(events) || !(1...1_000_000).contains(capacity) {
            problem = "throttle needs 1 to 1000000000 events and a burst of 1 to 1000000"
        }
        if period <= .zero || period > .seconds(86_400) {
            problem = "throttle needs a period above zero and of at most 24 hours, not \(period)"
        }
        let bucket = TokenBucket(events: events, per: period, burst: capacity)
        // Delaying holds up the whole stage, so it is one of its own; dropping does not.
        return transform(
            "throttle", name: name, boundary: mode == .shape,
            traits: NodeTraits(problem: problem), at: SourceLocation(file, line)
        ) { scope, downstream in
            if mode == .shape {
                let shaper = Shaper(scope, downstream, bucket)
                scope.register(shaper)
                return shaper.receiver
            }
            let limit = mode == .dropOldest ? capacity : 1
            return RateLimiter(
                scope, downstream, bucket, waitingLimit: mode == .dropNewest ? 0 : limit
            ).receiver
        }
    }
}
