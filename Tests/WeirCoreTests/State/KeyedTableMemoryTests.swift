import Testing
import WeirCore

@Suite struct `The memory of a keyed table` {
    /// A hash that puts all keys into three groups, which grow big with few keys.
    private func crowded(_ key: Int) -> UInt64 {
        UInt64([0, 5, 127][key % 3]) << 57 | stableHash(key) >> 7
    }

    /// Lets groups grow, shrink to a few keys, and grow again, beside a dictionary.
    private func growAndShrink<Value: Equatable>(
        _ table: KeyedTable<Int, Value>, keys: Int, _ value: (Int) -> Value
    ) throws {
        var model: [Int: Value] = [:]
        for round in 0..<3 {
            for key in 0..<keys {
                try table.update(key, hash: crowded(key), default: value(key)) { $0 = value(round) }
                model[key] = value(round)
            }
            for key in 0..<keys where (key / 3) % 50 != 0 || key % 3 == round {
                #expect(table.remove(key, hash: crowded(key)) == model.removeValue(forKey: key))
            }
            var contents: [Int: Value] = [:]
            for group in 0..<KeyGroup.count {
                table.forEach(inGroup: group) { key, value, _ in
                    #expect(KeyGroup.keyGroup(ofHash: crowded(key)) == group)
                    contents[key] = value
                }
            }
            #expect(contents == model)
            #expect(table.count == model.count)
        }
    }

    @Test func `holds groups that grow and shrink side by side`() throws {
        try growAndShrink(KeyedTable<Int, Int>(), keys: 20_000) { $0 }
        try growAndShrink(KeyedTable<Int, [Int]>(), keys: 9_000) { [$0] }
        let ttl = StateTTL(.seconds(1))
        try growAndShrink(KeyedTable<Int, Int>(timeToLive: ttl), keys: 9_000) { $0 }
    }

    @Test func `holds groups that are bigger than a huge page`() throws {
        try growAndShrink(KeyedTable<Int, SIMD64<Int>>(), keys: 10_000) { SIMD64(repeating: $0) }
    }

    @Test func `rolls a batch back over growing and shrinking groups`() throws {
        let table = KeyedTable<Int, Int>(tracksChanges: true)
        for key in 0..<6_000 { try table.update(key, hash: crowded(key), default: key) { _ in } }
        table.beginBatch()
        for key in 0..<6_000 { table.remove(key, hash: crowded(key)) }
        for key in 6_000..<20_000 { try table.update(key, hash: crowded(key), default: 0) { _ in } }
        table.rollbackBatch()
        #expect(table.count == 6_000)
        for key in 0..<20_000 {
            #expect(table.value(for: key, hash: crowded(key)) == (key < 6_000 ? key : nil))
        }
    }

    @Test(arguments: [nil, StateTTL(.seconds(10))], [0, 1, 16, 17, 33, 512])
    func `is asked for ahead of a batch without any other effect`(
        ttl: StateTTL?, batchSize: Int
    ) throws {
        let table = KeyedTable<Int, Int>(timeToLive: ttl)
        let now = EventTime(nanoseconds: 5)
        for size in [0, 10, 20_000] {
            for key in 0..<size {
                try table.update(key, hash: stableHash(key), now: now, default: key) { _ in }
            }
            // Half of the keys are absent.
            let keys = ContiguousArray((0..<batchSize).map { $0 % 2 == 0 ? $0 : -$0 })
            let hashes = table.hashesAhead(of: keys)
            for index in keys.indices {
                let hash = table.hash(of: keys[index], at: index, in: hashes)
                #expect(hash == stableHash(keys[index]))
                let expected = (0..<size).contains(keys[index]) ? keys[index] : nil
                #expect(table.value(for: keys[index], hash: hash, now: now) == expected)
            }
            #expect(table.count == size)
        }
    }
}
