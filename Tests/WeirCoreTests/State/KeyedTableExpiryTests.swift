import Testing
import WeirCore

private func at(_ seconds: Int64) -> EventTime { EventTime(nanoseconds: seconds * 1_000_000_000) }

@Suite struct `A keyed table with a time-to-live` {
    private struct ModelEntry: Equatable {
        var value: Int
        var expiry: EventTime
    }

    @Test(arguments: 0..<8)
    func `behaves like a dictionary of deadlines under random operations and batches`(
        seed: UInt64
    ) throws {
        var random = SeededRandom(seed: seed)
        let refreshesOnRead = seed % 2 == 0
        let range = seed < 4 ? 50 : 3_000
        let table = KeyedTable<Int, Int>(
            tracksChanges: true,
            timeToLive: StateTTL(
                .seconds(10), refresh: refreshesOnRead ? .onReadAndWrite : .onWrite))
        var model: [Int: ModelEntry] = [:]
        var saved: [Int: ModelEntry]?
        var clock: Int64 = 100
        for step in 0..<8_000 {
            let key = Int.random(in: 0..<range, using: &random)
            let hash = stableHash(key)
            if step % 40 == 0 { clock += 1 }
            // Event time comes out of order.
            let now = at(clock - Int64.random(in: 0..<3, using: &random))
            let live = model[key].flatMap { $0.expiry > now ? $0 : nil }
            let fresh = max(live?.expiry ?? .min, now.advanced(by: .seconds(10)))
            switch Int.random(in: 0..<100, using: &random) {
            case 0..<50:
                try table.update(key, hash: hash, now: now, default: 0) { $0 += step }
                model[key] = ModelEntry(value: (live?.value ?? 0) + step, expiry: fresh)
            case 50..<60:
                #expect(table.remove(key, hash: hash, now: now) == live?.value)
                model[key] = nil
            case 60..<85:
                #expect(table.value(for: key, hash: hash, now: now) == live?.value)
                if let live, refreshesOnRead {
                    model[key] = ModelEntry(value: live.value, expiry: fresh)
                }
            case 85..<94:
                table.sweep(now: at(clock), limit: Int.random(in: 0..<20, using: &random))
                // What is swept would be absent for an event that comes late, too.
                model = model.filter { entry in
                    entry.value.expiry > at(clock)
                        || table.contains(entry.key)
                }
            case 94..<97:
                table.beginBatch()
                saved = model
            case 97:
                table.commitBatch()
                saved = nil
            default:
                table.rollbackBatch()
                model = saved ?? model
                saved = nil
            }
            if step % 1_000 == 0 { checkEqual(table, model, at(clock)) }
        }
        checkEqual(table, model, at(clock))
        table.commitBatch()
        table.sweep(now: at(clock + 11), limit: .max)
        #expect(table.count == 0)
    }

    private func checkEqual(
        _ table: KeyedTable<Int, Int>, _ model: [Int: ModelEntry], _ now: EventTime
    ) {
        var live: [Int: ModelEntry] = [:]
        for group in 0..<KeyGroup.count {
            table.forEach(inGroup: group) { key, value, expiry in
                guard let expiry else { return }
                if expiry > now { live[key] = ModelEntry(value: value, expiry: expiry) }
            }
        }
        #expect(live == model.filter { $0.value.expiry > now })
    }

    @Test func `starts an expired entry afresh before it is swept and counts it`() throws {
        let table = KeyedTable<Int, Int>(timeToLive: StateTTL(.seconds(10)))
        try table.update(1, hash: stableHash(1), now: at(0), default: 0) { $0 += 1 }
        #expect(table.value(for: 1, hash: stableHash(1), now: at(9)) == 1)
        #expect(table.value(for: 1, hash: stableHash(1), now: at(10)) == nil)
        try table.update(1, hash: stableHash(1), now: at(10), default: 100) { $0 += 1 }
        #expect(table.value(for: 1, hash: stableHash(1), now: at(19)) == 101)
        #expect(table.expiredCount == 1)
        #expect(table.count == 1)
    }

