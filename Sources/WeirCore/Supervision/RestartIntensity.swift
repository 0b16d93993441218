import DequeModule

/// An event whose handling has failed: whether the stage or the event is to blame shows at its end.
package struct RestartTrial: Sendable, Hashable {
    package let child: ObjectIdentifier
    package let number: Int

    package init(child: ObjectIdentifier, number: Int) {
        self.child = child
        self.number = number
    }
}

/// Counts restarts within a sliding period.
///
/// A restart that belongs to a trial counts for that trial alone until the trial is settled, so that poison events in
/// several stages at the same time don't add up; when the event is to blame it is forgotten.
package struct RestartIntensity: Sendable {
    private var restarts = Deque<(time: EventTime, trial: RestartTrial?)>()
    package let limit: Int
    package let period: Duration

    package init(limit: Int, period: Duration) {
        self.limit = limit
        self.period = period
    }

    /// Restarts within the period that ended with the last one recorded, as far as they count for a trial.
    package func count(for trial: RestartTrial? = nil) -> Int {
        restarts.reduce(0) { $0 + ($1.trial == nil || $1.trial == trial ? 1 : 0) }
    }

    /// Records a restart.
    ///
    /// Returns false when that is one too many.
    package mutating func record(at now: EventTime, trial: RestartTrial? = nil) -> Bool {
        let start = now.advanced(by: .zero - period)
        while let first = restarts.first, first.time <= start { restarts.removeFirst() }
        restarts.append((now, trial))
        return count(for: trial) <= limit
    }

    /// Forgets the restarts of a trial: an event was to blame.
    package mutating func refund(_ trial: RestartTrial) {
        restarts.removeAll { $0.trial == trial }
    }

    /// Counts the restarts of a trial for good: the event has got through.
    package mutating func settle(_ trial: RestartTrial) {
        for index in restarts.indices where restarts[index].trial == trial {
            restarts[index].trial = nil
        }
    }
}
