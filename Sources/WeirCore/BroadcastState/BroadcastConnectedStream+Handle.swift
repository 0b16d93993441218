extension BroadcastConnectedStream {
    /// The stage: events are split by key, rules go to all instances.
    @usableFromInline
    func stage(
        _ kind: String, name: String?, outputs: Int, problem: String?, at location: SourceLocation,
        _ build:
            @escaping @Sendable (StageScope, [[AnyReceiver]]) -> (
                Receiver<Element>, Receiver<Rule>
            )
    ) -> Node {
        var traits = NodeTraits(outputs: outputs, isKeyed: true, problem: problem)
        if let parallelism = keyed.parallelism, !(1...KeyGroup.count).contains(parallelism) {
            traits.problem = "keyed(by:parallelism:) takes a parallelism of 1 to 128"
        }
        return Node(
            kind: kind, name: name,
            inputs: [
                keyed.stream.edge(partition: keyed.partition),
                rules.edge(partition: { batch, instances in
                    [Batch<Rule>](repeating: batch, count: instances)
                }),
            ], isBoundary: true, parallelism: keyed.parallelism, traits: traits,
            location: location
        ) { scope, outputs in
            let (events, rules) = build(scope, outputs)
            return [AnyReceiver(events), AnyReceiver(rules)]
        }
    }

    @usableFromInline
    func gate(
        _ scope: StageScope, _ joined: Receiver<Element>
    ) -> Receiver<Element> {
        let keys = keyed.keys
        return TableGate<Element>(
            scope, start,
            group: { event in
                var batch = Batch<Element>()
                batch.append(event)
                return keys(batch).first.map { KeyGroup.keyGroup(ofHash: stableHash($0)) } ?? 0
            }, joined: joined
        ).receiver
    }

    /// Handles the events of each key with a ``BroadcastHandler``, which reads the rules.
    ///
    /// - Parameters:
    ///   - name: The stage's name, unique in its topology: its identity in checkpoints and metrics.
    ///   - ttl: How long the state of a key outlives its last use; see
    ///     ``KeyedStream/handle(_:ttl:file:line:_:)``.
    ///   - makeHandler: Makes the handler, for each parallel instance and again at each restart.
    /// - Complexity: O(1) per event and per rule on top of the closures; each instance takes every
    ///   rule.
    ///
    /// **Emits when** the handler emits. **Suspends upstream when** its mailbox is full.
    /// **Finishes when** both inputs have ended and the timers in event time have fired.
    /// **Cancels when** nobody takes its events any more.
    /// **On restart** the handler is made anew; rules, state and timers are as before the event that
    /// failed, which is tried again.
    @inlinable
    public func handle<Handler: BroadcastHandler>(
        _ name: String, ttl: StateTTL? = nil, file: StaticString = #fileID, line: UInt = #line,
        _ makeHandler: @escaping @Sendable () -> Handler
    ) -> EventStream<Handler.Output>
    where Handler.Key == Key, Handler.Input == Element, Handler.Rules == Rules {
        let keys = keyed.keys
        let (initial, update, isFallible) = (self.initial, self.update, self.isFallible)
        let connected = self
        let node = stage(
            "broadcastHandle", name: name, outputs: 2, problem: ttl?.problem,
            at: SourceLocation(file, line)
        ) { scope, outputs in
            if isFallible || Handler.Failure.self != Never.self { scope.markFallible() }
            let rules = BroadcastRules(scope, initial)
            var current = makeHandler()
            scope.onRestart { current = makeHandler() }
            let events = scope.handlerReceiver(keys: keys, ttl: ttl, outputs) {
                RuledHandler(handler: current, rules: rules.value.value)
            }
            return (
                connected.gate(scope, events),
                Receiver<Rule>(
                    batch: { batch in
                        for rule in batch.elements { try update(&rules.value.value, rule) }
                    }, signal: { _ in })
            )
        }
        return EventStream<Handler.Output>(node: node)
    }

    /// Turns each event, under the rules of the moment, into another one, or leaves it out.
    ///
    /// - Parameters:
    ///   - name: The stage's name, unique in its topology.
    ///   - transform: Makes what is emitted of an event and the rules; nil for nothing.
    /// - Complexity: O(1) per event and per rule on top of the closures.
    ///
    /// **Emits when** an event arrives and the closure returns something.
    /// **Suspends upstream when** its mailbox is full. **Finishes when** both inputs have ended.
    /// **Cancels when** nobody takes its events any more.
    /// **On restart** the rules are as before the batch.
    @inlinable
    public func compactMap<Output: Sendable, Failure: Error>(
        name: String? = nil, file: StaticString = #fileID, line: UInt = #line,
        _ transform: @escaping @Sendable (Element, Rules) throws(Failure) -> Output?
    ) -> EventStream<Output> {
        let (initial, update, isFallible) = (self.initial, self.update, self.isFallible)
        let connected = self
        let node = stage(
            "broadcastMap", name: name, outputs: 1, problem: nil, at: SourceLocation(file, line)
        ) { scope, outputs in
            if isFallible || Failure.self != Never.self { scope.markFallible() }
            let downstream = AnyReceiver.joined(outputs[0], as: Output.self)
            let rules = BroadcastRules(scope, initial)
            let events = Receiver<Element>(
                batch: { batch in
                    let known = rules.value.value
                    let output = try BatchWriter<Output>.gather(expecting: batch.count) { output in
                        for index in batch.elements.indices {
                            guard let made = try transform(batch.elements[index], known) else {
                                continue
                            }
                            output.append(made, at: batch.time(at: index))
                        }
                    }
                    if !output.isEmpty { try downstream.batch(output) }
                }, signal: downstream.signal)
            return (
                connected.gate(scope, events),
                Receiver<Rule>(
                    batch: { batch in
                        for rule in batch.elements { try update(&rules.value.value, rule) }
                    }, signal: { _ in })
            )
        }
        return EventStream<Output>(node: node)
    }
}

/// A handler under the rules of the moment.
@usableFromInline
struct RuledHandler<Handler: BroadcastHandler>: KeyedHandler {
    @usableFromInline let handler: Handler
    @usableFromInline let rules: Handler.Rules

    @inlinable
    init(handler: Handler, rules: Handler.Rules) {
        self.handler = handler
        self.rules = rules
    }

    @inlinable
    func initialState(for key: Handler.Key) -> Handler.State { handler.initialState(for: key) }

    @inlinable
    func on(
        _ event: Handler.Input, state: inout Handler.State,
        _ context: inout Context<Handler.Key, Handler.Output>
    ) throws(Handler.Failure) {
        try handler.on(event, rules: rules, state: &state, &context)
    }

    @inlinable
    func onTimer(
        _ timer: FiredTimer, state: inout Handler.State,
        _ context: inout Context<Handler.Key, Handler.Output>
    ) throws(Handler.Failure) {
        try handler.onTimer(timer, rules: rules, state: &state, &context)
    }
}
