import WeirBinary

/// Holds events back until the table is loaded.
@usableFromInline
package final class TableGate<Element: Sendable> {
    private struct State {
        var waitingCount = 0
        var signals = HeldSignals()
        var openChannels: Int
        var isOpen: Bool
    }

    private let output: DeferredOutput<Element>
    private let state: TransactionalValue<State>
    private let waiting = TransactionalQueue<Batch<Element>>()
    private let limit: Int
    private var isRestored = false

    /// - Parameter group: The key group of an event.
    @usableFromInline
    package init(
        _ scope: StageScope, _ start: TableStart, group: @escaping (Element) -> Int,
        joined: Receiver<Element>
    ) {
        limit = start.waitingLimit
        output = DeferredOutput(scope, joined)
        var channels = 0
        for input in scope.inputOfChannel where input == 1 { channels += 1 }
        state = TransactionalValue(State(openChannels: channels, isOpen: limit == 0))
        // An input that had ended ends anew after a restore, and an idle one is idle anew.
        scope.registerTransient(state)
        scope.registerTransient(waiting)
        if limit > 0 { scope.keep(CheckpointedGate(self, scope, group: group)) }
        scope.onInputEnd { [unowned self] input in
            if input == 1 { tableChannelEnded() }
        }
    }

    @usableFromInline
    package var receiver: Receiver<Element> {
        Receiver(
            batch: { [self] batch in
                if state.value.isOpen { return try output.send(batch) }
                keep(batch)
                if state.value.waitingCount > limit { open() }
            },
            signal: { [self] signal in
                switch signal {
                case .idle where !state.value.isOpen: state.value.signals.hold(signal)
                default:
                    open()
                    try output.send(signal)
                }
            })
    }

    private func keep(_ batch: Batch<Element>) {
        if batch.isEmpty { return }
        waiting.append(batch)
        state.value.waitingCount += batch.count
    }

    private func tableChannelEnded() {
        state.value.openChannels -= 1
        if state.value.openChannels <= 0 { open() }
    }

    private func open() {
        if state.value.isOpen { return }
        state.value.isOpen = true
        for batch in waiting.contents { output.defer(batch) }
        waiting.removeAll()
        state.value.waitingCount = 0
        for signal in state.value.signals.release() { output.defer(signal) }
    }

    fileprivate var isOpen: Bool { state.value.isOpen }
    fileprivate var waitingBatches: some Sequence<Batch<Element>> { waiting.contents }

    /// Takes in a part of what one of the instances had.
    ///
    /// Of several instances one may be open, as more than its limit waited, and others not. What
    /// waited at those waits on, and so does what comes of the keys of the open one.
    fileprivate func restore(isOpen: Bool, _ waiting: Batch<Element>) {
        state.value.isOpen = isOpen && (state.value.isOpen || !isRestored)
        isRestored = true
        keep(waiting)
    }
}

/// What waits at a gate, in portions by key group.
private final class CheckpointedGate<Element: Sendable>: CheckpointedState {
    fileprivate struct Portion {
        var isOpen: Bool
        var elements: ContiguousArray<Element>
        var times: ContiguousArray<Int64>

        init(isOpen: Bool, _ batch: Batch<Element>) {
            self.isOpen = isOpen
            elements = batch.elements
            times = ContiguousArray(batch.times.map(\.nanoseconds))
        }
    }

    private unowned let gate: TableGate<Element>
    private let groups: Range<Int>
    private let group: (Element) -> Int
    private let codec = StateCodec<Portion>.make()
    private var frozen: [(group: Int, portion: Portion)] = []

    init(_ gate: TableGate<Element>, _ scope: StageScope, group: @escaping (Element) -> Int) {
        self.gate = gate
        self.group = group
        groups = KeyGroup.groups(ofInstance: scope.instance, parallelism: scope.parallelism)
    }

    var contents: String { "waiting \(Element.self)" }
    var obstacle: String? { codec == nil ? "\(Element.self) isn't Codable" : nil }
    var isKeyed: Bool { true }

    func beginCapture() {
        var batches: [Int: Batch<Element>] = [:]
        for batch in gate.waitingBatches {
            for index in batch.elements.indices {
                let event = batch.elements[index]
                batches[group(event), default: Batch()].append(event, at: batch.time(at: index))
            }
        }
        frozen = groups.reversed().map {
            ($0, Portion(isOpen: gate.isOpen, batches[$0] ?? Batch()))
        }
    }

    func captureNext() -> CapturedPortion? {
        guard let codec, let (group, portion) = frozen.popLast() else { return nil }
        return CapturedPortion(group: group, entries: portion.elements.count) {
            var writer = BinaryWriter()
            try codec.write(portion, &writer)
            return writer.finish()
        }
    }

    func restore(_ portion: inout RestoredPortion, ownsGroup: (Int) -> Bool) throws {
        guard let kept = try codec?.read(&portion.reader) else { return }
        let times = kept.times.count == kept.elements.count ? kept.times : []
        gate.restore(
            isOpen: kept.isOpen,
            Batch(
                unchecked: kept.elements,
                times: ContiguousArray(times.map { EventTime(nanoseconds: $0) })))
    }
}

extension CheckpointedGate.Portion: Codable where Element: Codable {}
