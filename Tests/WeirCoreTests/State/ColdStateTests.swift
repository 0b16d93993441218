import Synchronization
import Testing
import WeirBinary
import WeirCore
import WeirJournal
import WeirRocksDB

#if canImport(Glibc)
    import Glibc
#endif

/// A table of which few entries are in memory.
private struct ColdTable<Value: Codable & Equatable & Sendable> {
    let table: KeyedTable<Int, Value>
    let entries: ColdEntries<Int, Value>
    let state: CheckpointedTable<Int, Value>
    let hash: (Int) -> UInt64

    init(
        _ kind: EngineKind, cache: StateCache = StateCache(entries: 8), ttl: StateTTL? = nil,
        hash: @escaping (Int) -> UInt64 = { stableHash($0) }
    ) throws {
        self.hash = hash
        let codec = try #require(StateCodec<Value>.make())
        entries = ColdEntries<Int, Value>(
            try kind.open().makeStorage(), codec: codec, cache: cache, expires: ttl != nil)
        table = KeyedTable(tracksChanges: true, timeToLive: ttl, cold: entries)
        state = CheckpointedTable(table, hash: hash)
    }

    func contents() -> [Int: Value] {
        var all: [Int: Value] = [:]
        for group in 0..<KeyGroup.count {
            table.forEach(inGroup: group) { key, value, _ in
                #expect(KeyGroup.keyGroup(ofHash: hash(key)) == group)
                #expect(all.updateValue(value, forKey: key) == nil)
            }
        }
        return all
    }

    /// One more portion of the snapshot under way, as sections; nil after the last.
    func captureNext() throws -> [(group: Int, bytes: [UInt8])]? {
        guard let portion = state.captureNext() else { return nil }
        var sections: [(group: Int, bytes: [UInt8])] = []
        try portion.forEachSection { sections.append(($0, $1)) }
        return sections
    }

    func restore(_ sections: [(group: Int, bytes: [UInt8])]) throws {
        for section in sections {
            var portion = RestoredPortion(
                group: section.group, reader: try BinaryReader(section.bytes))
            try state.restore(&portion) { _ in true }
        }
    }
}

extension KeyedTable where Key == Int, Value == Int {
    /// The entries that have not expired.
    fileprivate func alive(at now: EventTime) -> [Int: Int] {
        var all: [Int: Int] = [:]
        for group in 0..<KeyGroup.count {
            forEach(inGroup: group) { key, value, expiry in
                if let expiry, expiry > now { all[key] = value }
            }
        }
        return all
    }
}

@Suite struct `A table larger than memory` {
    @Test(arguments: EngineKind.allCases, 0..<6)
    func `behaves like a dictionary under random operations and batches`(
        kind: EngineKind, seed: UInt64
    ) throws {
        var random = SeededRandom(seed: seed)
        let range = [20, 60, 600][Int(seed % 3)]
        // In half of the runs up to four keys share a hash.
        let cold = try ColdTable<[Int]>(
            kind, hash: { seed < 3 ? stableHash($0) : stableHash($0 / 4) })
        let table = cold.table
        var model: [Int: [Int]] = [:]
        for step in 0..<1_500 {
            let saved = model
            table.beginBatch()
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                let key = Int.random(in: 0..<range, using: &random)
                let hash = cold.hash(key)
                switch Int.random(in: 0..<10, using: &random) {
                case 0..<5:
                    try table.update(key, hash: hash, default: [-1]) { $0.append(step) }
                    model[key, default: [-1]].append(step)
                case 5..<7:
                    #expect(table.remove(key, hash: hash) == model.removeValue(forKey: key))
                default: #expect(table.value(for: key, hash: hash) == model[key])
                }
                #expect(table.count == model.count)
            }
            if Int.random(in: 0..<4, using: &random) == 0 {
                table.rollbackBatch()
                model = saved
            } else {
                table.commitBatch()
                table.settle()
                #expect(table.hotCount <= 8)
            }
            if step % 250 == 0 { #expect(cold.contents() == model) }
        }
        #expect(cold.contents() == model)
        #expect(table.count == model.count)
        #expect(cold.entries.failure == nil)
    }

