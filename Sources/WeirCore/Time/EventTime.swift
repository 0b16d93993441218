/// A point on the time line of the events, as nanoseconds since 1970-01-01T00:00:00Z.
///
/// Event time is what the events themselves say; processing time (`context.now`) uses the same type, so that both
/// can be compared and both run on a virtual clock.
@frozen
public struct EventTime: Sendable, Hashable, Comparable {
    /// Nanoseconds since 1970-01-01T00:00:00Z, negative before.
    public var nanoseconds: Int64

    /// Creates a time from nanoseconds since 1970-01-01T00:00:00Z.
    @inlinable
    public init(nanoseconds: Int64 = 0) {
        self.nanoseconds = nanoseconds
    }

    /// Creates a time from milliseconds since 1970-01-01T00:00:00Z, saturating at ``min`` and ``max``.
    @inlinable
    public init(milliseconds: Int64) {
        let (value, overflow) = milliseconds.multipliedReportingOverflow(by: 1_000_000)
        self.nanoseconds = overflow ? (milliseconds < 0 ? .min : .max) : value
    }

    /// Before every event: the watermark of an input that has not seen any.
    @inlinable
    public static var min: EventTime { EventTime(nanoseconds: .min) }

    /// After every event: the watermark of an input that has ended.
    @inlinable
    public static var max: EventTime { EventTime(nanoseconds: .max) }

    /// Whether one time is earlier than another.
    @inlinable
    public static func < (left: EventTime, right: EventTime) -> Bool {
        left.nanoseconds < right.nanoseconds
    }
}

extension EventTime: InstantProtocol {
    /// The time that is `duration` later, saturating at ``min`` and ``max``.
    @inlinable
    public func advanced(by duration: Duration) -> EventTime {
        advanced(byNanoseconds: duration.nanosecondsClamped)
    }

    /// The duration from this time to `other`, negative when `other` is earlier.
    @inlinable
    public func duration(to other: EventTime) -> Duration {
        .nanoseconds(other.nanoseconds) - .nanoseconds(nanoseconds)
    }

    @inlinable
    func advanced(byNanoseconds delta: Int64) -> EventTime {
        if self == .max || self == .min { return self }
        let (value, overflow) = nanoseconds.addingReportingOverflow(delta)
        return EventTime(nanoseconds: overflow ? (delta < 0 ? .min : .max) : value)
    }
}

extension Duration {
    /// A duration of whole minutes; it saturates.
    @inlinable
    public static func minutes(_ count: Int) -> Duration { seconds(count, times: 60) }

    /// A duration of whole hours; it saturates.
    @inlinable
    public static func hours(_ count: Int) -> Duration { seconds(count, times: 3_600) }

    /// A duration of whole days of 24 hours; it saturates.
    @inlinable
    public static func days(_ count: Int) -> Duration { seconds(count, times: 86_400) }

    @inlinable
    static func seconds(_ count: Int, times factor: Int) -> Duration {
        let (product, overflow) = count.multipliedReportingOverflow(by: factor)
        return .seconds(overflow ? (count < 0 ? .min : .max) : product)
    }

    /// This duration in whole nanoseconds, clamped to `Int64`.
    @inlinable
    package var nanosecondsClamped: Int64 {
        let (seconds, attoseconds) = components
        let (scaled, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        if overflow { return seconds < 0 ? .min : .max }
        let (sum, sumOverflow) = scaled.addingReportingOverflow(attoseconds / 1_000_000_000)
        return sumOverflow ? (seconds < 0 ? .min : .max) : sum
    }
}
