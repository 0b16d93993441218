/// What an operator that assigns event times keeps: its watermark, its idle timer, and events
/// refused for their times.
@usableFromInline
final class EventTimeCore<Element: Sendable>: TransactionParticipant {
    private unowned let scope: StageScope
    private let downstream: Receiver<Element>
    private let aheadMaximum: Duration?
    private var tracker: WatermarkTracker
    private var saved: WatermarkTracker?
    private var refused: [(event: Element, reason: String)] = []
    private var timer: StageTimer?

    @usableFromInline
    init(
        scope: StageScope, downstream: Receiver<Element>, idleness: Idleness,
        aheadMaximum: Duration? = nil
    ) {
        self.scope = scope
        self.downstream = downstream
        self.aheadMaximum = aheadMaximum
        tracker = WatermarkTracker(idleness)
        scope.register(self)
        scope.keep(
            CheckpointedValue(
                get: { [unowned self] in tracker.kept },
                set: { [unowned self] kept in restore(kept) }))
        timer = scope.makeTimer { [unowned self] now in try timePassed(now: now) }
        tracker.start(now: scope.now)
        timer?.set(tracker.nextCheck(now: scope.now))
    }

    private func restore(_ kept: WatermarkTracker.Kept) {
        tracker.restore(kept, now: scope.now)
        // Before the first event, the watermark is told once more.
        timer?.set(scope.now)
    }

    @usableFromInline var now: EventTime { scope.now }

    /// Whether an event time this late is refused.
    @usableFromInline
    func isTooFarAhead(_ time: EventTime) -> Bool {
        guard let aheadMaximum else { return false }
        return time > scope.now.advanced(by: aheadMaximum)
    }

    /// The events of a batch whose times are not too far ahead; the others go to the dead letters.
    @usableFromInline
    func withoutTooFarAhead(_ batch: Batch<Element>) -> Batch<Element> {
        var kept = Batch<Element>()
        for index in batch.elements.indices {
            if isTooFarAhead(batch.times[index]) {
                let ahead = scope.now.duration(to: batch.times[index])
                refused.append(
                    (batch.elements[index], "its event time is \(ahead) ahead of processing time"))
            } else {
                kept.append(batch.elements[index], at: batch.times[index])
            }
        }
        return kept
    }

    /// Passes a batch with its times on, and behind it the watermark if that has advanced.
    @usableFromInline
    func forward(_ batch: consuming Batch<Element>, candidate: EventTime?) throws {
        let advanced = tracker.received(candidate, now: scope.now)
        if let timer, timer.deadline == nil { watch(with: timer) }
        if let first = batch.times.first { scope.timeOfEvent = first }
        try downstream.batch(batch)
        if let advanced { try downstream.signal(.watermark(advanced)) }
    }

    /// Event time begins here, so an earlier one ends here, except for its end.
    @usableFromInline
    func receive(_ signal: Signal) throws {
        switch signal {
        case .watermark(let time): if time == .max { try downstream.signal(signal) }
        case .idle: try downstream.signal(signal)
        case .end:
            timer?.set(nil)
            try downstream.signal(signal)
        }
    }

    /// Begins to look at the clock again.
    private func watch(with timer: StageTimer) {
        tracker.note(scope.held, now: scope.now)
        timer.set(tracker.nextCheck(now: scope.now))
    }

    private func timePassed(now: EventTime) throws {
        // Events that wait, or that something above the stage keeps away, make no quiet time.
        tracker.note(scope.held, now: now)
        if !scope.isQuiet {
            tracker.restart(now: now)
            timer?.set(tracker.nextCheck(now: now))
            return
        }
        let (watermark, becomesIdle) = tracker.timePassed(now: now)
        timer?.set(tracker.nextCheck(now: now))
        if let watermark { try downstream.signal(.watermark(watermark)) }
        if becomesIdle { try downstream.signal(.idle) }
    }

    @usableFromInline
    func beginBatch() {
        saved = tracker
    }

    @usableFromInline
    func commitBatch() {
        saved = nil
        if refused.isEmpty { return }
        for (event, reason) in refused { scope.deadLetter(event, reason: reason) }
        refused.removeAll()
    }

    @usableFromInline
    func rollbackBatch() {
        if let saved { tracker = saved }
        saved = nil
        refused.removeAll()
    }
}
