/// By which time the keyed state of a stage expires: event time where there is one, else processing
/// time.
@usableFromInline
final class StateLife {
    private unowned let scope: StageScope
    private var hasSeenTimes: Bool?

    @usableFromInline
    init(_ scope: StageScope) {
        self.scope = scope
    }

    /// Takes note of whether the stream has event times, and returns it.
    @usableFromInline
    func startBatch(hasTimes: Bool) -> Bool {
        hasSeenTimes = hasTimes
        return hasTimes
    }

    /// Whether it is event time that counts; nil as long as that is not known: after a restore there
    /// may be timers before there are events.
    private var followsEvents: Bool? {
        if let hasSeenTimes { return hasSeenTimes }
        return scope.watermark > .min && scope.watermark < .max ? true : nil
    }

    @usableFromInline var processingTime: EventTime { scope.now }

    /// The time to use state at when an event or timer has the event time `time`.
    @usableFromInline
    func now(at time: EventTime) -> EventTime {
        guard let followsEvents else { return .min }
        return followsEvents ? time : scope.now
    }

    /// The time up to which expired state may be removed; nothing expires because the stream ends.
    @usableFromInline var sweepTime: EventTime {
        guard let followsEvents else { return .min }
        if !followsEvents { return scope.now }
        return scope.watermark == .max ? .min : scope.watermark
    }

    @usableFromInline
    func countDuplicates(_ count: Int) {
        if count > 0 { scope.countDropped(count, reason: .duplicate) }
    }
}
