/// What every operator with state and timers per key shares: timers, watermark, outputs, and the
/// way back.
@usableFromInline
final class HandlerCore<Key: Hashable & Codable & Sendable, Output: Sendable> {
    @usableFromInline unowned let scope: StageScope
    @usableFromInline let downstream: Receiver<Output>
    @usableFromInline let side: Receiver<SideEvent>?
    @usableFromInline var estimate = OutputEstimate()
    /// As many events as a batch has.
    @usableFromInline let batchSize: Int
    /// Full batches that the one being handled has emitted.
    @usableFromInline var full: [Batch<Output>] = []
    @usableFromInline var sidePending = Batch<SideEvent>()
    @usableFromInline let eventTimers: TimerQueue<Key>
    @usableFromInline let processingTimers: TimerQueue<Key>
    /// The stage's: this is its head, and the stage brings its watermark back from a checkpoint.
    @inlinable var watermark: EventTime { scope.watermark }
    /// Whether there has been a timer: until then no batch needs to look for one.
    @usableFromInline var hasTimers = false
    /// Whether timers set from now on could never fire.
    @usableFromInline var isEnding = false
    @usableFromInline var alarm: StageTimer?
    private var savedRandom: SplitMix64?
    @usableFromInline var isInBatch = false
    /// Whether the batch has done something to the timers.
    @usableFromInline var hasTouchedTimers = false
    /// Fires some of the timers of a domain that are due at a time.
    @usableFromInline var fire: (TimerQueue<Key>, TimeDomain, EventTime) throws -> Void = {
        _, _, _ in
    }
    @usableFromInline var sweep: () -> Void = {}

    @usableFromInline
    init(scope: StageScope, downstream: Receiver<Output>, side: [AnyReceiver]) {
        self.scope = scope
        batchSize = scope.environment.batchSize
        self.downstream = downstream
        self.side = side.isEmpty ? nil : AnyReceiver.joined(side, as: SideEvent.self)
        eventTimers = TimerQueue(tracksChanges: scope.isFallible)
        processingTimers = TimerQueue(tracksChanges: scope.isFallible)
        scope.register(self)
        scope.keep(
            FollowedState(CheckpointedTimers(eventTimers)) { [unowned self] _ in hasTimers = true })
        scope.keep(
            FollowedState(CheckpointedTimers(processingTimers)) { [unowned self] _ in
                hasTimers = true
                armAlarm()
            })
        alarm = scope.makeTimer { [unowned self] now in fireProcessingTimers(now: now) }
    }

    /// Says how a portion of the timers that are due is handled, and how expired state is removed.
    @usableFromInline
    func onTimers(
        _ fire: @escaping (TimerQueue<Key>, TimeDomain, EventTime) throws -> Void,
        sweep: @escaping () -> Void
    ) {
        self.fire = fire
        self.sweep = sweep
    }

    @inlinable
    func emit(_ event: SideEvent, at time: EventTime) {
        if side != nil { sidePending.append(event, at: time) }
    }

    // MARK: Timers

    @inlinable
    func setTimer(_ key: Key, hash: UInt64, at time: EventTime, in domain: TimeDomain) {
        if isEnding { return }
        hasTimers = true
        touchTimers()
        let queue = domain == .eventTime ? eventTimers : processingTimers
        // Refused only beyond the queue's bound, and this queue has none.
        _ = try? queue.schedule(key, hash: hash, at: time)
    }

    @inlinable
    func cancelTimer(
        _ key: Key, hash: UInt64, at time: EventTime, in domain: TimeDomain
    ) -> Bool {
        touchTimers()
        let queue = domain == .eventTime ? eventTimers : processingTimers
        return queue.cancel(key, hash: hash, at: time)
    }

    @inlinable
    func armAlarm() {
        if !hasTimers { return }
        alarm?.set(processingTimers.nextDeadline)
    }

