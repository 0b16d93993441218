/// Lets events through while there are tokens, keeps a few of the newest for the next tokens and drops the others.
final class RateLimiter<Element: Sendable> {
    fileprivate struct State {
        var waiting: [TimedEvent<Element>]
        var pace: RateLimiterPace
    }

    private unowned let scope: StageScope
    private let output: DeferredOutput<Element>
    private let waiting = TransactionalQueue<TimedEvent<Element>>()
    private let pace: TransactionalValue<RateLimiterPace>
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
        pace = TransactionalValue(RateLimiterPace(bucket: bucket))
        tally = BatchTally(scope, .throttled)
        scope.registerTransient(waiting)
        scope.registerTransient(pace)
        scope.keep(
            value: { [waiting, pace] in
                State(waiting: Array(waiting.contents), pace: pace.value)
            }, holding: Element.self
        ) { [unowned self] in restore($0) }
        timer = DeadlineTimer(
            scope, deadline: { [pace] in pace.value.deadline },
            action: { [unowned self] now in release(at: now) })
    }

    var receiver: Receiver<Element> {
        Receiver(
            batch: { [self] batch in try receive(batch) },
            signal: { [self] signal in try receive(signal) })
    }

    private func restore(_ kept: State) {
        let limits = pace.value.bucket
        pace.value = kept.pace
        pace.value.bucket.takeLimits(of: limits)
        waiting.removeAll()
        waiting.append(contentsOf: kept.waiting)
        timer?.restored()
    }

    private func receive(_ batch: Batch<Element>) throws {
        pace.value.signals.receivedEvent()
        var passed = 0
        if waiting.isEmpty {
            passed = pace.value.bucket.take(batch.count, at: scope.now)
        }
        let kept = min(waitingLimit, batch.count - passed)
        let surplus = max(0, waiting.count + kept - waitingLimit)
        waiting.removeFirst(surplus)
        for index in (batch.count - kept)..<batch.count {
            waiting.append(
                TimedEvent(event: batch.elements[index], time: batch.time(at: index)))
        }
        tally.drop(batch.count - passed - kept + surplus)
        setDeadline()
        if passed > 0 { try output.send(batch.slice(0..<passed)) }
    }

    private func receive(_ signal: Signal) throws {
        if waiting.isEmpty { return try output.send(signal) }
        guard case .end = signal else { return pace.value.signals.hold(signal) }
        flush(upTo: waiting.count)
        output.defer(signal)
    }

    private func release(at now: EventTime) {
        let count = pace.value.bucket.take(waiting.count, at: now)
        flush(upTo: count)
    }

    private func flush(upTo count: Int) {
        var batch = Batch<Element>()
        for _ in 0..<count {
            guard let first = waiting.popFirst() else { break }
            batch.append(first.event, at: first.time)
        }
        output.defer(batch)
        if waiting.isEmpty {
            for signal in pace.value.signals.release() { output.defer(signal) }
        }
        setDeadline()
    }

    private func setDeadline() {
        pace.value.deadline =
            waiting.isEmpty ? nil : pace.value.bucket.nextToken(after: scope.now)
    }
}

/// What belongs to the waiting events besides themselves.
private struct RateLimiterPace: Sendable, Codable {
    var bucket: TokenBucket
    var signals = HeldSignals()
    var deadline: EventTime?
}

extension RateLimiter.State: Codable where Element: Codable {}
