extension EventStream {
    /// Emits the last event of a burst, once it has been quiet for a while.
    ///
    /// The events before it count as dropped with the reason `debounced`. Watermarks wait for the event that waits.
    ///
    /// - Parameter quiet: How long no other event must come, in processing time, above zero.
    ///
    /// **Emits when** no event has come for `quiet`, and at the end the one that waits.
    /// **Suspends upstream when** the next stage is full. **Finishes when** the input ends.
    /// **Cancels when** nobody takes its events any more.
    /// **On restart** the event that waits is that of the last completed batch.
    public func debounce(
        _ quiet: Duration, file: StaticString = #fileID, line: UInt = #line
    ) -> EventStream<Element> {
        latest("debounce", .debounced, every: quiet, at: SourceLocation(file, line)) { now, _ in
            now.advanced(by: quiet)
        }
    }

    /// Emits the newest event at regular intervals, when there is a new one.
    ///
    /// The events between count as dropped with the reason `sampled`. Watermarks wait for the event that waits.
    ///
    /// - Parameter interval: The time between two samples, in processing time, above zero.
    ///
    /// **Emits when** an interval is over in which an event came, and at the end the one that waits.
    /// **Suspends upstream when** the next stage is full. **Finishes when** the input ends.
    /// **Cancels when** nobody takes its events any more.
    /// **On restart** the event that waits is that of the last completed batch.
    public func sample(
        every interval: Duration, file: StaticString = #fileID, line: UInt = #line
    ) -> EventStream<Element> {
        latest("sample", .sampled, every: interval, at: SourceLocation(file, line)) {
            now, current in
            current ?? Schedule.nextMultiple(of: interval, after: now)
        }
    }

    /// Keeps the newest event until a deadline that each new event may move.
    private func latest(
        _ kind: String, _ reason: DropReason, every duration: Duration, at location: SourceLocation,
        deadline: @escaping @Sendable (_ now: EventTime, _ current: EventTime?) -> EventTime
    ) -> EventStream<Element> {
        let problem =
            duration > .zero ? nil : "\(kind) needs a duration above zero, not \(duration)"
        return transform(kind, traits: NodeTraits(problem: problem), at: location) {
            scope, downstream in
            LatestHolder(scope, downstream, reason, deadline: deadline).receiver
        }
    }
}

/// Points of time that don't drift.
package enum Schedule {
    /// The first multiple of `interval` since 1970 that is later than `now`.
    package static func nextMultiple(of interval: Duration, after now: EventTime) -> EventTime {
        let step = max(1, interval.nanosecondsClamped)
        let quotient = now.nanoseconds / step - (now.nanoseconds % step < 0 ? 1 : 0)
        let (next, overflow) = (quotient + 1).multipliedReportingOverflow(by: step)
        return overflow ? .max : EventTime(nanoseconds: next)
    }
}

/// Holds the newest event until its deadline.
final class LatestHolder<Element: Sendable> {
    fileprivate struct State {
        var pending: TimedEvent<Element>?
        var signals = HeldSignals()
        var deadline: EventTime?
    }

    private unowned let scope: StageScope
    private let output: DeferredOutput<Element>
    private let state = TransactionalValue(State())
    private let tally: BatchTally
    private let nextDeadline: (EventTime, EventTime?) -> EventTime
    private var timer: DeadlineTimer?

    init(
        _ scope: StageScope, _ downstream: Receiver<Element>, _ reason: DropReason,
        deadline: @escaping (EventTime, EventTime?) -> EventTime
    ) {
        self.scope = scope
        nextDeadline = deadline
        output = DeferredOutput(scope, downstream)
        tally = BatchTally(scope, reason)
        scope.register(state, holding: Element.self) { [unowned self] in timer?.restored() }
        timer = DeadlineTimer(
            scope, deadline: { [state] in state.value.deadline },
            action: { [unowned self] _ in release() })
    }

    var receiver: Receiver<Element> {
        Receiver(
            batch: { [self] batch in
                guard let last = batch.elements.last else { return }
                tally.drop(batch.count - (state.value.pending == nil ? 1 : 0))
                state.value.pending = TimedEvent(
                    event: last, time: batch.time(at: batch.count - 1))
                state.value.signals.receivedEvent()
                state.value.deadline = nextDeadline(scope.now, state.value.deadline)
            },
            signal: { [self] signal in
                if state.value.pending == nil { return try output.send(signal) }
                guard case .end = signal else { return state.value.signals.hold(signal) }
                release()
                output.defer(signal)
            })
    }

    private func release() {
        state.value.deadline = nil
        guard let pending = state.value.pending else { return }
        state.value.pending = nil
        var batch = Batch<Element>()
        batch.append(pending.event, at: pending.time)
        output.defer(batch)
        for signal in state.value.signals.release() { output.defer(signal) }
    }
}

extension LatestHolder.State: Codable where Element: Codable {}