    @Test(arguments: EngineKind.allCases, 0..<4)
    func `captures a snapshot as it was while updates go on, and goes on from it`(
        kind: EngineKind, seed: UInt64
    ) throws {
        var random = SeededRandom(seed: seed)
        let cold = try ColdTable<Int>(kind, cache: StateCache(entries: seed < 2 ? 20 : 300))
        let table = cold.table
        for key in 0..<700 {
            try table.update(key, hash: stableHash(key), default: key) { _ in }
            table.settle()
        }
        let before = cold.contents()
        #expect(before.count == 700)
        var sections: [(group: Int, bytes: [UInt8])] = []
        try cold.state.beginCapture()
        for _ in 0..<1_500 {
            let key = Int.random(in: 0..<1_400, using: &random)
            table.beginBatch()
            try table.update(key, hash: stableHash(key), default: 0) { $0 -= 1 }
            table.remove(key ^ 1, hash: stableHash(key ^ 1))
            if Bool.random(using: &random) {
                table.rollbackBatch()
            } else {
                table.commitBatch()
                table.settle()
            }
            if Int.random(in: 0..<30, using: &random) == 0 {
                sections += try cold.captureNext() ?? []
            }
        }
        while let more = try cold.captureNext() { sections += more }
        #expect(cold.contents() != before)
        let restored = try ColdTable<Int>(kind, cache: StateCache(entries: 50))
        try restored.restore(sections)
        restored.table.settle()
        #expect(restored.contents() == before)
        #expect(restored.table.hotCount <= 50)
        // What one backend wrote another reads.
        let inMemory = KeyedTable<Int, Int>()
        let state = CheckpointedTable(inMemory, hash: { stableHash($0) })
        for section in sections {
            var portion = RestoredPortion(
                group: section.group, reader: try BinaryReader(section.bytes))
            try state.restore(&portion) { _ in true }
        }
        #expect(inMemory.count == 700)
    }

    @Test(arguments: EngineKind.allCases, 0..<4)
    func `forgets what has expired, wherever it is`(kind: EngineKind, seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let ttl = StateTTL(
            .nanoseconds(100), refresh: seed % 2 == 0 ? .onWrite : .onReadAndWrite)
        let cold = try ColdTable<Int>(kind, ttl: ttl, hash: { stableHash($0 / 2) })
        let plain = KeyedTable<Int, Int>(tracksChanges: true, timeToLive: ttl)
        var now = EventTime(nanoseconds: 1)
        for step in 0..<3_000 {
            now = now.advanced(by: .nanoseconds(Int.random(in: 0...4, using: &random)))
            let key = Int.random(in: 0..<80, using: &random)
            let hash = cold.hash(key)
            cold.table.beginBatch()
            plain.beginBatch()
            if Bool.random(using: &random) {
                let other = try plain.update(key, hash: hash, now: now, default: step) {
                    $0 += 1
                    return $0
                }
                let own = try cold.table.update(key, hash: hash, now: now, default: step) {
                    $0 += 1
                    return $0
                }
                #expect(own == other)
            } else {
                let other = plain.value(for: key, hash: hash, now: now)
                #expect(cold.table.value(for: key, hash: hash, now: now) == other)
            }
            plain.sweep(now: now)
            cold.table.sweep(now: now)
            if Int.random(in: 0..<4, using: &random) == 0 {
                plain.rollbackBatch()
                cold.table.rollbackBatch()
            } else {
                plain.commitBatch()
                cold.table.commitBatch()
                cold.table.settle()
                if step % 50 == 0 { #expect(cold.table.alive(at: now) == plain.alive(at: now)) }
            }
        }
        let late = now.advanced(by: .nanoseconds(1_000))
        cold.table.sweep(now: late)
        cold.table.settle()
        plain.sweep(now: late)
        #expect(cold.table.count == 0)
        #expect(cold.table.expiredCount == plain.expiredCount)
        #expect(cold.entries.failure == nil)
    }

    @Test func `starts the lives of entries without a known time at the first sweep`() throws {
        let cold = try ColdTable<Int>(.memory, ttl: StateTTL(.nanoseconds(10)))
        for key in 0..<50 {
            try cold.table.update(key, hash: stableHash(key), default: 0) { _ in }
        }
        cold.table.settle()
        cold.table.sweep(now: EventTime(nanoseconds: 5))
        cold.table.settle()
        #expect(cold.table.count == 50)
        cold.table.sweep(now: EventTime(nanoseconds: 14))
        cold.table.settle()
        #expect(cold.table.count == 50)
        cold.table.sweep(now: EventTime(nanoseconds: 15))
        cold.table.settle()
        #expect(cold.table.count == 0)
    }

    @Test func `keeps what is used and moves the rest out`() throws {
        let engine = MemoryEngine()
        let codec = try #require(StateCodec<Int>.make())
        let entries = ColdEntries<Int, Int>(
            try engine.makeStorage(), codec: codec, cache: StateCache(entries: 100),
            expires: false)
        let table = KeyedTable<Int, Int>(cold: entries)
        for key in 0..<5_000 {
            for used in [key, 1_000_000 + key % 10] {
                try table.update(used, hash: stableHash(used), default: 0) { $0 += 1 }
                table.settle()
            }
        }
        // The ten keys that are in use all the time were hardly ever read back.
        let before = engine.reads.load(ordering: .relaxed)
        for key in 1_000_000..<1_000_010 {
            try table.update(key, hash: stableHash(key), default: 0) { $0 += 1 }
        }
        #expect(engine.reads.load(ordering: .relaxed) == before)
        #expect(table.count == 5_010)
        #expect(table.hotCount <= 100)
    }

    @Test func `keeps to its bytes`() throws {
        let cold = try ColdTable<String>(
            .memory, cache: StateCache(entries: 100_000, bytes: 100_000))
        let text = String(repeating: "x", count: 1_000)
        for key in 0..<2_000 {
            try cold.table.update(key, hash: stableHash(key), default: text) { _ in }
            cold.table.settle()
        }
        #expect(cold.table.count == 2_000)
        #expect((80...110).contains(cold.table.hotCount))
    }

    @Test func `says when its storage has failed, and goes on without harm`() throws {
        let engine = MemoryEngine()
        let codec = try #require(StateCodec<Int>.make())
        let entries = ColdEntries<Int, Int>(
            try engine.makeStorage(), codec: codec, cache: StateCache(entries: 4), expires: false)
        let table = KeyedTable<Int, Int>(cold: entries)
        engine.failsAfter.withLock { $0 = 20 }
        for key in 0..<200 {
            try table.update(key % 50, hash: stableHash(key % 50), default: 0) { $0 += 1 }
            table.settle()
        }
        #expect(entries.failure as? MemoryEngine.Failure != nil)
    }
}

#if RocksDB && os(Linux)
    @Suite struct `A table in RocksDB` {
        /// How much memory the process has.
        private func residentBytes() throws -> Int {
            let file = open("/proc/self/statm", O_RDONLY)
            defer { close(file) }
            var text = [UInt8](repeating: 0, count: 256)
            let count = read(file, &text, text.count)
            let numbers = String(decoding: text.prefix(max(0, count)), as: UTF8.self)
                .split(separator: " ")
            let resident = try #require(numbers.count > 1 ? Int(numbers[1]) : nil)
            return resident * Int(getpagesize())
        }

