import DequeModule

/// Counts restarts within a sliding period.
package struct RestartIntensity: Sendable {
    private var times = Deque<EventTime>()
    package let limit: Int
    package let period: Duration

    package init(limit: Int, period: Duration) {
        self.limit = limit
        self.period = period
    }

    /// Restarts within the period that ends now.
    package var count: Int { times.count }

    /// Records a restart.
    ///
    /// Returns false when that is one too many.
    package mutating func record(at now: EventTime) -> Bool {
        let start = now.advanced(by: .zero - period)
        while let first = times.first, first <= start { times.removeFirst() }
        times.append(now)
        return times.count <= limit
    }

    /// Gives back the newest restarts, when it turned out that an event was to blame.
    package mutating func refund(_ count: Int) {
        times.removeLast(min(count, times.count))
    }
}
