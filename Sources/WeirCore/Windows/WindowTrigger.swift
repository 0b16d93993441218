/// When a window gives results besides the one at its end.
public struct WindowTrigger: Sendable, Hashable {
    /// What a window keeps after it has given an early result.
    public enum Accumulation: Sendable, Hashable {
        /// Each result covers all events of the window so far.
        case accumulating
        /// Each result covers the events since the one before.
        case discarding
    }

    @usableFromInline var count: Int?
    @usableFromInline var interval: Duration?
    @usableFromInline var accumulation = Accumulation.accumulating
    let problem: String?

    /// At the end of the window only.
    public static let atEnd = WindowTrigger(problem: nil)

    /// Also after every `count` events of a key's window.
    public static func every(
        _ count: Int, _ accumulation: Accumulation = .accumulating
    ) -> WindowTrigger {
        var trigger = WindowTrigger(
            problem: count > 0 ? nil : "every(_:) takes a positive number; it got \(count)")
        trigger.count = count
        trigger.accumulation = accumulation
        return trigger
    }

    /// Also after each interval of processing time, for the windows that have new events.
    public static func every(
        _ interval: Duration, _ accumulation: Accumulation = .accumulating
    ) -> WindowTrigger {
        var trigger = WindowTrigger(
            problem: interval > .zero
                ? nil : "every(_:) takes a positive interval; it got \(interval)")
        trigger.interval = interval
        trigger.accumulation = accumulation
        return trigger
    }

    private init(problem: String?) {
        self.problem = problem
    }

    @usableFromInline var isEarly: Bool { count != nil || interval != nil }
}