        @Test func `holds 200 MB of state in a fraction of it, also while it is captured`() throws {
            var options = RocksDBOptions()
            options.blockCacheBytes = 8 << 20
            options.writeBufferBytes = 4 << 20
            let engine = try RocksEngine(directory: EngineKind.directory, options)
            let codec = try #require(StateCodec<[UInt8]>.make())
            let entries = ColdEntries<Int, [UInt8]>(
                try engine.makeStorage(), codec: codec, cache: StateCache(bytes: 2 << 20),
                expires: false)
            let table = KeyedTable<Int, [UInt8]>(cold: entries)
            let state = CheckpointedTable(table, hash: { stableHash($0) })
            let before = try residentBytes()
            let keys = 50_000
            for key in 0..<keys {
                let value = [UInt8](repeating: UInt8(truncatingIfNeeded: key), count: 4_096)
                try table.update(key, hash: stableHash(key), default: value) { _ in }
                table.settle()
            }
            var bytes = 0
            var longest = 0
            try state.beginCapture()
            while let portion = state.captureNext() {
                try portion.forEachSection {
                    bytes += $1.count
                    longest = max(longest, $1.count)
                }
            }
            #expect(table.count == keys)
            #expect(table.hotCount <= 512)
            #expect(bytes > 200_000_000)
            #expect(longest < 1 << 20)
            // Other tests run meanwhile; half of the state would show all the same.
            #expect(try residentBytes() - before < 100 << 20)
            for key in stride(from: 0, to: keys, by: 997) {
                let value = table.value(for: key, hash: stableHash(key))
                #expect(value?.first == UInt8(truncatingIfNeeded: key))
                #expect(value?.count == 4_096)
            }
        }

        @Test func `leaves nothing behind, and removes what a killed run has left`() throws {
            let directory = EngineKind.directory + "-leftovers"
            for path in ["", "/run-dead", "/kept"] { mkdir(directory + path, 0o755) }
            do {
                let first = try RocksEngine(directory: directory, RocksDBOptions())
                let second = try RocksEngine(directory: directory, RocksDBOptions())
                #expect(access(first.path, F_OK) == 0)
                #expect(access(second.path, F_OK) == 0)
                #expect(access("\(directory)/run-dead", F_OK) != 0)
            }
            #expect(access("\(directory)/kept", F_OK) == 0)
            rmdir("\(directory)/kept")
            // Nothing is left in it.
            #expect(rmdir(directory) == 0)
        }

        @Test func `leaves alone what another run of the process has open`() throws {
            let directory = EngineKind.directory + "-shared"
            let files = LocalFileSystem()
            do {
                let first = try RocksEngine(directory: directory, RocksDBOptions())
                let log = try files.open("\(first.path)/LOG", .read).size
                #expect(log > 0)
                let second = try RocksEngine(directory: directory, RocksDBOptions())
                #expect(second.path != first.path)
                #expect(try files.open("\(first.path)/LOG", .read).size >= log)
            }
            #expect(rmdir(directory) == 0)
        }

        @Test func `refuses a directory that can't be made, naming it`() {
            let error = #expect(throws: (any Error).self) {
                try RocksEngine(directory: "/proc/nowhere", RocksDBOptions())
            }
            #expect(error.map { "\($0)" }?.contains("/proc/nowhere") == true)
        }
    }
#endif
