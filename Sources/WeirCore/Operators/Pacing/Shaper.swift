import DequeModule

/// Delays events until their tokens are there, and takes no more meanwhile.
final class Shaper<Element: Sendable>: AsyncWork {
    private enum Item {
        case event(Element, EventTime)
        case signal(Signal)
    }

    private unowned let scope: StageScope
    private let output: DeferredOutput<Element>
    private let timer: StageTimer
    private var bucket: TokenBucket
    // The head of a stage: what it takes in cannot fail, so that this needs no undoing.
    private var waiting = Deque<Item>()

    init(_ scope: StageScope, _ downstream: Receiver<Element>, _ bucket: TokenBucket) {
        self.scope = scope
        self.bucket = bucket
        output = DeferredOutput(scope, downstream)
        timer = scope.makeTimer { _ in }
    }

    var receiver: Receiver<Element> {
        Receiver(
            batch: { [self] batch in
                for index in batch.elements.indices {
                    waiting.append(.event(batch.elements[index], batch.time(at: index)))
                }
                release()
            },
            signal: { [self] signal in
                if waiting.isEmpty { return try output.send(signal) }
                waiting.append(.signal(signal))
            })
    }

    var isIdle: Bool { waiting.isEmpty }
    var isSaturated: Bool { !waiting.isEmpty }

    func collect() {
        release()
    }

    func stop() async {
        waiting.removeAll()
        timer.set(nil)
    }

    private func release() {
        var batch = Batch<Element>()
        while let first = waiting.first {
            switch first {
            case .signal(let signal):
                if !batch.isEmpty { output.defer(batch) }
                batch.removeAll()
                output.defer(signal)
            case .event(let event, let time):
                guard bucket.take(1, at: scope.now) == 1 else {
                    if !batch.isEmpty { output.defer(batch) }
                    timer.set(bucket.nextToken(after: scope.now))
                    return
                }
                batch.append(event, at: time)
            }
            waiting.removeFirst()
        }
        if !batch.isEmpty { output.defer(batch) }
        timer.set(nil)
    }
}
