import Synchronization
import Testing
import WeirCore
import WeirTesting

@Suite struct `An idempotency key` {
    @Test(arguments: TopologyTest.seeds(20))
    func `is the same in every call for an event, and no other event's`(seed: UInt64) throws {
        let keys = Mutex<[Int: [String]]>([:])
        let topology = Topology("t", supervisor: Supervisor(intensity: 100, backoff: .none)) {
            EventStream("in", from: .collection(0..<20))
                .mapAsync(retry: .exponential(attempts: 2), name: "charge") {
                    (value, call: AsyncCallContext) async throws(Broken) -> Int in
                    let calls = keys.withLock { keys in
                        keys[value, default: []].append(call.idempotencyKey)
                        return keys[value, default: []].count
                    }
                    // Twice by the retry policy, then after a restart.
                    if value % 5 == 0 && calls < 4 { throw Broken() }
                    return value
                }.sink(.discard)
        }
        let test = try TopologyTest(topology, seed: seed)
        try test.advance(by: .minutes(5))
        try test.finish()
        let all = keys.withLock { $0 }
        #expect(all[5]?.count == 4)
        #expect(all.values.allSatisfy { Set($0).count == 1 })
        #expect(Set(all.values.map { $0[0] }).count == 20)
        #expect(all[7]?[0].hasPrefix("charge-") == true)
        #expect(all[7]?[0].hasSuffix("-7") == true)
        // Another run that begins anew does not use the same.
        let other = try TopologyTest(topology, seed: seed + 1_000)
        let before = Set(all.values.joined())
        keys.withLock { $0.removeAll() }
        try other.advance(by: .minutes(5))
        #expect(before.isDisjoint(with: keys.withLock { Set($0.values.joined()) }))
    }
}
