import Testing
import WeirCore

/// Keys that often follow themselves.
private func randomKeys(seed: UInt64, count: Int, range: Int) -> ContiguousArray<Int> {
    var random = SeededRandom(seed: seed)
    var key = 0
    return ContiguousArray(
        (0..<count).map { _ in
            if Bool.random(using: &random) { key = .random(in: 0..<range, using: &random) }
            return key
        })
}

@Suite struct `A batch of keys in a keyed table` {
    /// The bigger range makes the table look ahead.
    @Test(arguments: [3, 20_000])
    func `is visited in its order, whatever keys follow themselves`(range: Int) throws {
        let table = KeyedTable<Int, [Int]>(tracksChanges: true)
        for key in 0..<range where range > 3 {
            #expect(table.insert(key, [], hash: stableHash(key)))
        }
        var expected: [Int: [Int]] = [:]
        for round in 0..<6 {
            let keys = randomKeys(seed: UInt64(round), count: 600, range: range)
            table.beginBatch()
            var visited: [Int] = []
            try table.updateEach(keys, times: [], clock: .min, default: []) { index, list in
                visited.append(index)
                list.append(index)
                return true
            }
            #expect(visited == Array(keys.indices))
            if round % 2 == 1 {
                table.rollbackBatch()
                continue
            }
            table.commitBatch()
            for (index, key) in keys.enumerated() { expected[key, default: []].append(index) }
        }
        for (key, list) in expected {
            #expect(table.value(for: key, hash: stableHash(key)) == list)
        }
    }

    /// Entries that come, go and move among keys that were looked for before.
    private func expectModel<Key: Hashable & Codable & Sendable>(
        range: Int, _ key: (Int) -> Key
    ) throws {
        let table = KeyedTable<Key, Int>(tracksChanges: true)
        var model: [Key: Int] = [:]
        var random = SeededRandom(seed: UInt64(range))
        for round in 0..<40 {
            let keys = ContiguousArray(
                randomKeys(seed: UInt64(round), count: 1_000, range: range).map(key))
            let stays = keys.map { _ in Int.random(in: 0..<8, using: &random) > round % 4 }
            let before = model
            table.beginBatch()
            try table.updateEach(keys, times: [], clock: .min, default: 0) { index, count in
                #expect(count == model[keys[index], default: 0])
                count += 1
                model[keys[index]] = stays[index] ? count : nil
                return stays[index]
            }
            if round % 3 == 2 {
                table.rollbackBatch()
                model = before
            } else {
                table.commitBatch()
            }
            #expect(table.count == model.count)
        }
        for number in 0..<range {
            let key = key(number)
            #expect(table.value(for: key, hash: stableHash(key)) == model[key])
        }
    }

    @Test(arguments: [5, 300, 30_000])
    func `finds its entries though others come, go and move`(range: Int) throws {
        try expectModel(range: range) { $0 }
        try expectModel(range: range) { "key \($0)" }
    }

    @Test func `begins anew behind an entry that does not stay`() throws {
        let table = KeyedTable<Int, Int>()
        var seen: [Int] = []
        try table.updateEach([1, 1, 1, 1, 2], times: [], clock: .min, default: 0) { index, count in
            count += 1
            seen.append(count)
            return index != 1 && index != 4
        }
        #expect(seen == [1, 2, 1, 2, 1])
        #expect(table.value(for: 1, hash: stableHash(1)) == 2)
        #expect(table.count == 1)
    }

    @Test func `is taken event by event where entries expire`() throws {
        let table = KeyedTable<Int, Int>(timeToLive: StateTTL(.seconds(1)))
        let times = ContiguousArray([0, 0.5, 3, 3.5].map { time($0) })
        var seen: [Int] = []
        try table.updateEach([7, 7, 7, 7], times: times, clock: .min, default: 0) { _, count in
            count += 1
            seen.append(count)
            return true
        }
        #expect(seen == [1, 2, 1, 2])
    }
}
