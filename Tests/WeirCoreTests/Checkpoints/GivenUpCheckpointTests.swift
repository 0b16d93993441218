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
}
