/// Says how far event time has come, from the events of one stream: for `WatermarkStrategy.custom`.
///
/// A generator is a value: when a batch is taken back, the generator as it was before the batch
/// comes back too. A run with a store keeps it in its checkpoints, so there it has to be `Codable`.
public protocol WatermarkGenerator<Element>: Sendable {
    /// The events that it looks at.
    associatedtype Element

    /// Takes note of an event.
    ///
    /// - Parameters:
    ///   - event: The event.
    ///   - time: Its event time.
    mutating func observe(_ event: Element, at time: EventTime)

    /// The time up to which, itself included, no event is expected any more; nil while that is not
    /// known.
    ///
    /// Asked once after each batch; a time that is not later than the one before has no effect.
    ///
    /// - Parameter now: Processing time.
    mutating func watermark(now: EventTime) -> EventTime?
}

/// Where the largest time seen so far, less a fixed bound, is the watermark.
@usableFromInline
struct BoundedWatermark: Sendable {
    @usableFromInline var largest = EventTime.min
    @usableFromInline let bound: Int64

    @usableFromInline
    init(bound: Duration) {
        self.bound = max(0, bound.nanosecondsClamped)
    }

    /// No event that is more than the bound older than the largest time is expected: one nanosecond
    /// less than that.
    @usableFromInline
    mutating func advance(to time: EventTime) -> EventTime? {
        largest = max(largest, time)
        if largest == .min { return nil }
        let (behind, isBelow) = largest.nanoseconds.subtractingReportingOverflow(bound)
        return isBelow ? nil : EventTime(nanoseconds: behind).advanced(byNanoseconds: -1)
    }
}
