/// How a stream's watermark follows from its events, and what happens when there are none for a
/// while.
///
/// A watermark of time t says that no event with a time of t or earlier is expected any more. At
/// most one is sent after each batch, and only when it has advanced.
///
/// ```swift
/// .eventTime(\.at, .boundedOutOfOrderness(.seconds(5)).idle(after: .seconds(10), advancing: true))
/// ```
public struct WatermarkStrategy<Element: Sendable>: Sendable {
    /// Gives the watermark after a batch whose latest event time is known.
    @usableFromInline
    typealias Observer = (_ batch: Batch<Element>, _ latest: EventTime, _ now: EventTime) ->
        EventTime?

    /// An observer with its state.
    @usableFromInline
    struct Instance {
        @usableFromInline let observe: Observer
        /// Has its state rolled back with the batch and kept in checkpoints.
        @usableFromInline let register: (StageScope) -> Void

        @usableFromInline
        init(observe: @escaping Observer, register: @escaping (StageScope) -> Void = { _ in }) {
            self.observe = observe
            self.register = register
        }
    }

    @usableFromInline let make: @Sendable () -> Instance
    @usableFromInline var idleness = Idleness()
    @usableFromInline var aheadMaximum: Duration?
    @usableFromInline var problem: String?

    @usableFromInline
    init(problem: String? = nil, make: @escaping @Sendable () -> Instance) {
        self.make = make
        self.problem = problem
    }

    /// For events that arrive in the order of their times: every event older than the latest one is
    /// late.
    public static var monotonic: WatermarkStrategy { boundedOutOfOrderness(.zero) }

    /// For events that arrive at most `bound` of event time out of order.
    ///
    /// The watermark is the latest time so far, less `bound`, less one nanosecond, as in Apache
    /// Flink: an event exactly `bound` older than the latest one is still in time.
    public static func boundedOutOfOrderness(_ bound: Duration) -> WatermarkStrategy {
        let problem =
            bound < .zero
            ? "boundedOutOfOrderness takes a duration of zero or more; it got \(bound)" : nil
        return WatermarkStrategy(problem: problem) {
            let state = TransactionalValue(BoundedWatermark(bound: bound))
            return Instance(observe: { _, latest, _ in state.value.advance(to: latest) }) { scope in
                scope.registerTransient(state)
                // The bound is what the code says now.
                scope.keep(
                    CheckpointedValue(
                        get: { state.value.largest.nanoseconds },
                        set: { state.value.largest = EventTime(nanoseconds: $0) }))
            }
        }
    }

    /// For events of which some say themselves how far time has come; the others give nil.
    @inlinable
    public static func punctuated(
        _ watermark: @escaping @Sendable (Element) -> EventTime?
    ) -> WatermarkStrategy {
        WatermarkStrategy {
            Instance(observe: { batch, _, _ in
                var latest: EventTime?
                for element in batch.elements {
                    guard let time = watermark(element) else { continue }
                    latest = latest.map { Swift.max($0, time) } ?? time
                }
                return latest
            })
        }
    }

    /// For everything else: a generator of one's own, one for each instance of the stream.
    @inlinable
    public static func custom<Generator: WatermarkGenerator>(
        _ generator: @escaping @Sendable () -> Generator
    ) -> WatermarkStrategy where Generator.Element == Element {
        WatermarkStrategy {
            let state = TransactionalValue(generator())
            return Instance(observe: { batch, _, now in
                var generator = state.value
                for index in batch.elements.indices {
                    generator.observe(batch.elements[index], at: batch.times[index])
                }
                let watermark = generator.watermark(now: now)
                state.value = generator
                return watermark
            }) { $0.register(state) }
        }
    }

    /// Declares the stream idle after this much processing time without an event (by default 30
    /// seconds).
    ///
    /// An idle stream does not hold back the event time of streams that it is merged or joined
    /// with.
    ///
    /// - Parameters:
    ///   - quiet: The time without an event.
    ///   - advancing: Whether the watermark goes on with processing time while the stream is idle,
    ///     in steps of a second or of `quiet` if that is less, so that the last windows of a quiet
    ///     stream fire. Events that come later but carry earlier times are then late.
    public func idle(after quiet: Duration, advancing: Bool = false) -> WatermarkStrategy {
        var strategy = self
        strategy.idleness = Idleness(quiet: quiet, advances: advancing)
        if quiet <= .zero {
            strategy.problem =
                "idle(after:) takes a positive duration; for no idle detection use .neverIdle"
        }
        return strategy
    }

    /// Never declares the stream idle: without events its time stands still, and that of what it is
    /// merged with.
    public var neverIdle: WatermarkStrategy {
        var strategy = self
        strategy.idleness = Idleness(quiet: nil, advances: false)
        return strategy
    }

    /// Refuses events whose time is further ahead of processing time than this; they go to the dead
    /// letters.
    ///
    /// One event with a time in the far future would make all that follow it late. By default none
    /// is refused, since recorded events that are replayed may have any time.
    public func maximumAhead(_ limit: Duration) -> WatermarkStrategy {
        var strategy = self
        strategy.aheadMaximum = limit
        if limit < .zero {
            strategy.problem = "maximumAhead takes a duration of zero or more; it got \(limit)"
        }
        return strategy
    }
}

/// When a stream counts as idle.
@usableFromInline
struct Idleness: Sendable, Equatable {
    /// The processing time without an event; nil for never.
    @usableFromInline var quiet: Duration? = .seconds(30)
    @usableFromInline var advances = false

    @usableFromInline
    init() {}

    init(quiet: Duration?, advances: Bool) {
        self.quiet = quiet
        self.advances = advances
    }
}
