extension EventStream {
    /// Gathers events into arrays of a fixed size; the last one may be shorter.
    ///
    /// With `within` an array is also emitted when its first event has waited that long. A chunk's event time is the
    /// latest of its events; watermarks wait while a chunk is open, so without `within` a slow stream holds event time
    /// back.
    ///
    /// - Parameters:
    ///   - count: How many events make a chunk, 1 to 1,000,000.
    ///   - within: The longest wait for a chunk to fill, in processing time; nil for as long as it takes.
    ///
    /// **Emits when** a chunk is full, when its time is over, and at the end the open one.
    /// **Suspends upstream when** the next stage is full. **Finishes when** the input ends.
    /// **Cancels when** nobody takes its events any more.
    /// **On restart** the open chunk is as of the last completed batch.
    public func chunked(
        count: Int, within: Duration? = nil, file: StaticString = #fileID, line: UInt = #line
    ) -> EventStream<[Element]> {
        var problem: String?
        if !(1...1_000_000).contains(count) {
            problem = "chunked takes a count of 1 to 1000000, not \(count)"
        }
        if let within, within <= .zero {
            problem = "chunked(within:) needs a duration above zero, not \(within)"
        }
        return transform(
            "chunked", traits: NodeTraits(problem: problem), at: SourceLocation(file, line)
        ) { scope, downstream in
            Chunker(scope, downstream, count: max(1, count), within: within).receiver
        }
    }
}

/// Fills chunks.
final class Chunker<Element: Sendable> {
    fileprivate struct State {
        var open: [Element] = []
        var time = EventTime.min
        var signals = HeldSignals()
        var deadline: EventTime?
    }

    private unowned let scope: StageScope
    private let output: DeferredOutput<[Element]>
    private let state = TransactionalValue(State())
    private let count: Int
    private let within: Duration?
    private var timer: DeadlineTimer?

    init(
        _ scope: StageScope, _ downstream: Receiver<[Element]>, count: Int, within: Duration?
    ) {
        self.scope = scope
        self.count = count
        self.within = within
        output = DeferredOutput(scope, downstream)
        scope.register(state, holding: Element.self) { [unowned self] in timer?.restored() }
        timer = DeadlineTimer(
            scope, deadline: { [state] in state.value.deadline },
            action: { [unowned self] _ in closeOpen() })
    }

    var receiver: Receiver<Element> {
        Receiver(
            batch: { [self] batch in
                var chunks = Batch<[Element]>()
                fill(&state.value, from: batch, into: &chunks)
                if !chunks.isEmpty {
                    try output.send(chunks)
                    if state.value.open.isEmpty {
                        for signal in state.value.signals.release() { try output.send(signal) }
                    }
                }
            },
            signal: { [self] signal in
                if state.value.open.isEmpty { return try output.send(signal) }
                guard case .end = signal else { return state.value.signals.hold(signal) }
                closeOpen()
                output.defer(signal)
            })
    }

    private func fill(
        _ state: inout State, from batch: Batch<Element>, into chunks: inout Batch<[Element]>
    ) {
        state.signals.receivedEvent()
        var start = 0
        while start < batch.count {
            if state.open.isEmpty {
                state.deadline = within.map { scope.now.advanced(by: $0) }
                state.time = .min
            }
            // A chunk from a checkpoint may hold more than the count that the code says now.
            let end = min(batch.count, start + max(0, count - state.open.count))
            state.open.append(contentsOf: batch.elements[start..<end])
            if batch.hasTimes {
                for index in start..<end { state.time = max(state.time, batch.times[index]) }
            }
            start = end
            if state.open.count >= count {
                chunks.append(state.open, at: state.time)
                state.open = []
                state.deadline = nil
            }
        }
    }

    private func closeOpen() {
        state.value.deadline = nil
        if state.value.open.isEmpty { return }
        var batch = Batch<[Element]>()
        batch.append(state.value.open, at: state.value.time)
        state.value.open = []
        output.defer(batch)
        for signal in state.value.signals.release() { output.defer(signal) }
    }
}

extension Chunker.State: Codable where Element: Codable {}
