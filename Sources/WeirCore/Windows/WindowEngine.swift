/// The state of one kind of windows in one stage instance.
@usableFromInline
protocol WindowEngine: AnyObject {
    associatedtype Key: Hashable & Codable & Sendable
    associatedtype Element: Sendable
    associatedtype Value: Sendable
    typealias Results = BatchWriter<Windowed<Key, Value>>

    /// The hashes of a batch's keys, if they are worth having ahead; else none.
    func hashesAhead(of keys: ContiguousArray<Key>) -> ContiguousArray<UInt64>
    /// The hash of the key at `index`; called for each event of a batch, in order.
    func hash(of key: Key, at index: Int, in hashes: ContiguousArray<UInt64>) -> UInt64
    /// Adds an event to its windows, and events behind it that can be added along with it; those
    /// whose windows are all over go to `late`.
    ///
    /// - Parameter first: The position of the event.
    /// - Returns: The position behind the last event that was taken.
    func add(
        _ events: WindowEvents<Key, Element>, from first: Int, hash: UInt64, watermark: Int64,
        into output: inout Results, late: inout Batch<Element>
    ) throws -> Int
    /// Asks the processor to load what firing the entries behind the one taken last will read.
    func lookAhead(in index: WindowIndex<Key>)
    /// Gives the result of what was entered for firing.
    func fire(
        _ entry: WindowEntry<Key>, deadline: Int64, watermark: Int64, into output: inout Results
    ) throws
    /// Drops what was entered for dropping.
    func drop(_ entry: WindowEntry<Key>, deadline: Int64, watermark: Int64) throws
    /// Gives an early result of a window that has new events.
    func fireEarly(_ entry: WindowEntry<Key>, into output: inout Results) throws
    /// Enters for firing what has no deadline but ends with the stream.
    func end() throws
    var keyCount: Int { get }
}

extension WindowEngine {
    @inlinable
    func hashesAhead(of keys: ContiguousArray<Key>) -> ContiguousArray<UInt64> { [] }

    @inlinable
    @inline(__always)
    func hash(of key: Key, at index: Int, in hashes: ContiguousArray<UInt64>) -> UInt64 {
        stableHash(key)
    }
}

/// An engine that has the windows of a key in one place.
@usableFromInline
protocol KeyedWindowEngine: WindowEngine {
    associatedtype State
    var table: KeyedTable<Key, State> { get }
}

extension KeyedWindowEngine {
    @inlinable var keyCount: Int { table.count }

    @inlinable
    func hashesAhead(of keys: ContiguousArray<Key>) -> ContiguousArray<UInt64> {
        table.hashesAhead(of: keys)
    }

    @inlinable
    @inline(__always)
    func hash(of key: Key, at index: Int, in hashes: ContiguousArray<UInt64>) -> UInt64 {
        table.hash(of: key, at: index, in: hashes)
    }

    @inlinable
    @inline(__always)
    func lookAhead(in index: WindowIndex<Key>) {
        table.lookAhead { index.entry(ahead: $0)?.hash }
    }
}

/// A batch on its way into windows.
///
/// No window ends behind the end of time: what happens then counts as if it happened just before.
@usableFromInline
struct WindowEvents<Key: Hashable & Codable & Sendable, Element: Sendable> {
    @usableFromInline let batch: Batch<Element>
    @usableFromInline let keys: ContiguousArray<Key>
    /// The time of all events; nil if each has its own.
    @usableFromInline let now: Int64?

    @inlinable
    init(batch: Batch<Element>, keys: ContiguousArray<Key>, now: Int64?) {
        self.batch = batch
        self.keys = keys
        self.now = now
    }

    @inlinable
    @inline(__always)
    func time(at index: Int) -> Int64 { now ?? min(batch.times[index].nanoseconds, .max &- 1) }
}