    @Test func `sweeps no more than the limit at a time and goes on where it stopped`() throws {
        let table = KeyedTable<Int, Int>(timeToLive: StateTTL(.seconds(10)))
        for key in 0..<1_000 {
            try table.update(key, hash: stableHash(key), now: at(0), default: 0) { $0 += 1 }
        }
        #expect(table.sweep(now: at(9)) == 0)
        for _ in 0..<10 { #expect(table.sweep(now: at(10), limit: 100) == 100) }
        #expect(table.sweep(now: at(10), limit: 100) == 0)
        #expect(table.count == 0)
        #expect(table.expiredCount == 1_000)
    }

    @Test func `brings swept entries back at a rollback and sweeps them again`() throws {
        let table = KeyedTable<Int, Int>(tracksChanges: true, timeToLive: StateTTL(.seconds(10)))
        for key in 0..<100 {
            try table.update(key, hash: stableHash(key), now: at(0), default: key) { _ in }
        }
        table.beginBatch()
        #expect(table.sweep(now: at(10)) == 100)
        #expect(table.expiredCount == 100)
        table.rollbackBatch()
        #expect(table.count == 100)
        #expect(table.expiredCount == 0)
        #expect(table.value(for: 7, hash: stableHash(7), now: at(9)) == 7)
        #expect(table.sweep(now: at(10)) == 100)
        #expect(table.count == 0)
    }

    @Test func `lets entries written before any time is known live from the first sweep on`() throws
    {
        let table = KeyedTable<Int, Int>(timeToLive: StateTTL(.seconds(10)))
        try table.update(1, hash: stableHash(1), default: 0) { $0 += 1 }
        table.restore(2, 2, hash: stableHash(2))
        #expect(table.sweep(now: .min) == 0)
        #expect(table.sweep(now: at(100)) == 0)
        #expect(table.value(for: 1, hash: stableHash(1), now: at(109)) == 1)
        #expect(table.value(for: 1, hash: stableHash(1), now: at(110)) == nil)
        #expect(table.sweep(now: at(110)) == 2)
    }

    @Test func `restores a snapshot with its deadlines`() throws {
        let table = KeyedTable<Int, Int>(timeToLive: StateTTL(.seconds(10)))
        for key in 0..<100 {
            let now = at(Int64(key))
            try table.update(key, hash: stableHash(key), now: now, default: key) { _ in }
        }
        let copy = KeyedTable<Int, Int>(timeToLive: StateTTL(.seconds(10)))
        for group in 0..<KeyGroup.count {
            table.forEach(inGroup: group) { key, value, expiry in
                copy.restore(key, value, hash: stableHash(key), expiry: expiry)
            }
        }
        #expect(copy.sweep(now: at(59)) == 50)
        #expect(copy.value(for: 50, hash: stableHash(50), now: at(59)) == 50)
        #expect(copy.count == 50)
    }

    @Test func `keeps memory bounded when keys come and go within a time-to-live`() throws {
        let table = KeyedTable<Int, Int>(timeToLive: StateTTL(.days(1)))
        for round in 0..<40_000 {
            let key = round % 500
            try table.update(key, hash: stableHash(key), now: at(Int64(round)), default: 0) { _ in }
            table.remove(key, hash: stableHash(key), now: at(Int64(round)))
        }
        #expect(table.count == 0)
        #expect(table.expiryNoteCount <= 128 * 70)
    }
}

extension KeyedTable where Key == Int {
    fileprivate func contains(_ wanted: Int) -> Bool {
        var found = false
        forEach(inGroup: KeyGroup.keyGroup(ofHash: stableHash(wanted))) { key, _, _ in
            if key == wanted { found = true }
        }
        return found
    }
}
