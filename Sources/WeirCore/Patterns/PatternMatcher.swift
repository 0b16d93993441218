/// Looks for a pattern in one stage instance: which key is to be looked at when, late events,
/// outputs.
@usableFromInline
final class PatternMatcher<Key: Hashable & Codable & Sendable, Element: Sendable> {
    @usableFromInline unowned let scope: StageScope
    @usableFromInline let pattern: CompiledPattern<Element>
    @usableFromInline let limits: PatternLimits
    @usableFromInline let isEventTime: Bool
    /// Waiting events (mark 0) and time-outs (mark 1) by their time.
    @usableFromInline let index = WindowIndex<Key>()
    @usableFromInline let table: KeyedTable<Key, PatternKey<Element>>
    @usableFromInline let tally: BatchTally
    @usableFromInline let matches: Receiver<PatternMatch<Key, Element>>
    @usableFromInline let timeouts: Receiver<PatternMatch<Key, Element>>
    @usableFromInline let late: Receiver<Element>
    @usableFromInline var latePending = 0
    @usableFromInline let alarm = PatternAlarm()
    @usableFromInline let partialMatches: StateCount

    @inlinable
    init(
        _ scope: StageScope, _ pattern: CompiledPattern<Element>, _ limits: PatternLimits,
        _ domain: TimeDomain, _ outputs: [[AnyReceiver]]
    ) {
        self.scope = scope
        self.pattern = pattern
        self.limits = limits
        isEventTime = domain == .eventTime
        matches = AnyReceiver.joined(outputs[0], as: PatternMatch<Key, Element>.self)
        timeouts = AnyReceiver.joined(outputs[1], as: PatternMatch<Key, Element>.self)
        late = AnyReceiver.joined(outputs[2], as: Element.self)
        tally = BatchTally(scope, .overflow)
        let partialMatches = scope.makeCount(.partialMatches)
        self.partialMatches = partialMatches
        let (index, alarm) = (self.index, self.alarm)
        table = scope.makeTable(Key.self, PatternKey<Element>.self) { table, group in
            table.forEach(inGroup: group) { key, known, _ in
                let hash = stableHash(key)
                partialMatches.value += known.state.runs.count
                for waiting in known.waiting[known.next...] {
                    index.add(WindowEntry(key: key, hash: hash, mark: 0), at: waiting.time)
                }
                guard let deadline = known.alarm else { return }
                index.add(WindowEntry(key: key, hash: hash, mark: 1), at: deadline)
            }
            alarm.timer?.restored()
        }
        scope.register(index)
        scope.register(self)
        if domain == .processingTime { followClock() }
    }

    /// Time-outs follow the clock.
    @inlinable
    func followClock() {
        alarm.timer = DeadlineTimer(
            scope,
            deadline: { [unowned self] in index.nextDeadline.map(EventTime.init(nanoseconds:)) },
            action: { [unowned self] now in enqueueFiring(upTo: now.nanoseconds, then: nil) })
    }

    // MARK: Events

    @inlinable
    func handle(
        _ batch: Batch<Element>, keys: @Sendable (Batch<Element>) -> ContiguousArray<Key>
    ) throws {
        let batchKeys = keys(batch)
        let hashes = table.hashesAhead(of: batchKeys)
        var output = PatternOutput<Key, Element>()
        var tooLate = Batch<Element>()
        let watermark = scope.watermark.nanoseconds
        let now = scope.now.nanoseconds
        for position in batch.elements.indices {
            let key = batchKeys[position]
            let hash = table.hash(of: key, at: position, in: hashes)
            let stamp = batch.time(at: position)
            let event = batch.elements[position]
            if !isEventTime {
                let isDone = try table.update(key, hash: hash, default: PatternKey()) { known in
                    try feed(event, at: now, stamp: stamp, key, hash, &known, &output)
                    return known.isEmpty
                }
                if isDone { table.remove(key, hash: hash) }
                continue
            }
            if stamp.nanoseconds <= watermark {
                tooLate.append(event, at: stamp)
                continue
            }
            try table.update(key, hash: hash, default: PatternKey()) { known in
                if known.waitingCount >= limits.waitingEvents { return refuse(event) }
                known.wait(event, until: stamp.nanoseconds)
                index.add(WindowEntry(key: key, hash: hash, mark: 0), at: stamp.nanoseconds)
            }
        }
        try send(output)
        if !tooLate.isEmpty {
            latePending += tooLate.count
            try late.batch(tooLate)
        }
    }

    @usableFromInline
    func refuse(_ event: Element) {
        tally.giveUp(
            event,
            "\(limits.waitingEvents) events of the key wait for the watermark, as many as may")
    }

    /// Hands an event of a key to the matching.
    @inlinable
    func feed(
        _ event: Element, at time: Int64, stamp: EventTime, _ key: Key, _ hash: UInt64,
        _ known: inout PatternKey<Element>, _ output: inout PatternOutput<Key, Element>
    ) throws {
        let runs = known.state.runs.count
        known.state.advance(
            to: time, key: key, pattern, stamp: { stampOfTimeout(at: $0) }, into: &output)
        try known.state.handle(event, at: time, stamp: stamp, key: key, pattern, into: &output)
        try known.state.limit(to: limits, stamp, key, pattern, &output)
        partialMatches.value += known.state.runs.count - runs
        setAlarm(key, hash, &known)
    }