    @inlinable
    func fireProcessingTimers(now: EventTime) {
        scope.enqueue(
            { [unowned self] in
                let hasMore = try fireDue(processingTimers, in: .processingTime, upTo: now)
                if !hasMore { armAlarm() }
                return hasMore
            }, abandon: { [unowned self] in abandon(processingTimers, upTo: now) })
    }

    /// Fires at most a portion of the timers that are due; returns whether there are more.
    @inlinable
    func fireDue(
        _ timers: TimerQueue<Key>, in domain: TimeDomain, upTo time: EventTime
    ) throws -> Bool {
        touchTimers()
        try fire(timers, domain, time)
        return timers.nextDeadline.map { $0 <= time } ?? false
    }

    @inlinable
    func abandon(_ timers: TimerQueue<Key>, upTo time: EventTime) -> (any Sendable)? {
        touchTimers()
        guard let timer = timers.popDue(upTo: time) else { return nil }
        return "timer of key \(timer.key) at \(timer.time.nanoseconds) ns"
    }

    // MARK: Batches and signals

    /// What `body` emits with a context, but for the full batches.
    ///
    /// - Parameters:
    ///   - inputs: How many events it handles.
    ///   - key: The key of the first one.
    @inlinable
    @inline(__always)
    func gather(
        inputs: Int, from key: Key, _ body: (inout Context<Key, Output>) throws -> Void
    ) throws -> Batch<Output> {
        let output = try BatchWriter.gather(
            expecting: estimate.outputs(ofInputs: inputs, atMost: batchSize)
        ) { writer in
            var context = Context(core: self, key: key, hash: 0, eventTime: .min)
            swap(&context.output, &writer)
            defer { swap(&context.output, &writer) }
            try body(&context)
        }
        estimate.note(inputs: inputs, outputs: full.isEmpty ? output.count : batchSize)
        return output
    }

    /// Sends on what a batch has emitted; fires the timers it has set for times that are over.
    @inlinable
    func finishBatch(_ output: consuming Batch<Output>) throws {
        try send(output)
        if hasTimers {
            if hasDueTimers { fireEventTimers(then: nil) }
            armAlarm()
        }
        sweep()
    }

    @inlinable
    func send(_ output: consuming Batch<Output>) throws {
        if let side, !sidePending.isEmpty {
            let events = sidePending
            sidePending = Batch()
            try side.batch(events)
        }
        if !full.isEmpty {
            var batches: [Batch<Output>] = []
            swap(&batches, &full)
            for index in batches.indices { try downstream.batch(batches[index]) }
        }
        if !output.isEmpty { try downstream.batch(output) }
    }

    @inlinable
    func receive(_ signal: Signal) throws {
        guard case .watermark(let time) = signal else { return try forward(signal) }
        if time == .max { isEnding = true }
        if hasTimers, hasDueTimers {
            fireEventTimers(then: signal)
        } else {
            sweep()
            try forward(signal)
        }
    }

    @inlinable var hasDueTimers: Bool {
        guard let deadline = eventTimers.nextDeadline else { return false }
        return deadline <= watermark
    }

    /// Fires what the watermark has reached, in portions, and only then passes the watermark on.
    @inlinable
    func fireEventTimers(then signal: Signal?) {
        scope.enqueue(
            { [unowned self] in
                if try fireDue(eventTimers, in: .eventTime, upTo: watermark) { return true }
                armAlarm()
                sweep()
                if let signal { try forward(signal) }
                return false
            }, abandon: { [unowned self] in abandon(eventTimers, upTo: watermark) })
    }

    @inlinable
    func forward(_ signal: Signal) throws {
        if signal == .end { alarm?.set(nil) }
        try downstream.signal(signal)
        try side?.signal(signal)
    }
}

extension HandlerCore: TransactionParticipant {
    @usableFromInline
    func beginBatch() {
        savedRandom = scope.random
        isInBatch = true
    }

