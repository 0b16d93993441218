import DequeModule

/// Delays events until their tokens are there, and takes no more meanwhile.
final class Shaper<Element: Sendable>: AsyncWork {
    fileprivate enum Item {
        case event(Element, EventTime)
        case signal(Signal)
    }

    fileprivate struct State {
        var bucket: TokenBucket
        var waiting: Deque<Item>
    }

    private unowned let scope: StageScope
    private let output: DeferredOutput<Element>
    private let timer: StageTimer
    private let bucket: TransactionalValue<TokenBucket>
    private let waiting = TransactionalQueue<Item>()

    init(_ scope: StageScope, _ downstream: Receiver<Element>, _ bucket: TokenBucket) {
        self.scope = scope
        self.bucket = TransactionalValue(bucket)
        output = DeferredOutput(scope, downstream)
        timer = scope.makeTimer { _ in }
        scope.registerTransient(self.bucket)
        scope.registerTransient(waiting)
        scope.keep(
            value: { [unowned self] in
                State(bucket: self.bucket.value, waiting: Deque(waiting.contents))
            },
            holding: Element.self
        ) { [unowned self] in
            restore($0)
        }
    }

    var receiver: Receiver<Element> {
        Receiver(
            batch: { [self] batch in
                var passed = 0
                if waiting.isEmpty {
                    passed = bucket.value.take(batch.count, at: scope.now)
                    if passed > 0 { output.defer(batch.slice(0..<passed)) }
                }
                if passed == batch.count { return }
                for index in passed..<batch.count {
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
    var isReadyForCheckpoint: Bool { true }
    var isSaturated: Bool { !waiting.isEmpty }

    func collect() {
        release()
    }

    func stop() async {
        waiting.removeAll()
        timer.set(nil)
    }

    private func restore(_ kept: State) {
        let limits = bucket.value
        bucket.value = kept.bucket
        bucket.value.takeLimits(of: limits)
        waiting.removeAll()
        waiting.append(contentsOf: kept.waiting)
        waiting.commitBatch()
        // The stage looks after what waits when the time has come, at the latest now.
        if !waiting.isEmpty { timer.set(scope.now) }
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
                guard bucket.value.take(1, at: scope.now) == 1 else {
                    if !batch.isEmpty { output.defer(batch) }
                    timer.set(bucket.value.nextToken(after: scope.now))
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

extension Shaper.State: Codable where Element: Codable {}

extension Shaper.Item: Codable where Element: Codable {
    private enum CodingKeys: String, CodingKey { case event, time, watermark, isIdle }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        if container.contains(.event) {
            self = .event(
                try container.decode(Element.self, forKey: .event),
                EventTime(nanoseconds: try container.decode(Int64.self, forKey: .time)))
        } else if let time = try container.decodeIfPresent(Int64.self, forKey: .watermark) {
            self = .signal(.watermark(EventTime(nanoseconds: time)))
        } else {
            self = .signal(try container.decode(Bool.self, forKey: .isIdle) ? .idle : .end)
        }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        switch self {
        case .event(let event, let time):
            try container.encode(event, forKey: .event)
            try container.encode(time.nanoseconds, forKey: .time)
        case .signal(.watermark(let time)):
            try container.encode(time.nanoseconds, forKey: .watermark)
        case .signal(.idle): try container.encode(true, forKey: .isIdle)
        case .signal(.end): try container.encode(false, forKey: .isIdle)
        }
    }
}