    @inlinable
    func setAlarm(_ key: Key, _ hash: UInt64, _ known: inout PatternKey<Element>) {
        guard known.alarm == nil, let deadline = known.state.deadline(pattern) else { return }
        known.alarm = deadline
        index.add(WindowEntry(key: key, hash: hash, mark: 1), at: deadline)
    }

    /// The event time of what leaves because time is over.
    @usableFromInline
    func stampOfTimeout(at deadline: Int64) -> EventTime {
        if isEventTime { return EventTime(nanoseconds: deadline) }
        let watermark = scope.watermark
        return watermark == .max ? .min : watermark.advanced(byNanoseconds: 1)
    }

    @inlinable
    func send(_ output: PatternOutput<Key, Element>) throws {
        if output.dropped > 0 { tally.drop(output.dropped) }
        if !output.timeouts.isEmpty { try timeouts.batch(output.timeouts) }
        if !output.matches.isEmpty { try matches.batch(output.matches) }
    }

    // MARK: Time

    @inlinable
    func receive(_ signal: Signal) throws {
        if signal == .watermark(.max) { enterHeldMatches() }
        guard case .watermark(let time) = signal, isEventTime || time == .max,
            index.count > 0, (index.nextDeadline ?? .max) <= time.nanoseconds
        else { return try forward(signal) }
        enqueueFiring(upTo: time.nanoseconds, then: signal)
    }

    /// At the end no partial match can rule out others any more (mark 2).
    @inlinable
    func enterHeldMatches() {
        if pattern.skip == .noSkip { return }
        for group in 0..<KeyGroup.count {
            table.forEach(inGroup: group) { key, known, _ in
                if known.state.runs.isEmpty && known.waitingCount == 0 { return }
                index.add(WindowEntry(key: key, hash: stableHash(key), mark: 2), at: .max)
            }
        }
    }

    @usableFromInline
    func forward(_ signal: Signal) throws {
        try timeouts.signal(signal)
        try matches.signal(signal)
        try late.signal(signal)
    }

    /// Looks at all keys that are due, in portions, and only then passes the signal on.
    @inlinable
    func enqueueFiring(upTo limit: Int64, then signal: Signal?) {
        scope.enqueue(
            { [unowned self] in
                var output = PatternOutput<Key, Element>()
                var left = max(1, scope.portion)
                while left > 0, let (deadline, entry) = index.next(upTo: limit) {
                    left -= 1
                    try serve(entry, deadline, &output)
                }
                try send(output)
                if left == 0 { return true }
                if let signal { try forward(signal) }
                return false
            }, abandon: { [unowned self] in abandon(upTo: limit) })
    }

    @inlinable
    func serve(
        _ entry: WindowEntry<Key>, _ deadline: Int64, _ output: inout PatternOutput<Key, Element>
    ) throws {
        let isDone = try table.update(entry.key, hash: entry.hash, default: PatternKey()) { known in
            if entry.mark == 2 {
                end(entry, &known, &output)
            } else if entry.mark == 1 {
                expire(entry, deadline, &known, &output)
            } else if let (time, event) = known.takeWaiting(upTo: deadline) {
                try feed(
                    event, at: time, stamp: EventTime(nanoseconds: time), entry.key, entry.hash,
                    &known, &output)
            }
            return known.isEmpty
        }
        if isDone { table.remove(entry.key, hash: entry.hash) }
    }

    @inlinable
    func end(
        _ entry: WindowEntry<Key>, _ known: inout PatternKey<Element>,
        _ output: inout PatternOutput<Key, Element>
    ) {
        let runs = known.state.runs.count
        known.state.end(entry.key, pattern, into: &output)
        partialMatches.value += known.state.runs.count - runs
    }

    @inlinable
    func expire(
        _ entry: WindowEntry<Key>, _ deadline: Int64, _ known: inout PatternKey<Element>,
        _ output: inout PatternOutput<Key, Element>
    ) {
        known.alarm = nil
        let runs = known.state.runs.count
        known.state.advance(
            to: deadline, key: entry.key, pattern, stamp: { stampOfTimeout(at: $0) },
            into: &output)
        partialMatches.value += known.state.runs.count - runs
        setAlarm(entry.key, entry.hash, &known)
    }

    /// Gives up the event, or the time-outs of the key, at the head of the line.
    @inlinable
    func abandon(upTo limit: Int64) -> (any Sendable)? {
        guard let (deadline, entry) = index.next(upTo: limit) else { return nil }
        var abandoned: (any Sendable)?
        let isDone = try? table.update(entry.key, hash: entry.hash, default: PatternKey()) {
            known in
            var output = PatternOutput<Key, Element>()
            if entry.mark == 2 {
                end(entry, &known, &output)
            } else if entry.mark == 1 {
                expire(entry, deadline, &known, &output)
            } else {
                abandoned = known.takeWaiting(upTo: deadline)?.event
            }
            return known.isEmpty
        }
        if isDone == true { table.remove(entry.key, hash: entry.hash) }
        return abandoned ?? "matches of key \(entry.key) at \(deadline) ns"
    }
}

extension PatternMatcher: TransactionParticipant {
    @usableFromInline func beginBatch() { latePending = 0 }

    @usableFromInline
    func commitBatch() {
        if latePending > 0 { scope.countLate(latePending) }
        latePending = 0
    }

    @usableFromInline func rollbackBatch() { latePending = 0 }
}

/// The timer that follows what is due, made after the state that it follows.
@usableFromInline
final class PatternAlarm {
    @usableFromInline var timer: DeadlineTimer?

    @usableFromInline
    init() {}
}