    /// Most batches leave the timers alone, and so need nothing to undo them with.
    @inlinable
    func touchTimers() {
        guard isInBatch, !hasTouchedTimers else { return }
        hasTouchedTimers = true
        eventTimers.beginBatch()
        processingTimers.beginBatch()
    }

    @usableFromInline
    func commitBatch() {
        savedRandom = nil
        isInBatch = false
        guard hasTouchedTimers else { return }
        hasTouchedTimers = false
        eventTimers.commitBatch()
        processingTimers.commitBatch()
    }

    @usableFromInline
    func rollbackBatch() {
        if let savedRandom { scope.random = savedRandom }
        savedRandom = nil
        sidePending = Batch()
        full.removeAll()
        isInBatch = false
        if hasTouchedTimers {
            hasTouchedTimers = false
            eventTimers.rollbackBatch()
            processingTimers.rollbackBatch()
        }
        armAlarm()
    }
}

/// A table of keyed state that follows the fate of the batch.
@usableFromInline
final class TableParticipant<Key: Hashable & Codable & Sendable, Value>: TransactionParticipant {
    @usableFromInline let table: KeyedTable<Key, Value>
    /// Made where the types are known, and so specialised; nil when all entries are in memory.
    private let settle: (() -> Void)?

    @inlinable
    convenience init(_ table: KeyedTable<Key, Value>) {
        self.init(table, settle: table.cold == nil ? nil : { table.settle() })
    }

    @usableFromInline
    init(_ table: KeyedTable<Key, Value>, settle: (() -> Void)?) {
        self.table = table
        self.settle = settle
    }

    @usableFromInline func beginBatch() { table.beginBatch() }
    @usableFromInline func rollbackBatch() { table.rollbackBatch() }

    @usableFromInline
    func commitBatch() {
        table.commitBatch()
        settle?()
    }
}

extension StageScope {
    /// Whether tables of keyed state have to record changes: known to a stage's head when it is
    /// built, since what is fused behind it is built before.
    @usableFromInline
    var mayRollBack: Bool { isFallible }

    /// A table of keyed state that is rolled back with the batch and counted in the metrics.
    @inlinable
    func makeTable<Key, Value: Sendable>(
        _ key: Key.Type, _ value: Value.Type, timeToLive: StateTTL? = nil, version: Int = 1,
        migrate: ((OldState, Int) throws -> Value)? = nil
    ) -> KeyedTable<Key, Value> {
        let table: KeyedTable<Key, Value> = makeUnkeptTable(timeToLive)
        keep(
            CheckpointedTable(
                table, version: version, migrate: migrate, hash: { stableHash($0) }))
        return table
    }

    /// The same for state from which something else follows.
    ///
    /// - Parameter onRestore: Runs for each key group of the table once all have been restored.
    @inlinable
    func makeTable<Key, Value: Sendable>(
        _ key: Key.Type, _ value: Value.Type,
        timeToLive: StateTTL? = nil, hash: @escaping (Key) -> UInt64 = { stableHash($0) },
        onRestore: @escaping (_ table: KeyedTable<Key, Value>, _ group: Int) -> Void
    ) -> KeyedTable<Key, Value> {
        let table: KeyedTable<Key, Value> = makeUnkeptTable(timeToLive)
        keep(
            FollowedState(CheckpointedTable(table, hash: hash)) { [unowned table] group in
                onRestore(table, group)
            })
        return table
    }

    /// A table that follows the fate of each batch, and is in no checkpoint yet.
    @inlinable
    func makeUnkeptTable<Key, Value: Sendable>(
        _ timeToLive: StateTTL? = nil
    ) -> KeyedTable<Key, Value> {
        let table = KeyedTable<Key, Value>(
            tracksChanges: mayRollBack, timeToLive: timeToLive,
            cold: coldEntries(Key.self, Value.self, expires: timeToLive != nil))
        register(TableParticipant(table))
        if timeToLive != nil { show(.expired) { table.expiredCount } }
        return table
    }
}
