/// Limits the rate of each key in one stage instance.
@usableFromInline
final class KeyedRateLimiter<Key: Hashable & Codable & Sendable, Element: Sendable>: AsyncWork {
    @usableFromInline unowned let scope: StageScope
    @usableFromInline let rate: KeyedRate
    @usableFromInline let mode: KeyedRateMode
    @usableFromInline let table: KeyedTable<Key, KeyedTokens<Element>>
    /// When which key is looked at again: for its events that wait, or to forget it.
    @usableFromInline let index = WindowIndex<Key>()
    @usableFromInline let passed: Receiver<Element>
    @usableFromInline let excess: Receiver<Element>
    @usableFromInline let tally: BatchTally
    @usableFromInline let times: TransactionalValue<WaitingTimes>
    /// What has been passed on; checkpoints needn't keep it, since it may be repeated.
    @usableFromInline let signals = TransactionalValue(DelayedSignals())
    @usableFromInline let alarm = PatternAlarm()

    @inlinable
    init(
        _ scope: StageScope, _ rate: KeyedRate, _ mode: KeyedRateMode, _ outputs: [[AnyReceiver]]
    ) {
        self.scope = scope
        self.rate = rate
        self.mode = mode
        passed = AnyReceiver.joined(outputs[0], as: Element.self)
        excess = AnyReceiver.joined(outputs[1], as: Element.self)
        tally = BatchTally(scope, .throttled)
        let times = TransactionalValue(WaitingTimes())
        self.times = times
        let (index, alarm) = (self.index, self.alarm)
        table = scope.makeTable(Key.self, KeyedTokens<Element>.self) { table, group in
            table.forEach(inGroup: group) { key, tokens, _ in
                for waiting in tokens.waiting { times.value.add(waiting.time) }
                guard let deadline = tokens.alarm else { return }
                index.add(
                    WindowEntry(key: key, hash: stableHash(key), mark: deadline),
                    at: deadline)
            }
            alarm.timer?.restored()
        }
        scope.register(index)
        scope.registerTransient(times)
        scope.registerTransient(signals)
        alarm.timer = DeadlineTimer(
            scope,
            deadline: { [unowned self] in self.index.nextDeadline.map(EventTime.init(nanoseconds:))
            },
            action: { [unowned self] now in enqueueLook(upTo: now.nanoseconds) })
    }

    // What waits is in the table, and the timer brings the stage back to it.
    @usableFromInline package var isIdle: Bool { times.value.count == 0 }
    @usableFromInline package var isSaturated: Bool {
        mode.waiting > 0 && times.value.count >= mode.waiting
    }
    @usableFromInline package var isReadyForCheckpoint: Bool { true }
    @usableFromInline package func collect() {}
    @usableFromInline package func stop() async {}

    @inlinable
    func handle(
        _ batch: Batch<Element>, keys: @Sendable (Batch<Element>) -> ContiguousArray<Key>
    ) throws {
        let batchKeys = keys(batch)
        let hashes = table.hashesAhead(of: batchKeys)
        let now = scope.now.nanoseconds
        var out = Batch<Element>()
        var surplus = Batch<Element>()
        signals.value.isIdle = false
        for position in batch.elements.indices {
            let key = batchKeys[position]
            let hash = table.hash(of: key, at: position, in: hashes)
            let event = batch.elements[position]
            let time = batch.time(at: position)
            try table.update(key, hash: hash, default: KeyedTokens(rate, at: now)) { tokens in
                tokens.refill(rate, at: now)
                if tokens.waiting.isEmpty, tokens.take(rate) {
                    out.append(event, at: time)
                } else if tokens.waiting.count < mode.waitingPerKey {
                    tokens.waiting.append(.init(event: event, time: time.nanoseconds))
                    times.value.add(time.nanoseconds)
                } else {
                    surplus.append(event, at: time)
                }
                setAlarm(key, hash, &tokens)
            }
        }
        if !out.isEmpty { try passed.batch(out) }
        if surplus.isEmpty { return }
        tally.drop(surplus.count)
        try excess.batch(surplus)
    }

