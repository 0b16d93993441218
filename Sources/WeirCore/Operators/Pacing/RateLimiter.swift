import DequeModule

/// Lets events through while there are tokens, keeps a few of the newest for the next tokens and drops the others.
final class RateLimiter<Element: Sendable> {
    fileprivate struct State {
        var bucket: TokenBucket
        var waiting = Deque<TimedEvent<Element>>()
        var signals = HeldSignals()
        var deadline: EventTime?
    }

    private unowned let scope: StageScope
    private let output: DeferredOutput<Element>
    private let state: TransactionalValue<State>
    private let tally: BatchTally
    private let waitingLimit: Int
    private var timer: DeadlineTimer?

    init(
        _ scope: StageScope, _ downstream: Receiver<Element>, _ bucket: TokenBucket,
        waitingLimit: Int
    ) {
        self.scope = scope
        self.waitingLimit = waitingLimit
        output = DeferredOutput(scope, downstream)
        state = TransactionalValue(State(bucket: bucket))
        tally = BatchTally(scope, .throttled)
        scope.registerTransient(state)
        scope.keep(value: { [state] in state.value }, holding: Element.self) { [unowned self] in
            restore($0)
        }
        timer = DeadlineTimer(
            scope, deadline: { [state] in state.value.deadline },
            action: { [unowned self] now in release(at: now) })
    }

    var receiver: Receiver<Element> {
        Receiver(
            batch: { [self] batch in try receive(batch) },
            signal: { [self] signal in try receive(signal) })
    }

    private func restore(_ kept: State) {
        var kept = kept
        kept.bucket.takeLimits(of: state.value.bucket)
        state.value = kept
        timer?.restored()
    }

    private func receive(_ batch: Batch<Element>) throws {
        state.value.signals.receivedEvent()
        var passed = 0
        if state.value.waiting.isEmpty {
            passed = state.value.bucket.take(batch.count, at: scope.now)
        }
        let kept = min(waitingLimit, batch.count - passed)
        let surplus = max(0, state.value.waiting.count + kept - waitingLimit)
        state.value.waiting.removeFirst(surplus)
        for index in (batch.count - kept)..<batch.count {
            state.value.waiting.append(
                TimedEvent(event: batch.elements[index], time: batch.time(at: index)))
        }
        tally.drop(batch.count - passed - kept + surplus)
        setDeadline()
        if passed > 0 { try output.send(batch.slice(0..<passed)) }
    }

    private func receive(_ signal: Signal) throws {
        if state.value.waiting.isEmpty { return try output.send(signal) }
        guard case .end = signal else { return state.value.signals.hold(signal) }
        flush(upTo: state.value.waiting.count)
        output.defer(signal)
    }

    private func release(at now: EventTime) {
        let count = state.value.bucket.take(state.value.waiting.count, at: now)
        flush(upTo: count)
    }

    private func flush(upTo count: Int) {
        var batch = Batch<Element>()
        for _ in 0..<count {
            guard let first = state.value.waiting.popFirst() else { break }
            batch.append(first.event, at: first.time)
        }
        output.defer(batch)
        if state.value.waiting.isEmpty {
            for signal in state.value.signals.release() { output.defer(signal) }
        }
        setDeadline()
    }

    private func setDeadline() {
        state.value.deadline =
            state.value.waiting.isEmpty ? nil : state.value.bucket.nextToken(after: scope.now)
    }
}

extension RateLimiter.State: Codable where Element: Codable {}
