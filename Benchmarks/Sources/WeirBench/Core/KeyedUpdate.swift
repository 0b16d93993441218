import Synchronization
import Weir

extension Benchmark {
    static var keyedUpdateRandom: Benchmark {
        keyedUpdate("C7-random", "keyed update, 1 M Int keys in random order", .oneMillion)
    }

    static var keyedUpdateHot: Benchmark {
        keyedUpdate("C7-hot", "keyed update, 1,000 hot Int keys", .oneThousand)
    }

    private static func keyedUpdate(
        _ id: String, _ title: String, _ work: KeyedUpdateWork
    ) -> Benchmark {
        Benchmark(
            id: id, group: .core, title: title,
            workload: """
                \(work.keys) keys, the first outputs of SplitMix64(seed: 7), all present before \
                timing; event i takes the state (16 bytes) of key order[i & 0xFFFFF], adds 1 to \
                its count and the key's last byte to its sum. Weir: keyed(by:).handle behind a \
                source, timed from the first update's sending to the last one's end, so the figure \
                has the source, the hand-over, the keys' hashes and the handler in it; the \
                Dictionary's has nothing but the updates.
                """,
            metric: .wallTime, events: 4_000_000,
            sides: [
                Side(name: "Weir, keyed(by:).handle", isWeir: true) { events in
                    try await KeyedTopology.update(work, events)
                },
                Side(name: "Dictionary", bar: .faster(3)) { events in
                    try await DictionaryPeer.update(work, events)
                },
            ],
            expectedChecksum: { work.checksum($0) })
    }
}

/// The state of a key in C7.
struct KeyedTotal: Codable, Sendable, BitwiseCopyable {
    var count: Int64 = 0
    var sum: Int64 = 0

    @inline(__always)
    mutating func add(_ key: Int) {
        count &+= 1
        sum &+= Int64(key & 0xFF)
    }
}

/// The keys of C7 and the order in which events touch them.
final class KeyedUpdateWork: Sendable {
    static let oneMillion = KeyedUpdateWork(keys: 1_000_000)
    static let oneThousand = KeyedUpdateWork(keys: 1_000)

    let keys: Int
    let all: [Int]
    /// The key of event `i` is `order[i & 0xFFFFF]`.
    let order: [Int]

    private init(keys: Int) {
        self.keys = keys
        var random = SplitMix64(seed: 7)
        let all = (0..<keys).map { _ in Int(truncatingIfNeeded: random.next()) }
        self.all = all
        order = (0..<(1 << 20)).map { _ in all[Int(random.next() % UInt64(keys))] }
    }

    /// Every event adds to one key's sum, so the sum over all keys does not depend on the keys.
    func checksum(_ events: Int) -> UInt64 {
        var total = Int64(events)
        for index in 0..<events { total &+= Int64(order[index & 0xF_FFFF] & 0xFF) }
        return UInt64(bitPattern: total)
    }

    /// The checksum of a store's totals.
    static func checksum(_ totals: some Sequence<KeyedTotal>) -> UInt64 {
        UInt64(bitPattern: totals.reduce(0) { $0 &+ $1.count &+ $1.sum })
    }
}

/// What the handler gets: an update, or a question for the state of a key.
private struct Touch: Sendable, BitwiseCopyable {
    var key: Int
    var isQuestion = false
}

private struct Updater: KeyedHandler {
    func initialState(for key: Int) -> KeyedTotal { KeyedTotal() }

    func on(
        _ touch: Touch, state: inout KeyedTotal, _ context: inout Context<Int, KeyedTotal>
    ) {
        if touch.isQuestion {
            context.emit(state)
        } else {
            state.add(touch.key)
        }
    }
}

/// The answers that came to the sink of C7, for the source to wait for.
private final class Answers: Sendable {
    private struct State {
        var count = 0
        var checksum: UInt64 = 0
        var wanted = Int.max
        var waiter: CheckedContinuation<UInt64, Never>?

