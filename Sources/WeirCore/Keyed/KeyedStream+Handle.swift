extension KeyedStream {
    /// Handles the events of each key with a ``KeyedHandler``, which keeps state and timers per
    /// key.
    ///
    /// - Parameters:
    ///   - name: The stage's name, unique in its topology: its identity in checkpoints and metrics.
    ///   - ttl: How long the state of a key outlives its last use, in event time if the stream has
    ///     event times, else in processing time. Default: as long as the topology runs.
    ///   - makeHandler: Makes the handler, for each parallel instance and again at each restart.
    /// - Complexity: O(1) per event on top of the handler, whatever the number of keys; firing
    ///   timers costs O(log n) each.
    ///
    /// **Emits when** the handler emits. **Suspends upstream when** its mailbox is full.
    /// **Finishes when** the input ends and the timers in event time have fired.
    /// **Cancels when** nobody takes its events any more.
    /// **On restart** the handler is made anew; state and timers are as before the event that
    /// failed, which is tried
    /// again.
    @inlinable
    public func handle<Handler: KeyedHandler>(
        _ name: String, ttl: StateTTL? = nil, file: StaticString = #fileID, line: UInt = #line,
        _ makeHandler: @escaping @Sendable () -> Handler
    ) -> EventStream<Handler.Output> where Handler.Key == Key, Handler.Input == Element {
        let keys = self.keys
        let node = stage(
            "handle", name: name, traits: NodeTraits(outputs: 2, problem: ttl?.problem),
            at: SourceLocation(file, line)
        ) { scope, outputs in
            if Handler.Failure.self != Never.self { scope.markFallible() }
            var current = makeHandler()
            scope.onRestart { current = makeHandler() }
            return scope.handlerReceiver(keys: keys, ttl: ttl, outputs) { current }
        }
        return EventStream<Handler.Output>(node: node)
    }
}

extension StageScope {
    /// The receiver of a stage whose handler keeps state and timers per key.
    ///
    /// - Parameters:
    ///   - outputs: What takes its events, and what its side outputs.
    ///   - handler: The handler for a batch or a timer.
    @inlinable
    func handlerReceiver<Handler: KeyedHandler>(
        keys: @escaping @Sendable (Batch<Handler.Input>) -> ContiguousArray<Handler.Key>,
        ttl: StateTTL?, _ outputs: [[AnyReceiver]], _ handler: @escaping () -> Handler
    ) -> Receiver<Handler.Input> {
        let core = HandlerCore<Handler.Key, Handler.Output>(
            scope: self, downstream: AnyReceiver.joined(outputs[0], as: Handler.Output.self),
            side: outputs[1])
        let table = makeTable(
            Handler.Key.self, Handler.State.self, timeToLive: lifetime(ttl),
            version: Handler.stateVersion, migrate: { try Handler.migrate($0, from: $1) })
        let life = StateLife(self)
        onPublish { (keys: table.count, timers: core.timerCount) }
        core.onTimers(
            { [unowned core] timers, domain, limit in
                guard var timer = timers.popDue(upTo: limit) else { return }
                let handler = handler()
                var context = Context(core: core, key: timer.key, hash: 0, eventTime: .min)
                var left = core.portion
                while true {
                    let time = core.eventTime(of: timer, in: domain)
                    context.move(to: timer.key, hash: timer.hash, eventTime: time)
                    try table.update(
                        timer.key, hash: timer.hash, now: life.now(at: time),
                        default: handler.initialState(for: timer.key)
                    ) { state in
                        try handler.onTimer(
                            FiredTimer(time: timer.time, domain: domain), state: &state, &context)
                    }
                    if context.takeClear() { table.remove(timer.key, hash: timer.hash) }
                    left -= 1
                    guard left > 0, let next = timers.popDue(upTo: limit) else { break }
                    timer = next
                }
                try core.send(context.output.take())
            }, sweep: { table.sweep(now: life.sweepTime) })
        return Receiver(
            batch: { batch in
                if batch.isEmpty { return }
                let handler = handler()
                let batchKeys = keys(batch)
                let hashes = table.hashesAhead(of: batchKeys)
                let hasTimes = life.startBatch(hasTimes: batch.hasTimes)
                let clock = life.processingTime
                let output = try core.gather(inputs: batch.count, from: batchKeys[0]) { context in
                    try batch.elements.withUnsafeBufferPointer { events in
                        try batchKeys.withUnsafeBufferPointer { keys in
                            for index in 0..<keys.count {
                                let key = keys[index]
                                let hash = table.hash(of: key, at: index, in: hashes)
                                let time = hasTimes ? batch.times[index] : .min
                                context.move(to: key, hash: hash, eventTime: time)
                                try table.update(
                                    key, hash: hash, now: hasTimes ? time : clock,
                                    default: handler.initialState(for: key)
                                ) { state in
                                    try handler.on(events[index], state: &state, &context)
                                }
                                if context.takeClear() { table.remove(key, hash: hash) }
                            }
                        }
                    }
                }
                try core.finishBatch(output)
            }, signal: { try core.receive($0) })
    }
}

extension HandlerCore {
    @usableFromInline var timerCount: Int { eventTimers.count + processingTimers.count }

    /// How many timers are fired at once.
    @inlinable var portion: Int { max(1, scope.portion) }

    /// The event time that what a timer emits gets.
    @inlinable
    func eventTime(of timer: DueTimer<Key>, in domain: TimeDomain) -> EventTime {
        domain == .eventTime ? timer.time : watermark.advanced(byNanoseconds: 1)
    }
}
