import Testing
import WeirCore

/// Counts the copies of an array: its storage is shared exactly when it was copied.
private func update(
    _ table: KeyedTable<Int, [Int]>, _ key: Int, append value: Int
) throws -> UnsafeRawPointer? {
    try table.update(key, hash: stableHash(key), default: []) { list in
        list.append(value)
        return list.withUnsafeBytes { $0.baseAddress }
    }
}

extension KeyedTable {
    fileprivate func contents(now: EventTime = .min) -> [Key: Value] {
        var all: [Key: Value] = [:]
        for group in 0..<KeyGroup.count {
            forEach(inGroup: group) { key, value, expiry in
                if let expiry, expiry <= now { return }
                #expect(KeyGroup.keyGroup(ofHash: stableHash(key)) == group)
                #expect(all.updateValue(value, forKey: key) == nil)
            }
        }
        return all
    }
}

@Suite struct `A keyed table` {
    @Test(arguments: 0..<6)
    func `behaves like a dictionary under random operations and batches`(seed: UInt64) throws {
        try expectDictionary(seed, removals: 30, default: [-1]) { $0.append($1) }
    }

    /// Their changes are undone by place.
    @Test(arguments: 0..<6, [5, 30])
    func `behaves like a dictionary with small plain values`(
        seed: UInt64, removals: Int
    ) throws {
        try expectDictionary(seed, removals: removals, default: -1) { $0 = $0 &* 31 &+ $1 }
    }

    /// - Parameter removals: How many of a hundred operations remove a key, at most 30.
    private func expectDictionary<Value: Equatable>(
        _ seed: UInt64, removals: Int, default initial: Value,
        _ change: (inout Value, _ step: Int) -> Void
    ) throws {
        var random = SeededRandom(seed: seed)
        let range = [20, 300, 5_000][Int(seed % 3)]
        let table = KeyedTable<Int, Value>(tracksChanges: true)
        var model: [Int: Value] = [:]
        var saved: [Int: Value]?
        for step in 0..<8_000 {
            let key = Int.random(in: 0..<range, using: &random)
            let hash = stableHash(key)
            switch Int.random(in: 0..<100, using: &random) {
            case 0..<45:
                try table.update(key, hash: hash, default: initial) { change(&$0, step) }
                change(&model[key, default: initial], step)
            case 45..<(45 + removals):
                #expect(table.remove(key, hash: hash) == model.removeValue(forKey: key))
            case 45..<96:
                #expect(table.value(for: key, hash: hash) == model[key])
            case 96..<98:
                table.beginBatch()
                saved = model
            case 98:
                table.commitBatch()
                saved = nil
            default:
                table.rollbackBatch()
                model = saved ?? model
                saved = nil
                #expect(table.contents() == model)
            }
            #expect(table.count == model.count)
        }
        #expect(table.contents() == model)
    }

    @Test(arguments: 0..<3)
    func `behaves like a dictionary for strings that are equal in different spellings`(
        seed: UInt64
    ) throws {
        var random = SeededRandom(seed: seed)
        let table = KeyedTable<String, Int>()
        var model: [String: Int] = [:]
        for _ in 0..<10_000 {
            let number = Int.random(in: 0..<400, using: &random)
            let key = Bool.random(using: &random) ? "caf\u{e9} \(number)" : "cafe\u{301} \(number)"
            if Int.random(in: 0..<3, using: &random) == 0 {
                #expect(table.remove(key, hash: stableHash(key)) == model.removeValue(forKey: key))
            } else {
                try table.update(key, hash: stableHash(key), default: 0) { $0 += 1 }
                model[key, default: 0] += 1
            }
        }
        #expect(table.contents() == model)
    }

