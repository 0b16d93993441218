import Synchronization
import Testing
import WeirCore
import WeirTesting

/// A stage whose turns are light has them taken by the event loop that brings it something; that must not show.
@Suite struct `Turns of an event loop` {
    private struct Refused: Error {}

    /// Where events were handled, and which.
    private final class Seen: Sendable {
        let isInTurn = Mutex(false)
        let inTurns = Mutex(0)
        let written = Mutex<[Int]>([])

        func note() {
            if isInTurn.withLock({ $0 }) { inTurns.withLock { $0 += 1 } }
        }
    }

    /// Sends numbers in batches of random sizes, as an event loop does.
    private func source(_ count: Int, seed: UInt64, _ seen: Seen) -> Source<Int> {
        Source("loop") { inlet in
            var random = SplitMix64(seed: seed)
            var next = 0
            while next < count {
                let end = min(count, next + Int.random(in: 1...12, using: &random))
                let wakeUps = ConsumerWakeUps()
                let batch = Batch(ContiguousArray(next..<end))
                if try inlet.trySend(batch, wakeUps: wakeUps) {
                    seen.isInTurn.withLock { $0 = true }
                    wakeUps.wakeAll()
                    seen.isInTurn.withLock { $0 = false }
                    #expect(wakeUps.isEmpty)
                } else {
                    try await inlet.send(batch)
                }
                next = end
                // Now and then the stage gets more while it is busy.
                if random.next() % 4 > 0 { try await inlet.context.sleep(for: .milliseconds(1)) }
            }
        }
    }

    private func run(_ seed: UInt64) throws -> Seen {
        let (count, refused) = (200, Set([0, 7, 8, 50, 199]))
        let seen = Seen()
        let probe = SinkProbe<Int>("probe")
        var configuration = TopologyTest.configuration
        configuration.batchSize = 4
        let topology = Topology("t", supervisor: Supervisor(intensity: 0)) {
            let numbers = EventStream("in", from: source(count, seed: seed, seen))
                .map { (number: Int) throws in
                    seen.note()
                    if refused.contains(number) { throw Refused() }
                    return number
                }
                .supervised(Supervisor(intensity: 10_000, backoff: .none))
            numbers.stage("narrow").map { $0 }.mailbox(.bounded(5))
                .sink(.forEach { number in seen.written.withLock { $0.append(number) } })
            numbers.sink(probe.sink)
        }
        let test = try TopologyTest(topology, seed: seed, configuration: configuration)
        try test.advance(by: .seconds(1))
        try test.finish()
        let expected = (0..<count).filter { !refused.contains($0) }
        #expect(seen.written.withLock { $0 } == expected)
        #expect(probe.received == expected)
        #expect(
            test.running.deadLetters.letters.map { $0.event as? Int } == refused.sorted())
        return seen
    }

    @Test func `lose nothing, repeat nothing, keep the order`() throws {
        var inTurns = 0
        for seed in 0..<60 as Range<UInt64> { inTurns += try run(seed).inTurns.withLock { $0 } }
        #expect(inTurns > 1_000)
    }

    /// The global pool, and all turns are light.
    private final class Pool: SteppedExecutor {
        func enqueue(_ job: consuming ExecutorJob) { globalConcurrentExecutor.enqueue(job) }
        func tossCoin() -> Bool { true }
    }

    @Test func `never run while the stage is asked for its state`() async throws {
        // So many events are handled as one transaction at first, and powers of two times as many later.
        let (batches, size) = (400, 64)
        let source = Source<Int>("loop") { inlet in
            let wakeUps = ConsumerWakeUps()
            for number in 0..<batches {
                let batch = Batch(ContiguousArray(repeating: number, count: size))
                while try !inlet.trySend(batch, wakeUps: wakeUps) {
                    wakeUps.wakeAll()
                    await withCheckedContinuation { room in inlet.whenSpace { room.resume() } }
                }
                wakeUps.wakeAll()
            }
        }
        var configuration = RunConfiguration()
        configuration.executor = Pool()
        let topology = Topology("asked") {
            EventStream("in", from: source).keyed(by: { _ in 0 })
                .reduce(into: [Int](), name: "values") { values, number in
                    values = [number, (values.last ?? 0) + 1]
                }
                .sink(.discard)
        }
        let running = try await topology.start(configuration)
        let values = try #require(running.stage("values"))
        var last = 0
        while last < batches * size {
            guard let state = try await values.state(of: 0, as: [Int].self) else { continue }
            // As between two transactions: all of the equal numbers have been counted.
            #expect(state[1] == size * (state[0] + 1))
            #expect(state[1] >= last)
            last = state[1]
        }
        try await running.waitUntilFinished()
    }
}
