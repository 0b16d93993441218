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
    @inlinable
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
@usableFromInline
final class Chunker<Element: Sendable> {
    fileprivate struct State {
        var open: [Element]
        var progress: ChunkProgress
    }

    @usableFromInline unowned let scope: StageScope
    @usableFromInline let output: DeferredOutput<[Element]>
    @usableFromInline let open = OpenChunk<Element>()
    @usableFromInline let progress = TransactionalValue(ChunkProgress())
    @usableFromInline let count: Int
    @usableFromInline let within: Duration?
    private var timer: DeadlineTimer?

    @usableFromInline
    init(
        _ scope: StageScope, _ downstream: Receiver<[Element]>, count: Int, within: Duration?
    ) {
        self.scope = scope
        self.count = count
        self.within = within
        output = DeferredOutput(scope, downstream)
        scope.registerTransient(open)
        scope.registerTransient(progress)
        scope.keep(
            value: { [open, progress] in
                State(open: open.events, progress: progress.value)
            }, holding: Element.self
        ) { [unowned self] in restore($0) }
        timer = DeadlineTimer(
            scope, deadline: { [progress] in progress.value.deadline },
            action: { [unowned self] _ in closeOpen() })
    }

    @inlinable var receiver: Receiver<Element> {
        Receiver(
            batch: { [self] batch in
                var chunks = Batch<[Element]>()
                fill(&progress.value, from: batch, into: &chunks)
                if !chunks.isEmpty {
                    try output.send(chunks)
                    if open.isEmpty {
                        for signal in progress.value.signals.release() { try output.send(signal) }
                    }
                }
            },
            signal: { [self] signal in
                if open.isEmpty { return try output.send(signal) }
                guard case .end = signal else { return progress.value.signals.hold(signal) }
                closeOpen()
                output.defer(signal)
            })
    }

    private func restore(_ kept: State) {
        open.restore(kept.open)
        progress.value = kept.progress
        timer?.restored()
    }

    @inlinable
    func fill(
        _ progress: inout ChunkProgress, from batch: Batch<Element>,
        into chunks: inout Batch<[Element]>
    ) {
        progress.signals.receivedEvent()
        var start = 0
        while start < batch.count {
            if open.isEmpty {
                progress.deadline = within.map { scope.now.advanced(by: $0) }
                progress.time = .min
            }
            // A chunk from a checkpoint may hold more than the count that the code says now.
            let end = min(batch.count, start + max(0, count - open.count))
            open.append(contentsOf: batch.elements[start..<end])
            if batch.hasTimes {
                for index in start..<end { progress.time = max(progress.time, batch.times[index]) }
            }
            start = end
            if open.count >= count {
                chunks.append(open.take(), at: progress.time)
                progress.deadline = nil
            }
        }
    }

    @usableFromInline
    func closeOpen() {
        progress.value.deadline = nil
        if open.isEmpty { return }
        var batch = Batch<[Element]>()
        batch.append(open.take(), at: progress.value.time)
        output.defer(batch)
        for signal in progress.value.signals.release() { output.defer(signal) }
    }
}

/// The events of the open chunk, at a cost that depends on what a batch adds and not on what is there.
@usableFromInline
final class OpenChunk<Element: Sendable>: TransactionParticipant {
    @usableFromInline var events: [Element] = []
    /// How many there were when the running transaction began.
    private var before = 0
    /// The chunk that was open then, when the transaction has taken it.
    @usableFromInline var taken: [Element]?

    init() {}

    @inlinable var count: Int { events.count }
    @inlinable var isEmpty: Bool { events.isEmpty }

    @inlinable
    func append(contentsOf new: ContiguousArray<Element>.SubSequence) {
        events.append(contentsOf: new)
    }

    /// Closes the chunk.
    @inlinable
    func take() -> [Element] {
        if taken == nil { taken = events }
        defer { events = [] }
        return events
    }

    func restore(_ kept: [Element]) {
        events = kept
        commitBatch()
    }

    @usableFromInline func beginBatch() { commitBatch() }

    @usableFromInline
    func commitBatch() {
        before = events.count
        taken = nil
    }

    @usableFromInline
    func rollbackBatch() {
        if let taken { events = taken }
        events.removeLast(events.count - before)
        taken = nil
    }
}

/// What belongs to the open chunk besides its events.
@usableFromInline
struct ChunkProgress: Sendable, Codable {
    @usableFromInline var time = EventTime.min
    @usableFromInline var signals = HeldSignals()
    @usableFromInline var deadline: EventTime?
}

extension Chunker.State: Codable where Element: Codable {}