    @inlinable
    func setAlarm(_ key: Key, _ hash: UInt64, _ tokens: inout KeyedTokens<Element>) {
        let deadline = tokens.nextLook(rate)
        if let alarm = tokens.alarm, alarm <= deadline { return }
        tokens.alarm = deadline
        index.add(WindowEntry(key: key, hash: hash, mark: deadline), at: deadline)
    }

    /// Looks at the keys whose time has come, in portions.
    @inlinable
    func enqueueLook(upTo now: Int64) {
        scope.enqueue(
            { [unowned self] in
                var out = Batch<Element>()
                var left = max(1, scope.portion)
                while left > 0, let (_, entry) = index.next(upTo: now) {
                    left -= 1
                    try look(at: entry, now, into: &out)
                }
                if !out.isEmpty { try passed.batch(out) }
                if left == 0 { return true }
                try releaseSignals()
                return false
            },
            abandon: { [unowned self] in
                index.next(upTo: now).flatMap { takeFirst(of: $0.entry, now) }
            })
    }

    /// Lets the events of a key go whose tokens are there; only one while the stage looks for the
    /// event that fails.
    @inlinable
    func look(at entry: WindowEntry<Key>, _ now: Int64, into out: inout Batch<Element>) throws {
        let isDone = try table.update(
            entry.key, hash: entry.hash, default: KeyedTokens(rate, at: now)
        ) { tokens in
            // Another entry is for an earlier time, or was.
            if let alarm = tokens.alarm, alarm != entry.mark { return false }
            tokens.alarm = nil
            tokens.refill(rate, at: now)
            let limit = scope.portion == 1 ? min(1, tokens.waiting.count) : tokens.waiting.count
            var count = 0
            while count < limit, tokens.take(rate) {
                let waiting = tokens.waiting[count]
                times.value.remove(waiting.time)
                out.append(waiting.event, at: EventTime(nanoseconds: waiting.time))
                count += 1
            }
            tokens.waiting.removeFirst(count)
            if tokens.waiting.isEmpty, tokens.credit >= rate.full { return true }
            setAlarm(entry.key, entry.hash, &tokens)
            return false
        }
        if isDone { table.remove(entry.key, hash: entry.hash) }
    }

    /// Gives up the event that keeps failing behind this.
    @inlinable
    func takeFirst(of entry: WindowEntry<Key>, _ now: Int64) -> (any Sendable)? {
        var out = Batch<Element>()
        try? look(at: entry, now, into: &out)
        return out.elements.first
    }

    // MARK: Signals

    @inlinable
    func receive(_ signal: Signal) throws {
        switch signal {
        case .end: return try forward(signal)
        case .idle: signals.value.isIdle = true
        case .watermark(let time): if time != .max { signals.value.latest = time }
        }
        try releaseSignals()
    }

    /// Passes on what has been held back, as far as the events that wait allow.
    @usableFromInline
    func releaseSignals() throws {
        let earliest = times.value.earliest()
        var allowed = scope.watermark
        if let earliest, earliest > .min {
            allowed = min(allowed, EventTime(nanoseconds: earliest - 1))
        } else if earliest != nil, allowed == .max {
            // The end waits for events without a time as well.
            allowed = signals.value.sent
        }
        if allowed > signals.value.sent {
            let latest = signals.value.latest
            if allowed == .max, latest > signals.value.sent { try forward(.watermark(latest)) }
            signals.value.sent = allowed
            try forward(.watermark(allowed))
        }
        if earliest == nil, signals.value.isIdle {
            signals.value.isIdle = false
            try forward(.idle)
        }
    }

    @usableFromInline
    func forward(_ signal: Signal) throws {
        try excess.signal(signal)
        try passed.signal(signal)
    }
}

/// Signals that wait for events that are delayed.
@usableFromInline
struct DelayedSignals: Sendable {
    /// The newest watermark that has been passed on.
    @usableFromInline var sent = EventTime.min
    /// The newest one that has come, short of the end of all time.
    @usableFromInline var latest = EventTime.min
    @usableFromInline var isIdle = false

    @usableFromInline
    init() {}
}