/// What all windows share: deadlines, time, portions of firings, late events.
@usableFromInline
final class WindowCore<Key: Hashable & Codable & Sendable, Element: Sendable> {
    @usableFromInline unowned let scope: StageScope
    @usableFromInline let firing = WindowIndex<Key>()
    @usableFromInline let dropping = WindowIndex<Key>()
    /// Windows with events since their last early result; all in one bucket.
    @usableFromInline let changed = WindowIndex<Key>()
    @usableFromInline let lateness: Int64
    private let domain: TimeDomain
    private let interval: Duration?
    private let late: Receiver<Element>?
    private var latePending = 0
    private var alarm: StageTimer?
    private var earlyAlarm: StageTimer?
    private var fireDue: ((_ limit: Int64, _ units: Int) throws -> Bool)?
    private var fireEarly: ((_ units: Int) throws -> Bool)?
    private var abandon: ((_ limit: Int64) -> String?)?
    private var abandonEarly: (() -> String?)?
    private var end: (() throws -> Void)?
    private let forward: (Signal) throws -> Void

    @usableFromInline
    init(
        scope: StageScope, domain: TimeDomain, lateness: Duration, interval: Duration?,
        late: [AnyReceiver], forward: @escaping (Signal) throws -> Void
    ) {
        self.scope = scope
        self.domain = domain
        self.lateness = domain == .eventTime ? max(0, lateness.nanosecondsClamped) : 0
        self.interval = interval
        self.late = late.isEmpty ? nil : AnyReceiver.joined(late, as: Element.self)
        self.forward = forward
        // Checkpoints don't keep them: they follow from the tables of the engine.
        for index in [firing, dropping, changed] { scope.register(index) }
        scope.register(self)
        if domain == .processingTime {
            alarm = scope.makeTimer { [unowned self] now in try advance(to: now, then: nil) }
        }
        if interval != nil {
            earlyAlarm = scope.makeTimer { [unowned self] _ in fireChanged() }
        }
    }

    @usableFromInline
    func connect(
        fireDue: @escaping (_ limit: Int64, _ units: Int) throws -> Bool,
        fireEarly: @escaping (_ units: Int) throws -> Bool,
        abandon: @escaping (_ limit: Int64) -> String?,
        abandonEarly: @escaping () -> String?, end: @escaping () throws -> Void
    ) {
        self.fireDue = fireDue
        self.fireEarly = fireEarly
        self.abandon = abandon
        self.abandonEarly = abandonEarly
        self.end = end
    }

    /// Up to where time is over for the windows, as a batch is handled.
    @usableFromInline var limit: Int64 {
        domain == .eventTime ? scope.watermark.nanoseconds : scope.now.nanoseconds &- 1
    }

    @usableFromInline var usesEventTime: Bool { domain == .eventTime }

    @usableFromInline
    func finishBatch(late events: consuming Batch<Element>) throws {
        if !events.isEmpty {
            latePending += events.count
            if let late { try late.batch(events) }
        }
        arm()
    }

    /// Sets the timers to what is due next.
    @usableFromInline
    func arm() {
        if let alarm {
            let next = min(firing.nextDeadline ?? .max, dropping.nextDeadline ?? .max)
            alarm.set(next == .max ? nil : EventTime(nanoseconds: next + 1))
        }
        if let interval, let earlyAlarm, earlyAlarm.deadline == nil, changed.count > 0 {
            earlyAlarm.set(scope.now.advanced(by: interval))
        }
    }

    @usableFromInline
    func receive(_ signal: Signal) throws {
        guard case .watermark(let time) = signal else {
            if signal == .end {
                alarm?.set(nil)
                earlyAlarm?.set(nil)
            }
            return try pass(signal)
        }
        if time == .max {
            try end?()
            try advance(to: .max, then: signal)
        } else if domain == .eventTime {
            try advance(to: time, then: signal)
        } else {
            try pass(signal)
        }
    }

    /// Fires what is due, in portions, and only then passes the watermark on.
    private func advance(to time: EventTime, then signal: Signal?) throws {
        let limit =
            domain == .eventTime || time == .max ? time.nanoseconds : time.nanoseconds &- 1
        if let signal, (firing.nextDeadline ?? .max) > limit,
            (dropping.nextDeadline ?? .max) > limit
        {
            return try pass(signal)
        }
        scope.enqueue(
            { [unowned self] in
                if let fireDue, try fireDue(limit, max(1, scope.portion)) { return true }
                arm()
                if let signal { try pass(signal) }
                return false
            },
            abandon: { [unowned self] in abandon?(limit) })
    }

