/// What the operators that change a value per key have in common: the state of a stage instance,
/// and the way of a batch through it.
@usableFromInline
struct KeyedUpdates<
    Key: Hashable & Codable & Sendable, Value: Sendable, Output: Sendable
> {
    @usableFromInline let table: KeyedTable<Key, Value>
    @usableFromInline let life: StateLife
    @usableFromInline let downstream: Receiver<Output>
    @usableFromInline let batchSize: Int

    /// - Parameters:
    ///   - onRestore: Gets each value that comes from a checkpoint.
    ///   - onExpire: Gets each value whose time is over.
    @inlinable
    init(
        _ scope: StageScope, ttl: StateTTL?, _ value: Value.Type, _ outputs: [AnyReceiver],
        onRestore: ((Value) -> Void)? = nil, onExpire: ((Value) -> Void)? = nil
    ) {
        let table: KeyedTable<Key, Value>
        let lifetime = scope.lifetime(ttl)
        if let onRestore {
            table = scope.makeTable(Key.self, Value.self, timeToLive: lifetime) { table, group in
                table.forEach(inGroup: group) { _, value, _ in onRestore(value) }
            }
        } else {
            table = scope.makeTable(Key.self, Value.self, timeToLive: lifetime)
        }
        if let onExpire { table.onExpire(onExpire) }
        self.table = table
        life = StateLife(scope)
        batchSize = scope.batchSize
        downstream = AnyReceiver.joined(outputs, as: Output.self)
        scope.onPublish { (keys: table.count, timers: 0) }
    }

    /// The receiver of an input.
    ///
    /// - Parameters:
    ///   - forwardsSignals: False for all inputs but the first.
    ///   - initial: The value of a key before its first event.
    ///   - body: Changes the value of an event's key, appends what that gives rise to, and returns
    ///     whether the value stays.
    @inlinable
    @inline(__always)
    func receiver<Element: Sendable>(
        keys: @escaping @Sendable (Batch<Element>) -> ContiguousArray<Key>,
        forwardsSignals: Bool = true, initial: Value,
        _ body:
            @escaping (Key, Element, EventTime, inout Value, inout BatchWriter<Output>) throws ->
            Bool
    ) -> Receiver<Element> {
        let (table, life, downstream) = (table, life, downstream)
        let sizeLimit = batchSize &* 4
        var estimate = OutputEstimate()
        return Receiver(
            batch: { batch in
                let batchKeys = keys(batch)
                let hasTimes = life.startBatch(hasTimes: batch.hasTimes)
                let output = try BatchWriter<Output>.gather(
                    expecting: estimate.outputs(ofInputs: batch.count, atMost: sizeLimit)
                ) { output in
                    try batch.elements.withUnsafeBufferPointer { events in
                        try table.updateEach(
                            batchKeys, times: batch.times, clock: life.processingTime,
                            default: initial
                        ) { index, value in
                            try body(
                                batchKeys[index], events[index],
                                hasTimes ? batch.times[index] : .min, &value, &output)
                        }
                    }
                }
                estimate.note(inputs: batch.count, outputs: output.count)
                table.sweep(now: life.sweepTime)
                if !output.isEmpty { try downstream.batch(output) }
            },
            signal: { signal in
                guard forwardsSignals else { return }
                if case .watermark = signal { table.sweep(now: life.sweepTime) }
                try downstream.signal(signal)
            })
    }
}
