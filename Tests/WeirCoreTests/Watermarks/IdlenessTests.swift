import Testing
import WeirCore
import WeirTesting

@Suite struct `A stream's idleness` {
    private struct Run {
        let slow = SourceProbe<Reading>()
        let fast = SourceProbe<Reading>()
        let sink = SinkProbe<Bool>()
        let test: TopologyTest

        init(advancing: Bool, ownStage: Bool) throws {
            let (slow, fast, sink) = (slow, fast, sink)
            var configuration = TopologyTest.configuration
            configuration.batchSize = 1
            let strategy = WatermarkStrategy<Reading>.monotonic.idle(
                after: .seconds(30), advancing: advancing)
            test = try TopologyTest(
                Topology("idle") {
                    let source = EventStream("slow", from: slow.source)
                    (ownStage ? source.stage("stamped") : source)
                        .eventTime(\.at, strategy)
                        .merge(EventStream("fast", from: fast.source).eventTime(\.at, strategy))
                        .mailbox(.bounded(1))
                        .keyed(by: \.key).handle("lateness") { IsLate() }
                        .mailbox(.bounded(1))
                        .stage("last").mailbox(.bounded(1))
                        .sink(sink.sink)
                }, configuration: configuration)
            slow.send(Reading(0, 0, at: 100))
            fast.send(Reading(0, 0, at: 7_200))
            try test.run()
        }

        /// Sends more events than the sink's mailbox takes; the last ones come when it is full.
        func sendSlow() throws {
            for number in 0..<9_000 {
                if number == 8_500 { try test.run() }
                slow.send(Reading(0, number, at: 101 + Double(number) / 1_000))
            }
        }

        func expectNoneLate() throws {
            try test.run()
            #expect(sink.received.count == 9_002)
            #expect(!sink.received.contains(true))
            // Once nothing waits any more, quiet is quiet.
            try test.advance(by: .seconds(31))
            slow.send(Reading(0, 0, at: 200))
            try test.run()
            #expect(sink.received.last == true)
        }
    }

    @Test(arguments: [false, true], [false, true])
    func `does not begin while it is paused`(advancing: Bool, ownStage: Bool) throws {
        let run = try Run(advancing: advancing, ownStage: ownStage)
        run.test.running.pause()
        try run.sendSlow()
        try run.test.advance(by: .seconds(40))
        run.test.running.resume()
        try run.expectNoneLate()
    }

    @Test(arguments: [false, true])
    func `does not begin while its stage waits for the next one`(advancing: Bool) throws {
        let run = try Run(advancing: advancing, ownStage: advancing)
        run.sink.pause()
        try run.sendSlow()
        try run.test.advance(by: .seconds(40))
        let waiting = run.test.running.instances.joined().filter {
            ["slow", "stamped"].contains($0.name) && $0.mailbox.depth > 0
        }
        #expect(!waiting.isEmpty)
        run.sink.resume()
        try run.expectNoneLate()
    }
}
