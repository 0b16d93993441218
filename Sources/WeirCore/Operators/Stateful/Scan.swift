extension EventStream {
    /// Folds the events into a running value and emits each new value.
    ///
    /// - Parameters:
    ///   - initial: The value before the first event; it is not emitted.
    ///   - next: The new value, made of the one before and an event.
    ///
    /// **Emits when** an event arrives. **Suspends upstream when** the next stage is full.
    /// **Finishes when** the input ends. **Cancels when** nobody takes its events any more.
    /// **On restart** the value is as of the last completed batch.
    @inlinable
    public func scan<State: Sendable, Failure: Error>(
        _ initial: State,
        _ next: @escaping @Sendable (State, Element) throws(Failure) -> State,
        file: StaticString = #fileID, line: UInt = #line
    ) -> EventStream<State> {
        scan(
            into: initial,
            { (state, event) throws(Failure) in
                state = try next(state, event)
                return state
            }, file: file, line: line)
    }

    /// Changes a running state with each event and emits what the closure returns.
    ///
    /// The state is one for the whole stream; for one per key see ``keyed(by:parallelism:)``.
    ///
    /// - Parameters:
    ///   - initial: The state before the first event.
    ///   - step: Changes the state in place and returns what to emit.
    /// - Complexity: One call per event. Where an operator of the stage may throw, a state with copy-on-write storage
    ///   is copied once per batch.
    ///
    /// **Emits when** an event arrives. **Suspends upstream when** the next stage is full.
    /// **Finishes when** the input ends. **Cancels when** nobody takes its events any more.
    /// **On restart** the state is as of the last completed batch.
    @inlinable
    public func scan<State: Sendable, Output: Sendable, Failure: Error>(
        into initial: State,
        _ step: @escaping @Sendable (inout State, Element) throws(Failure) -> Output,
        file: StaticString = #fileID, line: UInt = #line
    ) -> EventStream<Output> {
        transform("scan", at: SourceLocation(file, line)) { scope, downstream in
            if Failure.self != Never.self { scope.markFallible() }
            let state = TransactionalValue(initial)
            scope.register(state)
            return Receiver(
                batch: { batch in
                    let outputs = try batch.elements.scanned(&state.value, step)
                    try downstream.batch(Batch(unchecked: outputs, times: batch.times))
                }, signal: downstream.signal)
        }
    }
}

extension ContiguousArray {
    /// `map` with a state that each step may change.
    @inlinable
    func scanned<State, Output, Failure: Error>(
        _ state: inout State, _ step: (inout State, Element) throws(Failure) -> Output
    ) throws(Failure) -> ContiguousArray<Output> {
        var outputs = ContiguousArray<Output>()
        outputs.reserveCapacity(count)
        for element in self { outputs.append(try step(&state, element)) }
        return outputs
    }
}
