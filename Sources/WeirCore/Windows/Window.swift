/// How the events of a key are cut into windows.
///
/// Windows in event time are half-open, `start ..< end`, and aligned to 1970-01-01T00:00:00Z plus
/// their offset; they exist only where there are events, so a gap of any length in the events costs
/// nothing.
///
/// ```swift
/// .window(.sliding(.minutes(5), every: .seconds(10)), allowedLateness: .seconds(30))
/// ```
public struct Window: Sendable, Hashable {
    @usableFromInline
    enum Kind: Sendable, Hashable {
        case tumbling(size: Int64, offset: Int64)
        case sliding(size: Int64, slide: Int64, offset: Int64)
        case cumulative(size: Int64, step: Int64, offset: Int64)
        case session(gap: Int64)
        case count(size: Int, slide: Int)
        case global
    }

    @usableFromInline let kind: Kind
    @usableFromInline var domain: TimeDomain
    @usableFromInline var globalTrigger: WindowTrigger?
    let problem: String?

    private init(
        _ kind: Kind, in domain: TimeDomain = .eventTime, trigger: WindowTrigger? = nil,
        problem: String? = nil
    ) {
        self.kind = kind
        self.domain = domain
        self.globalTrigger = trigger
        self.problem = problem
    }

    /// Windows of one length, one behind the other.
    ///
    /// - Parameters:
    ///   - size: The length, at most 36,500 days.
    ///   - offset: By how much the windows are shifted from 1970-01-01T00:00:00Z, such as for days
    ///     in another time zone.
    public static func tumbling(
        _ size: Duration, offset: Duration = .zero, in domain: TimeDomain = .eventTime
    ) -> Window {
        Window(
            .tumbling(size: size.nanosecondsClamped, offset: offset.nanosecondsClamped),
            in: domain,
            problem: isLength(size) ? nil : "tumbling(_:) takes a positive size; it got \(size)")
    }

    /// Windows of one length, a new one beginning every `slide`: each event is in about size /
    /// slide of them.
    ///
    /// With an aggregate that combines, events are added up once per pane of gcd(size, slide).
    public static func sliding(
        _ size: Duration, every slide: Duration, offset: Duration = .zero,
        in domain: TimeDomain = .eventTime
    ) -> Window {
        let isRight = isLength(size) && isLength(slide) && slide <= size
        return Window(
            .sliding(
                size: size.nanosecondsClamped, slide: slide.nanosecondsClamped,
                offset: offset.nanosecondsClamped), in: domain,
            problem: isRight
                ? nil
                : "sliding(_:every:) takes 0 < every <= size; it got \(size) every \(slide)")
    }

    /// Windows that all begin at multiples of `size` and grow by `step` up to `size`: running
    /// totals of a day.
    ///
    /// Every event is added to up to size / step windows.
    public static func cumulative(
        _ size: Duration, step: Duration, offset: Duration = .zero,
        in domain: TimeDomain = .eventTime
    ) -> Window {
        let lengths = (size: size.nanosecondsClamped, step: step.nanosecondsClamped)
        let isRight =
            isLength(size) && isLength(step) && step <= size && lengths.size % lengths.step == 0
        return Window(
            .cumulative(
                size: lengths.size, step: lengths.step, offset: offset.nanosecondsClamped),
            in: domain,
            problem: isRight
                ? nil
                : """
                cumulative(_:step:) takes a size that is a multiple of its positive step; \
                it got \(size) and \(step)
                """)
    }

    /// Windows around events that are less than `gap` apart; an event between two of them
    /// joins them into one.
    public static func session(gap: Duration, in domain: TimeDomain = .eventTime) -> Window {
        Window(
            .session(gap: gap.nanosecondsClamped), in: domain,
            problem: isLength(gap) ? nil : "session(gap:) takes a positive gap; it got \(gap)")
    }

    /// Windows of `size` events of a key, one behind the other, in the order of arrival.
    ///
    /// When the stream ends, the events that do not fill a window any more make a smaller one.
    public static func count(_ size: Int) -> Window {
        Window(
            .count(size: size, slide: size),
            problem: size > 0 ? nil : "count(_:) takes a positive number; it got \(size)")
    }

    /// After every `slide` events of a key, its last `size` events, or fewer as long as there are
    /// not that many.
    public static func count(_ size: Int, every slide: Int) -> Window {
        Window(
            .count(size: size, slide: slide),
            problem: slide > 0 && slide <= size
                ? nil : "count(_:every:) takes 0 < every <= size; it got \(size) every \(slide)")
    }

    /// One window for all events of a key, which gives results when its trigger says so and when
    /// the stream ends.
    public static func global(trigger: WindowTrigger) -> Window {
        Window(
            .global, trigger: trigger,
            problem: trigger.isEarly
                ? nil : "global(trigger:) never fires with this trigger: use .every(…)")
    }

    /// The same windows by the clock of the run instead of the times of the events.
    ///
    /// They fire by themselves; nothing is ever late. When the stream ends, what is open fires.
    public var processingTime: Window {
        var window = self
        window.domain = .processingTime
        return window
    }

    /// Whether the events must have event times.
    @usableFromInline var needsTimes: Bool {
        switch kind {
        case .count, .global: false
        default: domain == .eventTime
        }
    }

    private static func isLength(_ duration: Duration) -> Bool {
        duration > .zero && duration <= .days(36_500) && duration.nanosecondsClamped > 0
    }
}

/// The arithmetic of windows on the time line; it saturates, so that no event time can make it
/// trap.
@usableFromInline
enum WindowArithmetic {
    /// The latest multiple of `size`, shifted by `offset`, that is not later than `time`.
    @inlinable
    static func start(of time: Int64, size: Int64, offset: Int64) -> Int64 {
        add(time, -past(time, size: size, offset: offset))
    }

    /// How long before `time` that was: 0 up to `size`.
    @inlinable
    static func past(_ time: Int64, size: Int64, offset: Int64) -> Int64 {
        var past = time % size &- offset % size
        if past < 0 { past &+= size }
        if past < 0 { past &+= size }
        if past >= size { past &-= size }
        return past
    }

    /// The earliest multiple of `size`, shifted by `offset`, that is later than `time`.
    @inlinable
    static func end(of time: Int64, size: Int64, offset: Int64) -> Int64 {
        add(time, size &- past(time, size: size, offset: offset))
    }

    @inlinable
    static func add(_ left: Int64, _ right: Int64) -> Int64 {
        let (sum, overflow) = left.addingReportingOverflow(right)
        return overflow ? (right < 0 ? .min : .max) : sum
    }

    @inlinable
    static func greatestCommonDivisor(_ left: Int64, _ right: Int64) -> Int64 {
        var (left, right) = (left, right)
        while right != 0 { (left, right) = (right, left % right) }
        return left
    }
}
