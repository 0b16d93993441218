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
            let core = HandlerCore<Key, Handler.Output>(
                scope: scope,
                downstream: AnyReceiver.joined(outputs[0], as: Handler.Output.self),
                side: outputs[1])
            let rules = BroadcastRules(scope, initial)
            let table = scope.makeTable(
                Key.self, Handler.State.self, timeToLive: scope.lifetime(ttl))
            let life = StateLife(scope)
            scope.onPublish { (keys: table.count, timers: core.timerCount) }
            var current = makeHandler()
            scope.onRestart { current = makeHandler() }
            core.onTimer(
                { [unowned core] timer, domain in
                    let handler = current
                    let time = core.eventTime(of: timer, in: domain)
                    var context = Context(
                        core: core, key: timer.key, hash: timer.hash, eventTime: time)
                    try table.update(
                        timer.key, hash: timer.hash, now: life.now(at: time),
                        default: handler.initialState(for: timer.key)
                    ) { state in
                        try handler.onTimer(
                            FiredTimer(time: timer.time, domain: domain),
                            rules: rules.value.value, state: &state, &context)
                    }
                    if context.takeClear() { table.remove(timer.key, hash: timer.hash) }
                    try core.send(context.takeOutput())
                }, sweep: { table.sweep(now: life.sweepTime) })
            let events = Receiver<Element>(
                batch: { batch in
                    if batch.isEmpty { return }
                    let handler = current
                    let known = rules.value.value
                    let batchKeys = keys(batch)
                    let hashes = table.hashesAhead(of: batchKeys)
                    let hasTimes = life.startBatch(hasTimes: batch.hasTimes)
                    let clock = life.processingTime
                    var context = Context(
                        core: core, key: batchKeys[0], hash: 0, eventTime: .min)
                    context.reserveOutput()
                    for index in batch.elements.indices {
                        let key = batchKeys[index]
                        let hash = table.hash(of: key, at: index, in: hashes)
                        let time = hasTimes ? batch.times[index] : .min
                        context.move(to: key, hash: hash, eventTime: time)
                        try table.update(
                            key, hash: hash, now: hasTimes ? time : clock,
                            default: handler.initialState(for: key)
                        ) { state in
                            try handler.on(
                                batch.elements[index], rules: known, state: &state, &context)
                        }
                        if context.takeClear() { table.remove(key, hash: hash) }
                    }
                    try core.finishBatch(context.takeOutput())
                }, signal: { try core.receive($0) })
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
                    var output = Batch<Output>()
                    for index in batch.elements.indices {
                        guard let made = try transform(batch.elements[index], known) else {
                            continue
                        }
                        output.append(made, at: batch.time(at: index))
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
