/// What a handler may use while it handles one event or timer: time, output, timers, randomness.
///
/// It stands for the key being handled and cannot be kept.
public struct Context<Key: Hashable & Codable & Sendable, Output: Sendable>: ~Copyable {
    @usableFromInline let core: HandlerCore<Key, Output>
    @usableFromInline var output = BatchWriter<Output>()
    @usableFromInline var currentKey: Key
    @usableFromInline var hash: UInt64
    @usableFromInline var currentTime: EventTime
    @usableFromInline var clearsState = false
    @usableFromInline let batchSize: Int

    /// The time of the event or timer being handled; `EventTime.min` if the stream has no event
    /// time.
    ///
    /// A timer in processing time has the time just behind the watermark.
    @inlinable
    public var eventTime: EventTime { currentTime }

    /// Processing time: the only clock that a handler uses.
    public let now: EventTime

    /// How far event time has come: no event with this time or an earlier one is expected any more.
    public let watermark: EventTime

    @inlinable
    init(core: HandlerCore<Key, Output>, key: Key, hash: UInt64, eventTime: EventTime) {
        self.core = core
        batchSize = core.batchSize
        currentKey = key
        self.hash = hash
        currentTime = eventTime
        now = core.scope.now
        watermark = core.watermark
    }

    /// Points the context at the next event.
    @inlinable
    @inline(__always)
    mutating func move(to key: Key, hash: UInt64, eventTime: EventTime) {
        currentKey = key
        self.hash = hash
        currentTime = eventTime
    }

    /// The key whose event or timer is being handled.
    @inlinable
    public var key: Key { currentKey }

    /// Sends an event on, with the time of the event being handled.
    @inlinable
    public mutating func emit(_ event: Output) {
        emit(event, at: eventTime)
    }

    /// Sends an event on with a time of its own.
    @inlinable
    public mutating func emit(_ event: Output, at time: EventTime) {
        if output.count >= batchSize { putFullBatchAside() }
        output.append(event, at: time)
    }

    /// Sends an event to a side output, with the time of the event being handled; lost if nobody
    /// takes that output.
    @inlinable
    public mutating func emit<Event: Sendable>(_ event: Event, to side: SideOutput<Event>) {
        emit(event, to: side, at: eventTime)
    }

    /// Sends an event to a side output with a time of its own.
    @inlinable
    public mutating func emit<Event: Sendable>(
        _ event: Event, to side: SideOutput<Event>, at time: EventTime
    ) {
        core.emit(SideEvent(output: side.identity, event: event), at: time)
    }

    /// Sets a timer for this key; nothing changes if it has one for that time already.
    ///
    /// An event-time timer fires once the watermark has reached its time, before the watermark goes
    /// on; a time that is already behind the watermark fires after the current batch. When the
    /// stream ends, all event-time timers fire once, and timers set by them do not; timers in
    /// processing time that have not fired are dropped.
    ///
    /// - Complexity: O(log n) for n timers of the stage; O(1) for times that mostly increase.
    @inlinable
    public mutating func setTimer(at time: EventTime, in domain: TimeDomain = .eventTime) {
        core.setTimer(currentKey, hash: hash, at: time, in: domain)
    }

    /// Cancels the timer of this key at a time; false if there was none.
    @inlinable
    @discardableResult
    public mutating func cancelTimer(at time: EventTime, in domain: TimeDomain = .eventTime) -> Bool
    {
        core.cancelTimer(currentKey, hash: hash, at: time, in: domain)
    }

    /// Forgets the state of this key once the handler returns; its timers stay.
    @inlinable
    public mutating func clearState() {
        clearsState = true
    }

    /// The stage's seeded generator of random numbers; use it instead of the system's.
    public var random: SplitMix64 {
        get { core.scope.random }
        set { core.scope.random = newValue }
    }

    @inlinable
    @inline(never)
    mutating func putFullBatchAside() {
        core.full.append(output.take())
    }

    /// Whether the state is to be forgotten; asked once per event.
    @inlinable
    @inline(__always)
    mutating func takeClear() -> Bool {
        if !clearsState { return false }
        clearsState = false
        return true
    }
}
