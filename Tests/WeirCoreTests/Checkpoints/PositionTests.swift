import Synchronization
import Testing
import WeirTesting

@testable import WeirCore

/// Where a run that goes on from a checkpoint begins to read.
@Suite struct `The position of a source` {
    /// Numbers from 1 to 10 from the position on, `portion` in a batch, and then nothing.
    private func numbers(_ portion: Int) -> Source<Int> {
        Source("numbers") { inlet in
            var next = Int(inlet.position?.offset ?? 0) + 1
            while next <= 10 {
                let batch = Batch(ContiguousArray(next..<min(next + portion, 11)))
                next += batch.count
                try await inlet.send(batch, position: SourcePosition(offset: Int64(next - 1)))
            }
            try await inlet.context.sleep(for: .seconds(1_000_000))
        }
    }

    @Test(arguments: [1, 3, 10])
    func `does not go back when a dead letter is sent again`(portion: Int) throws {
        let store = continuationStore()
        let isBroken = Mutex(true)
        var received: [Int] = []
        for run in 0..<2 {
            let sink = SinkProbe<Int>("out")
            var configuration = TopologyTest.configuration
            configuration.store = store
            configuration.batchSize = portion
            let test = try TopologyTest(
                Topology("t", supervisor: Supervisor(backoff: .none)) {
                    EventStream("numbers", from: numbers(portion))
                        .map { (number) throws(Broken) in
                            if number == 2, isBroken.withLock({ $0 }) { throw Broken() }
                            return number
                        }
                        .sink(sink.sink)
                }, configuration: configuration)
            try test.run()
            isBroken.withLock { $0 = false }
            let running = test.running
            if run == 0 {
                #expect(try test.perform { try await running.deadLetters.redriveAll() } == 1)
            }
            _ = try test.perform("checkpoint") { try await running.checkpoint() }
            try test.cancel()
            received += sink.received
        }
        #expect(received == [1, 3, 4, 5, 6, 7, 8, 9, 10, 2])
    }
}

@Suite struct `A checkpoint under way` {
    @Test func `waits for the part of an instance that has ended since`() throws {
        let service = CheckpointService(
            store: continuationStore(), topology: "t",
            clock: VirtualClock(startingAt: EventTime()),
            logger: TopologyTest.configuration.logger,
            instruments: RunInstruments(), executor: nil)
        let id = CheckpointService.InstanceID(stage: "s", instance: 0)
        func part(hasEnded: Bool) -> Manifest.Part {
            Manifest.Part(
                stage: "s", instance: 0, parallelism: 1, file: "s.0.part", watermark: 0,
                inputs: nil, random: 0, hasEnded: hasEnded, position: nil, states: [])
        }
        func pending() -> CheckpointService.Pending? { service.state.withLock { $0.pending } }
        func begin() {
            service.state.withLock {
                $0.pending = .init(
                    number: 1, kind: .regular, directory: "/store/1", awaited: [id])
            }
        }
        begin()
        #expect(service.makeWriter(part(hasEnded: false), checkpoint: 1, wake: {}) != nil)
        service.stageEnded(part(hasEnded: true), bytes: [])
        #expect(pending()?.awaited == [id])
        service.partDone(part(hasEnded: false), checkpoint: 1)
        #expect(pending()?.awaited == [])
        #expect(pending()?.parts.map(\.hasEnded) == [false])
        // One that has not seen the barrier gives what it was at its end.
        begin()
        service.stageEnded(part(hasEnded: true), bytes: [])
        #expect(pending()?.awaited == [])
    }
}
