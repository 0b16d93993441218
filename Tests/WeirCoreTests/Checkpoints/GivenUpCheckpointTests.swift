import Synchronization
import Testing
import WeirCore
import WeirJournal
import WeirTesting

@Suite struct `A checkpoint that is given up` {
    @Test func `holds no input up when the next one begins before all sources know of it`() throws {
        let files = SimulatedFileSystem(seed: 0)
        var store = StateStore.directory("/store", checkpointEvery: .zero)
        store.fileSystem = files
        var configuration = TopologyTest.configuration
        configuration.batchSize = 1
        configuration.store = store
        let (fast, held) = (SourceProbe<Int>(), SourceProbe<Int>())
        let (slow, merged) = (SinkProbe<Int>("slow"), SinkProbe<Int>("merged"))
        let test = try TopologyTest(
            Topology("given up") {
                let source = EventStream("held", from: held.source)
                source.stage("narrow").mailbox(.bounded(1)).sink(slow.sink)
                EventStream("fast", from: fast.source).merge(source.filter { $0 < 0 })
                    .sink(merged.sink)
            }, configuration: configuration)
        func checkpoint() throws {
            test.start { [running = test.running] in _ = try? await running.checkpoint() }
            try test.run()
        }
        slow.pause()
        // More than the sink's mailbox takes: the source's stage waits, and takes no checkpoint.
        held.send(contentsOf: 0..<9_000)
        fast.send(1)
        try test.run()
        files.fail(.open, with: .io, skipping: 0, times: 1)
        try checkpoint()
        try checkpoint()
        fast.send(2)
        held.send(-3)
        try test.run()
        slow.resume()
        try test.run()
        #expect(merged.received.sorted() == [-3, 1, 2])
        fast.finish()
        held.finish()
        try test.finish()
    }

    @Test func `because a stage has stopped is followed by others`() throws {
        var store = continuationStore()
        store.interval = .seconds(1)
        var configuration = TopologyTest.configuration
        configuration.store = store
        let (left, right) = (SourceProbe<Int>(), SourceProbe<Int>())
        let topology = Topology("t") {
            EventStream("left", from: left.source).stage("held").sink(SinkProbe<Int>("a").sink)
            EventStream("right", from: right.source).stage("cut").sink(SinkProbe<Int>("b").sink)
        }
        let test = try TopologyTest(topology, configuration: configuration)
        let service = try #require(test.running.environment.checkpoints)
        let (held, cut) = (test.running.stage("held"), test.running.stage("cut"))
        held?.pause()
        cut?.pause()
        try test.advance(by: .seconds(2))
        #expect(service.upcoming == 1)
        cut?.cancel()
        held?.resume()
        try test.advance(by: .seconds(10))
        #expect(service.upcoming >= 10)
        left.finish()
        right.finish()
        try test.finish()
    }

    @Test func `because a stage has stopped says so`() throws {
        var configuration = TopologyTest.configuration
        configuration.store = continuationStore()
        let source = SourceProbe<Int>()
        let topology = Topology("t") {
            EventStream("in", from: source.source).stage("cut").sink(SinkProbe<Int>("out").sink)
        }
        let test = try TopologyTest(topology, configuration: configuration)
        let cut = test.running.stage("cut")
        cut?.pause()
        let reason = Mutex("")
        test.start { [running = test.running] in
            do {
                try await running.checkpoint()
            } catch {
                reason.withLock { $0 = "\(error)" }
            }
        }
        try test.run()
        cut?.cancel()
        try test.run()
        #expect(reason.withLock { $0 }.contains("'cut'"))
    }
}
