/// The watermark and idleness of one stream: what to tell downstream after a batch and when time
/// passes.
@usableFromInline
struct WatermarkTracker: Sendable {
    @usableFromInline private(set) var watermark = EventTime.min
    private(set) var isIdle = false
    private var lastEvent = EventTime.min
    /// The watermark that the events have brought, from which processing time counts on while idle.
    private var watermarkOfEvents = EventTime.min
    private let idleness: Idleness
    /// For how long nothing could come, as far as ``lastEvent`` knows.
    private var held = Duration.zero
    /// Whether the watermark is to be told although it has not advanced.
    private var repeatsWatermark = false

    init(_ idleness: Idleness) {
        self.idleness = idleness
    }

    /// Counts the quiet time from here, so that an input which never sends becomes idle as well.
    mutating func start(now: EventTime) {
        if lastEvent == .min { lastEvent = now }
    }

    /// Counts the quiet time from here, since until now nothing could have come; a stream that was idle
    /// stays that, and time goes on for it from where it is.
    mutating func restart(now: EventTime) {
        lastEvent = now
        guard isIdle, idleness.advances, watermarkOfEvents != .min else { return }
        lastEvent = now.advanced(by: watermark.duration(to: watermarkOfEvents))
    }

    /// Leaves time in which nothing could come out of the quiet time.
    ///
    /// What of it was before the last event is not known, only how long none of it has been by now.
    mutating func note(_ reading: HeldTime.Reading, now: EventTime) {
        let news = reading.total - held
        held = reading.total
        if news <= .zero || lastEvent == .min { return }
        let latest = now.advanced(by: .zero - reading.free)
        lastEvent = max(lastEvent, min(latest, lastEvent.advanced(by: news)))
    }

    /// Takes note of a batch; returns the new watermark if it has advanced.
    mutating func received(_ candidate: EventTime?, now: EventTime) -> EventTime? {
        lastEvent = now
        isIdle = false
        guard let candidate else { return repeated() }
        watermarkOfEvents = max(watermarkOfEvents, candidate)
        return advance(to: candidate)
    }

    /// What a checkpoint keeps.
    struct Kept: Codable, Sendable {
        var watermark: Int64
        var watermarkOfEvents: Int64
    }

    var kept: Kept {
        Kept(watermark: watermark.nanoseconds, watermarkOfEvents: watermarkOfEvents.nanoseconds)
    }

    /// Goes on where a checkpoint has it.
    ///
    /// The time between the runs was no quiet time of the stream, so that starts anew. Inputs
    /// downstream may have been brought back to less than this watermark: it is told once more.
    mutating func restore(_ kept: Kept, now: EventTime) {
        watermark = EventTime(nanoseconds: kept.watermark)
        watermarkOfEvents = EventTime(nanoseconds: kept.watermarkOfEvents)
        repeatsWatermark = watermark > .min
        isIdle = false
        lastEvent = now
    }

    /// When to look at the clock next, nil for never.
    func nextCheck(now: EventTime) -> EventTime? {
        guard let quiet = idleness.quiet, lastEvent != .min else { return nil }
        if !isIdle { return lastEvent.advanced(by: quiet) }
        return idleness.advances ? now.advanced(by: min(quiet, .seconds(1))) : nil
    }

    /// What has become true by the passing of processing time alone.
    mutating func timePassed(now: EventTime) -> (watermark: EventTime?, becomesIdle: Bool) {
        guard let quiet = idleness.quiet, lastEvent != .min,
            lastEvent.advanced(by: quiet) <= now
        else { return (repeated(), false) }
        let isNews = !isIdle
        isIdle = true
        guard idleness.advances, watermarkOfEvents != .min else { return (repeated(), isNews) }
        let target = watermarkOfEvents.advanced(by: lastEvent.duration(to: now))
        let advanced = advance(to: target)
        // A watermark makes the stream count as active again, so it is declared idle once more.
        return (advanced, isNews || advanced != nil)
    }

    private mutating func advance(to time: EventTime) -> EventTime? {
        // The last watermark of all says that the stream has ended, which no event can say.
        let time = min(time, EventTime(nanoseconds: .max - 1))
        guard time > watermark else { return repeated() }
        repeatsWatermark = false
        watermark = time
        return time
    }

    private mutating func repeated() -> EventTime? {
        guard repeatsWatermark else { return nil }
        repeatsWatermark = false
        return watermark
    }
}