    @Test func `keeps keys apart whose hashes are all the same`() throws {
        let table = KeyedTable<Int, Int>(tracksChanges: true)
        for key in 0..<200 { try table.update(key, hash: 7, default: key) { $0 += 1 } }
        table.beginBatch()
        for key in stride(from: 0, to: 200, by: 3) { table.remove(key, hash: 7) }
        for key in 0..<200 {
            #expect(table.value(for: key, hash: 7) == (key % 3 == 0 ? nil : key + 1))
        }
        table.rollbackBatch()
        for key in 0..<200 { #expect(table.value(for: key, hash: 7) == key + 1) }
        #expect(table.count(inGroup: 0) == 200)
    }

    @Test func `changes arrays in place`() throws {
        let table = KeyedTable<Int, [Int]>()
        for key in 0..<100 {
            try table.update(key, hash: stableHash(key), default: []) { $0.reserveCapacity(100) }
        }
        for key in 0..<100 {
            let first = try update(table, key, append: 1)
            for value in 0..<50 { #expect(try update(table, key, append: value) == first) }
        }
    }

    @Test func `copies an array once in a batch when it tracks changes`() throws {
        let table = KeyedTable<Int, [Int]>(tracksChanges: true)
        try table.update(1, hash: stableHash(1), default: []) { $0.reserveCapacity(1_000) }
        let outside = try update(table, 1, append: 1)
        #expect(try update(table, 1, append: 2) == outside)
        table.beginBatch()
        #expect(try update(table, 1, append: 3) != outside)
        try table.update(1, hash: stableHash(1), default: []) { $0.reserveCapacity(1_000) }
        let inside = try update(table, 1, append: 4)
        #expect(try update(table, 1, append: 5) == inside)
        table.rollbackBatch()
        #expect(table.value(for: 1, hash: stableHash(1)) == [1, 2])
    }

    @Test func `releases its keys and values`() throws {
        final class Token: Sendable {}
        weak var released: Token?
        do {
            let token = Token()
            released = token
            let table = KeyedTable<Int, Token>(tracksChanges: true)
            for key in 0..<100 {
                try table.update(key, hash: stableHash(key), default: token) { _ in }
            }
            table.beginBatch()
            for key in 0..<50 { table.remove(key, hash: stableHash(key)) }
        }
        #expect(released == nil)
    }

    @Test func `iterates in an order that depends on the operations alone`() throws {
        func run() throws -> [String] {
            let table = KeyedTable<String, Int>(tracksChanges: true)
            for index in 0..<3_000 {
                let key = "key \(index * 7 % 2_000)"
                try table.update(key, hash: stableHash(key), default: 0) { $0 += 1 }
                let other = "key \(index)"
                if index % 3 == 0 { table.remove(other, hash: stableHash(other)) }
            }
            var order: [String] = []
            for group in 0..<KeyGroup.count {
                table.forEach(inGroup: group) { key, _, _ in order.append(key) }
            }
            return order
        }
        #expect(try run() == run())
    }

    @Test func `keeps what a closure changed before it threw until the batch is rolled back`()
        throws
    {
        struct Failure: Error {}
        let table = KeyedTable<Int, Int>(tracksChanges: true)
        table.beginBatch()
        #expect(throws: Failure.self) {
            try table.update(1, hash: stableHash(1), default: 0) { value in
                value = 5
                throw Failure()
            }
        }
        #expect(table.value(for: 1, hash: stableHash(1)) == 5)
        table.rollbackBatch()
        #expect(table.count == 0)
    }

    @Test func `refuses keys past its maximum and still serves the others`() throws {
        let table = KeyedTable<Int, Int>(maximumKeys: 2)
        try table.update(1, hash: stableHash(1), default: 0) { $0 += 1 }
        try table.update(2, hash: stableHash(2), default: 0) { $0 += 1 }
        let error = #expect(throws: StateError.self) {
            try table.update(3, hash: stableHash(3), default: 0) { $0 += 1 }
        }
        #expect(error?.code == .tooManyKeys)
        #expect(error?.message.contains("maximum of 2 keys") == true)
        try table.update(1, hash: stableHash(1), default: 0) { $0 += 1 }
        #expect(table.contents() == [1: 2, 2: 1])
        table.remove(1, hash: stableHash(1))
        try table.update(3, hash: stableHash(3), default: 0) { $0 += 1 }
        #expect(table.contents() == [2: 1, 3: 1])
    }

    @Test func `does nothing at a rollback when it tracks no changes`() throws {
        let table = KeyedTable<Int, Int>()
        table.beginBatch()
        try table.update(1, hash: stableHash(1), default: 0) { $0 += 1 }
        table.rollbackBatch()
        #expect(table.contents() == [1: 1])
    }

    @Test(arguments: 0..<4)
    func `captures a snapshot as it was at its start while updates go on`(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let table = KeyedTable<Int, Int>(tracksChanges: true)
        for key in 0..<2_000 { try table.update(key, hash: stableHash(key), default: key) { _ in } }
        let before = table.contents()
        var captured: [Int: Int] = [:]
        var groups: [Int] = []
        let captureNext = {
            guard let (group, entries) = table.captureNextGroup() else { return false }
            groups.append(group)
            for entry in entries {
                #expect(captured.updateValue(entry.1, forKey: entry.0) == nil)
            }
            return true
        }
        table.beginCapture()
        for _ in 0..<2_000 {
            let key = Int.random(in: 0..<4_000, using: &random)
            table.beginBatch()
            try table.update(key, hash: stableHash(key), default: 0) { $0 -= 1 }
            table.remove(key ^ 1, hash: stableHash(key ^ 1))
            if Bool.random(using: &random) { table.rollbackBatch() } else { table.commitBatch() }
            if Int.random(in: 0..<40, using: &random) == 0 { _ = captureNext() }
        }
        while captureNext() {}
        #expect(captured == before)
        #expect(groups.sorted() == Array(0..<KeyGroup.count))
        #expect(table.contents() != before)
    }
}
