/// The events of each key in windows: apply a reduction or an aggregate to it.
///
/// An event whose windows are all over, allowed lateness included, goes to ``late``; it is counted
/// as late whether or not anybody takes that stream.
public struct WindowedStream<Key: Hashable & Codable & Sendable, Element: Sendable>: Sendable {
    @usableFromInline let keyed: KeyedStream<Key, Element>
    @usableFromInline let window: Window
    @usableFromInline let allowedLateness: Duration
    @usableFromInline let trigger: WindowTrigger
    @usableFromInline let lateTap: TapID

    @usableFromInline
    init(
        keyed: KeyedStream<Key, Element>, window: Window, allowedLateness: Duration,
        trigger: WindowTrigger
    ) {
        self.keyed = keyed
        self.window = window
        self.allowedLateness = allowedLateness
        self.trigger = window.globalTrigger ?? trigger
        lateTap = TapID(
            "window", remedy: "apply an aggregate to it whose result goes to a sink")
    }

    /// The events that came too late for all of their windows, with their times.
    ///
    /// **Emits when** an event is late. **Suspends upstream when** the next stage is full.
    /// **Finishes when** the input ends. **Cancels when** nobody takes its events any more.
    public var late: EventStream<Element> { EventStream(node: .tap(lateTap, "late")) }

    /// What is wrong with the arguments, for `validate()`.
    @usableFromInline
    func problem(combines: Bool) -> String? {
        if let problem = window.problem ?? trigger.problem { return problem }
        if allowedLateness < .zero {
            return "allowedLateness must not be negative; it is \(allowedLateness)"
        }
        let isTriggered = trigger.isEarly
        switch window.kind {
        case .session where !combines:
            return """
                session windows merge: give reduce(into:_:) a combine: closure that merges two \
                values, or use an aggregate
                """
        case .count(let size, let slide) where size != slide && !combines:
            return """
                sliding count windows share panes: give reduce(into:_:) a combine: closure that \
                merges two values, or use an aggregate
                """
        case .count where isTriggered:
            return "count windows take no trigger: they give a result at every slide"
        default: return nil
        }
    }
}

extension KeyedStream {
    /// Puts the events of each key into windows.
    ///
    /// - Parameters:
    ///   - window: How the windows are cut.
    ///   - allowedLateness: How much longer than the watermark says a window in event time takes
    ///     events; each of them gives the window's result anew. After it the window is forgotten.
    ///     Default zero.
    ///   - trigger: When a window gives results before its end. Default: never.
    public func window(
        _ window: Window, allowedLateness: Duration = .zero, trigger: WindowTrigger = .atEnd
    ) -> WindowedStream<Key, Element> {
        WindowedStream(
            keyed: self, window: window, allowedLateness: allowedLateness, trigger: trigger)
    }
}
