import Synchronization
import WeirCore

/// Keeps cold entries in a dictionary, as bytes, and fails when it is told to.
final class MemoryEngine: ColdEngine {
    struct Failure: Error, Equatable {}

    /// After how many reads and writes each further one fails; nil for never.
    let failsAfter = Mutex<Int?>(nil)
    let reads = Atomic<Int>(0)

    func makeStorage() throws -> any ColdStorage { MemoryStorage(self) }

    func call() throws {
        try failsAfter.withLock { left in
            guard let count = left else { return }
            if count == 0 { throw Failure() }
            left = count - 1
        }
    }
}

private final class MemoryStorage: ColdStorage {
    let engine: MemoryEngine
    var buckets: [UInt64: [UInt8]] = [:]
    var deadlines: Set<ColdDeadline> = []

    init(_ engine: MemoryEngine) {
        self.engine = engine
    }

    func read(_ id: UInt64) throws -> [UInt8]? {
        try engine.call()
        engine.reads.add(1, ordering: .relaxed)
        return buckets[id]
    }

    func apply(_ changes: ColdChanges) throws {
        try engine.call()
        for (id, bucket) in changes.buckets { buckets[id] = bucket }
        for (deadline, isAdded) in changes.deadlines {
            if isAdded { deadlines.insert(deadline) } else { deadlines.remove(deadline) }
        }
    }

    func due(_ times: ClosedRange<Int64>, limit: Int) throws -> [ColdDeadline] {
        let due = deadlines.filter { times.contains($0.time) }
        return Array(due.sorted { ($0.time, $0.id) < ($1.time, $1.id) }.prefix(limit))
    }

    func freeze() throws -> any ColdSnapshot {
        try engine.call()
        return MemorySnapshot(buckets)
    }
}

private final class MemorySnapshot: ColdSnapshot {
    let buckets: [UInt64: [UInt8]]

    init(_ buckets: [UInt64: [UInt8]]) {
        self.buckets = buckets
    }

    func forEach(
        _ ids: ClosedRange<UInt64>, _ body: (_ id: UInt64, _ bucket: [UInt8]) throws -> Void
    ) throws {
        for id in buckets.keys.filter({ ids.contains($0) }).sorted() {
            if let bucket = buckets[id] { try body(id, bucket) }
        }
    }
}
