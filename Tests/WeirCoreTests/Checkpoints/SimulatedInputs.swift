import Synchronization
import WeirCore
import WeirTesting

extension SimulatedWorld {
    /// A stream of events that can be read again and comes by portions, each long after the one before.
    ///
    /// All stages have come to rest when the next portion comes, and no checkpoint is between the
    /// events of one. So what depends on the order of several inputs, on watermarks or on processing
    /// time is the same in every run.
    ///
    /// - Parameter pace: A portion comes 15 hundredths of it behind a multiple of it.
    func paced<Element: Sendable>(
        _ name: String, _ events: [Element], by portion: Int = 1, every pace: Duration = .hours(10)
    ) -> EventStream<Element> {
        let events = self.events(name, events)
        let length = pace.nanosecondsClamped
        return EventStream(
            name,
            from: Source("paced") { inlet in
                var next = Int(inlet.position?.offset ?? 0)
                while next < events.count {
                    let past = inlet.context.now.nanoseconds % length
                    try await inlet.context.sleep(
                        for: .nanoseconds(length - past + length / 100 * 15))
                    let end = min(events.count, next + portion)
                    try await inlet.send(
                        Batch(ContiguousArray(events[next..<end])),
                        position: SourcePosition(offset: Int64(end)))
                    next = end
                }
            })
    }
}

/// How much the sinks of a simulation's runs have got at the most, so that no test passes because
/// nothing happens.
final class SimulatedCounts: Sendable {
    private let most = Mutex<[String: Int]>([:])

    subscript(sink: String) -> Int { most.withLock { $0[sink] ?? 0 } }

    func note<Element: Sendable>(
        _ outcome: SimulationOutcome, _ sink: String, of type: Element.Type
    ) {
        let count = outcome.events(sink, as: type).count
        most.withLock { $0[sink] = max($0[sink] ?? 0, count) }
    }
}

extension EventStream {
    /// The same events behind code that may throw, so that a simulation has the stage's
    /// transactions fail.
    func fallible() -> EventStream {
        map { event throws in try same(event) }
    }
}

private func same<Element>(_ element: Element) throws -> Element { element }

extension EventStream<Reading> {
    /// Event time exactly as the watermarks among the events say, when each is a batch of its own.
    func scripted() -> EventStream<Reading> {
        eventTime(\.at, WatermarkStrategy.punctuated { $0.watermark }.neverIdle)
            .filter { $0.watermark == nil }
    }
}
