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
                its count and the key's last byte to its sum.
                """,
            metric: .wallTime, events: 4_000_000,
            sides: [
                Side(name: "Dictionary", bar: .faster(3)) { events in
                    try await DictionaryPeer.update(work, events)
                }
            ],
            expectedChecksum: { work.checksum($0) })
    }
}

/// The state of a key in C7.
struct KeyedTotal: Sendable, BitwiseCopyable {
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