    private func fireChanged() {
        scope.enqueue(
            { [unowned self] in
                if let fireEarly, try fireEarly(max(1, scope.portion)) { return true }
                arm()
                return false
            }, abandon: { [unowned self] in abandonEarly?() })
    }

    private func pass(_ signal: Signal) throws {
        try forward(signal)
        try late?.signal(signal)
    }
}

extension WindowCore: TransactionParticipant {
    @usableFromInline func beginBatch() { latePending = 0 }

    @usableFromInline
    func commitBatch() {
        if latePending > 0 { scope.countLate(latePending) }
        latePending = 0
    }

    @usableFromInline
    func rollbackBatch() {
        latePending = 0
        arm()
    }
}

extension WindowCore {
    /// The receiver of a stage of windows; specialised with the engine where the aggregate is
    /// known.
    @inlinable
    func receiver<Engine: WindowEngine>(
        _ engine: Engine, downstream: Receiver<Windowed<Key, Engine.Value>>,
        keys: @escaping @Sendable (Batch<Element>) -> ContiguousArray<Key>
    ) -> Receiver<Element> where Engine.Key == Key, Engine.Element == Element {
        let core = self
        let firing = self.firing
        let dropping = self.dropping
        let changed = self.changed
        connect(
            fireDue: { limit, units in
                var left = units
                let output = try Engine.Results.gather(expecting: min(units, firing.count)) {
                    output in
                    while left > 0, let (deadline, entry) = firing.next(upTo: limit) {
                        left -= 1
                        engine.lookAhead(in: firing)
                        try engine.fire(entry, deadline: deadline, watermark: limit, into: &output)
                    }
                }
                while left > 0, let (deadline, entry) = dropping.next(upTo: limit) {
                    left -= 1
                    try engine.drop(entry, deadline: deadline, watermark: limit)
                }
                if !output.isEmpty { try downstream.batch(output) }
                return left == 0
            },
            fireEarly: { units in
                var output = Engine.Results()
                var left = units
                while left > 0, let (_, entry) = changed.next(upTo: .max) {
                    left -= 1
                    try engine.fireEarly(entry, into: &output)
                }
                if !output.isEmpty { try downstream.batch(output.take()) }
                return left == 0
            },
            // The windows go on as if the result had been given.
            abandon: { limit in
                guard let (deadline, entry) = firing.next(upTo: limit) else { return nil }
                var unsent = Engine.Results()
                try? engine.fire(entry, deadline: deadline, watermark: limit, into: &unsent)
                return "window of key \(entry.key) at \(deadline) ns"
            },
            abandonEarly: {
                guard let (_, entry) = changed.next(upTo: .max) else { return nil }
                var unsent = Engine.Results()
                try? engine.fireEarly(entry, into: &unsent)
                return "early result of key \(entry.key)"
            }, end: { try engine.end() })
        scope.onPublish { (keys: engine.keyCount, timers: firing.count) }
        return Receiver(
            batch: { batch in
                let usesTimes = core.usesEventTime && batch.hasTimes
                let events = WindowEvents(
                    batch: batch, keys: keys(batch),
                    now: usesTimes ? nil : core.scope.now.nanoseconds)
                let hashes = engine.hashesAhead(of: events.keys)
                let limit = core.limit
                var output = Engine.Results()
                var late = Batch<Element>()
                var index = 0
                while index < events.keys.count {
                    let next = try engine.add(
                        events, from: index,
                        hash: engine.hash(of: events.keys[index], at: index, in: hashes),
                        watermark: limit, into: &output, late: &late)
                    index += 1
                    // What was taken along had its look ahead too.
                    while index < next {
                        if !hashes.isEmpty {
                            _ = engine.hash(of: events.keys[index], at: index, in: hashes)
                        }
                        index += 1
                    }
                }
                if !output.isEmpty { try downstream.batch(output.take()) }
                try core.finishBatch(late: late)
            }, signal: { try core.receive($0) })
    }
}
