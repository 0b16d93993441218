extension EventStream {
    /// Calls asynchronous code for each event, several calls at a time, and emits what they return.
    ///
    /// It is a stage of its own. A call that fails after its retries is handled like an error of any operator: a
    /// ``recover(from:file:line:_:)`` behind it in the same stage decides; without one the stage restarts and the call
    /// is made again, up to the supervisor's `attempts`, then the event goes to the dead letters. So effects of a call
    /// may happen more than once: at least once for each event that isn't given up. After a restart the other calls in
    /// flight go on; after a crash of the process all that were in flight are made again where the source replays.
    /// Cancelling the run cancels the calls. A call that ignores the cancellation at its timeout is left behind and no
    /// longer counts as in flight.
    ///
    /// - Parameters:
    ///   - inFlight: How many events may be under way, results that wait for their turn included, at least 1.
    ///     Default 16.
    ///   - ordered: Whether results leave in the order of the events (the default) or as they come. Unordered results
    ///     never pass a watermark or the end.
    ///   - timeout: How long one try may take before it fails with ``AsyncTimeout``; nil for no limit.
    ///   - retry: How often a failed call is tried again before its failure counts. Default: not at all.
    ///   - call: What to call; it runs outside the stage.
    ///
    /// **Emits when** a call returns, and in order when `ordered`. **Suspends upstream when** `inFlight` events are under
    /// way or the next stage is full. **Finishes when** the input has ended and all calls have returned.
    /// **Cancels when** nobody takes its events any more. **On restart** the failed call is made again.
    @inlinable
    public func mapAsync<Output: Sendable, Failure: Error>(
        inFlight: Int = 16, ordered: Bool = true, timeout: Duration? = nil,
        retry: RetryPolicy = .none, name: String? = nil, file: StaticString = #fileID,
        line: UInt = #line,
        _ call: @escaping @Sendable (Element) async throws(Failure) -> Output
    ) -> EventStream<Output> {
        mapAsync(
            inFlight: inFlight, ordered: ordered, timeout: timeout, retry: retry, name: name,
            file: file, line: line
        ) { (event: Element, _: AsyncCallContext) async throws(Failure) in try await call(event) }
    }

    /// Calls asynchronous code for each event with a key by which the service called can tell a repeated call.
    ///
    /// As `mapAsync` whose closure takes the event alone, for calls with effects that must not happen twice: send ``AsyncCallContext/idempotencyKey`` along. It is the same for
    /// every call that is made for an event.
    ///
    /// - Parameters:
    ///   - inFlight: How many events may be under way, results that wait for their turn included, at least 1.
    ///     Default 16.
    ///   - ordered: Whether results leave in the order of the events (the default) or as they come.
    ///   - timeout: How long one try may take before it fails with ``AsyncTimeout``; nil for no limit.
    ///   - retry: How often a failed call is tried again before its failure counts. Default: not at all.
    ///   - name: The stage's name, part of the key: give it one that stays.
    ///   - call: What to call; it runs outside the stage.
    ///
    /// **Emits when** a call returns, and in order when `ordered`. **Suspends upstream when** `inFlight` events are under
    /// way or the next stage is full. **Finishes when** the input has ended and all calls have returned.
    /// **Cancels when** nobody takes its events any more. **On restart** the failed call is made again with its key.
    @inlinable
    public func mapAsync<Output: Sendable, Failure: Error>(
        inFlight: Int = 16, ordered: Bool = true, timeout: Duration? = nil,
        retry: RetryPolicy = .none, name: String? = nil, file: StaticString = #fileID,
        line: UInt = #line,
        _ call: @escaping @Sendable (Element, AsyncCallContext) async throws(Failure) -> Output
    ) -> EventStream<Output> {
        asyncCalls(
            "mapAsync", name: name, inFlight: inFlight, timeout: timeout, problem: nil,
            at: SourceLocation(file, line)
        ) { environment in
            AsyncCalls<Element, Never, Output, Output>.Request(
                call: AsyncCall(timeout: timeout, retry: retry, in: environment) {
                    try await call($0, $1)
                }, key: nil, combine: { $1 }, inFlight: inFlight, ordered: ordered)
        }
    }

    /// Adds to each event what an asynchronous look-up says about its key, remembering the answers.
    ///
    /// Events of the same key share one look-up while it is under way, and its answer for as long as `lifetime` says.
    /// Failures are handled as in `mapAsync`, for all events that
    /// share the look-up.
    ///
    /// - Parameters:
    ///   - key: What is looked up; a key path such as `\.card` or a closure.
    ///   - cache: How many answers are remembered, at least 1; the one unused for longest gives way. Default 10,000.
    ///   - lifetime: How long an answer counts, in processing time. Default 5 minutes.
    ///   - inFlight: How many events may be under way, at least 1. Default 16.
    ///   - ordered: Whether results leave in the order of the events. Default true.
    ///   - timeout: How long one try may take; nil for no limit.
    ///   - retry: How often a failed look-up is tried again before its failure counts. Default: not at all.
    ///   - lookUp: Finds what belongs to a key.
    ///   - combine: Makes the emitted event of an event and the answer.
    ///
    /// **Emits when** the answer for an event is there, and in order when `ordered`. **Suspends upstream when**
    /// `inFlight` events are under way or the next stage is full. **Finishes when** the input has ended and all
    /// look-ups have returned. **Cancels when** nobody takes its events any more. **On restart** the answers are kept.
    @inlinable
    public func enrich<
        Key: Hashable & Sendable, Answer: Sendable, Output: Sendable, Failure: Error
    >(
        by key: @escaping @Sendable (Element) -> Key, cache: Int = 10_000,
        lifetime: Duration = .minutes(5), inFlight: Int = 16, ordered: Bool = true,
        timeout: Duration? = nil, retry: RetryPolicy = .none, name: String? = nil,
        file: StaticString = #fileID, line: UInt = #line,
        lookUp: @escaping @Sendable (Key) async throws(Failure) -> Answer,
        _ combine: @escaping @Sendable (Element, Answer) -> Output
    ) -> EventStream<Output> {
        var problem: String?
        if cache < 1 { problem = "enrich needs a cache of at least 1 answer, not \(cache)" }
        return asyncCalls(
            "enrich", name: name, inFlight: inFlight, timeout: timeout, problem: problem,
            at: SourceLocation(file, line)
        ) { environment in
            AsyncCalls<Element, Key, Answer, Output>.Request(
                call: AsyncCall(timeout: timeout, retry: retry, in: environment) { event, _ in
                    try await lookUp(key(event))
                }, key: key, combine: combine, inFlight: inFlight, ordered: ordered,
                cache: LookUpCache(capacity: cache, lifetime: lifetime))
        }
    }

    @inlinable
    func asyncCalls<Key: Hashable & Sendable, Answer: Sendable, Output: Sendable>(
        _ kind: String, name: String?, inFlight: Int, timeout: Duration?, problem: String?,
        at location: SourceLocation,
        _ request:
            @escaping @Sendable (RunEnvironment) -> AsyncCalls<Element, Key, Answer, Output>.Request
    ) -> EventStream<Output> {
        var problem = problem
        if inFlight < 1 { problem = "\(kind) needs at least 1 event in flight, not \(inFlight)" }
        if let timeout, timeout <= .zero {
            problem = "\(kind) needs a timeout above zero, not \(timeout)"
        }
        return transform(
            kind, name: name, boundary: true, traits: NodeTraits(problem: problem), at: location
        ) { scope, downstream in
            let calls = AsyncCalls(scope, downstream, request(scope.environment))
            return calls.receiver
        }
    }
}
