import Testing
import WeirCore

@Suite struct `A topology` {
    @Test func `runs events through fused operators to an outlet`() async throws {
        let out: Outlet<Int> = "out"
        let topology = Topology("t") {
            EventStream("in", from: .collection(0..<10_000))
                .map { $0 * 2 }
                .filter { $0 % 3 == 0 }
                .sink(.outlet(out))
        }
        let running = try await topology.start()
        var received: [Int] = []
        for try await event in try running.output(out) { received.append(event) }
        #expect(received == (0..<10_000).map { $0 * 2 }.filter { $0 % 3 == 0 })
        try await running.waitUntilFinished()
    }

    @Test func `passes five stages in order`() async throws {
        let out: Outlet<Int> = "out"
        let topology = Topology("t") {
            EventStream("in", from: .collection(0..<100_000))
                .stage("a").map { $0 + 1 }.stage("b").map { $0 + 1 }.stage("c").map { $0 + 1 }
                .stage("d").sink(.outlet(out))
        }
        let running = try await topology.start()
        var next = 3
        for try await event in try running.output(out) {
            #expect(event == next)
            next += 1
        }
        #expect(next == 100_003)
    }

    @Test func `retries a poison event and then sends it to the dead letters`() async throws {
        struct Bad: Error {}
        let out: Outlet<Int> = "out"
        let topology = Topology("t") {
            EventStream("in", from: .collection(0..<1_000))
                .map { (value) throws(Bad) in
                    if value == 500 { throw Bad() }
                    return value
                }
                .sink(.outlet(out))
        }
        let running = try await topology.start()
        var received: [Int] = []
        for try await event in try running.output(out) { received.append(event) }
        #expect(received == (0..<1_000).filter { $0 != 500 })
        #expect(running.deadLetters.letters.map(\.attempts) == [3])
    }
}