        /// Takes the answers and who waits for them, if they are all there.
        mutating func complete() -> (CheckedContinuation<UInt64, Never>, UInt64)? {
            guard count >= wanted, let waiter else { return nil }
            let checksum = checksum
            self = State()
            return (waiter, checksum)
        }
    }

    private let state = Mutex(State())

    func add(_ totals: ContiguousArray<KeyedTotal>) {
        let complete = state.withLock { state in
            state.count += totals.count
            state.checksum &+= KeyedUpdateWork.checksum(totals)
            return state.complete()
        }
        if let (waiter, checksum) = complete { waiter.resume(returning: checksum) }
    }

    /// Waits for so many answers, and gives their checksum.
    func take(_ count: Int) async -> UInt64 {
        await withCheckedContinuation { continuation in
            let complete = state.withLock { state in
                state.wanted = count
                state.waiter = continuation
                return state.complete()
            }
            if let (waiter, checksum) = complete { waiter.resume(returning: checksum) }
        }
    }
}

private final class KeyedTopology: Sendable {
    private let work: KeyedUpdateWork
    private let events: Int
    private let answers = Answers()
    private let sample = Mutex<Sample?>(nil)

    private init(_ work: KeyedUpdateWork, _ events: Int) {
        self.work = work
        self.events = events
    }

    @concurrent
    static func update(_ work: KeyedUpdateWork, _ events: Int) async throws -> Sample {
        let run = KeyedTopology(work, events)
        let answers = run.answers
        let topology = Topology("keyed update") {
            EventStream("touches", from: Source("touches") { try await run.send(to: $0) })
                .keyed(by: { $0.key })
                .handle("update") { Updater() }
                .sink(.forEachBatch { batch in answers.add(batch.elements) })
        }
        try await topology.run()
        guard let sample = run.sample.withLock({ $0 }) else {
            throw MeasurementError(description: "the updates were not measured")
        }
        return sample
    }

    private func send(to inlet: Inlet<Touch>) async throws {
        // The first question makes a key's state.
        try await ask(work.all[...], inlet)
        _ = await answers.take(work.keys)
        let watch = Stopwatch()
        let size = inlet.context.preferredBatchSize
        for start in stride(from: 0, to: events, by: size) {
            var batch = Batch<Touch>()
            batch.elements.reserveCapacity(size)
            for index in start..<min(start + size, events) {
                batch.elements.append(Touch(key: work.order[index & 0xF_FFFF]))
            }
            try await inlet.send(batch)
        }
        try await ask(work.all[..<1], inlet)
        _ = await answers.take(1)
        let timed = watch.sample(events: events, checksum: 0)
        try await ask(work.all[...], inlet)
        let checksum = await answers.take(work.keys)
        sample.withLock {
            $0 = Sample(
                events: events, wallNanoseconds: timed.wallNanoseconds, cpu: timed.cpu,
                checksum: checksum)
        }
    }

    private func ask(_ keys: ArraySlice<Int>, _ inlet: Inlet<Touch>) async throws {
        let touches = keys.map { Touch(key: $0, isQuestion: true) }
        try await inlet.send(Batch(ContiguousArray(touches)))
    }
}

private enum DictionaryPeer {
    @concurrent
    static func update(_ work: KeyedUpdateWork, _ events: Int) async throws -> Sample {
        var totals: [Int: KeyedTotal] = [:]
        totals.reserveCapacity(work.keys)
        for key in work.all { totals[key] = KeyedTotal() }
        let watch = Stopwatch()
        touch(&totals, work.order, events)
        let timed = watch.sample(events: events, checksum: 0)
        return Sample(
            events: events, wallNanoseconds: timed.wallNanoseconds, cpu: timed.cpu,
            checksum: KeyedUpdateWork.checksum(totals.values))
    }

    @inline(never)
    private static func touch(_ totals: inout [Int: KeyedTotal], _ order: [Int], _ events: Int) {
        for index in 0..<events {
            let key = order[index & 0xF_FFFF]
            totals[key, default: KeyedTotal()].add(key)
        }
    }
}
