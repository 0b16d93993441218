import DequeModule
import Testing
import WeirCore
import WeirTesting

private func batch(_ values: Int..., channel: Int) -> Delivery {
    Delivery(channel: channel, item: .batch(BatchBox(Batch(ContiguousArray(values)))))
}

@Suite struct `A mailbox with lanes` {
    private static func machine(
        maximumRun: Int, capacity: Int = 8, lanes: Int = 2
    ) -> MailboxStateMachine {
        MailboxStateMachine(
            policy: .bounded(capacity),
            lanes: MailboxLanes.Layout(
                inputOfChannel: Array(0..<lanes), maximumRun: maximumRun))
    }

    private func taken(_ machine: inout MailboxStateMachine) -> [Int] {
        var deliveries = Deque<Delivery>()
        _ = machine.take(into: &deliveries)
        return deliveries.flatMap { delivery -> [Int] in
            guard case .batch(let batch) = delivery.item else { return [] }
            return (0..<batch.count).compactMap { batch.event(at: $0) as? Int }
        }
    }

    @Test func `gives the most urgent lane first`() {
        var machine = Self.machine(maximumRun: 0, lanes: 3)
        for (value, channel) in [(7, 2), (4, 1), (8, 2), (1, 0), (5, 1), (2, 0)] {
            _ = machine.offer(batch(value, channel: channel))
        }
        #expect(machine.depth == 6)
        #expect(taken(&machine) == [1, 2])
        #expect(taken(&machine) == [4, 5])
        _ = machine.offer(batch(3, channel: 0))
        #expect(taken(&machine) == [3])
        #expect(taken(&machine) == [7, 8])
        #expect(machine.depth == 0)
        #expect(!machine.hasDeliveries)
    }

    @Test func `gives a lane its turn after so many that passed it`() {
        var machine = Self.machine(maximumRun: 2, capacity: 100)
        for value in 1...5 { _ = machine.offer(batch(value, channel: 0)) }
        for value in 11...13 { _ = machine.offer(batch(value, channel: 1)) }
        #expect(taken(&machine) == [1, 2])
        #expect(taken(&machine) == [11])
        #expect(taken(&machine) == [3, 4])
        #expect(taken(&machine) == [12])
        #expect(taken(&machine) == [5])
        #expect(taken(&machine) == [13])
    }

    @Test func `gives a lane its turn also after those of less urgent ones`() {
        var machine = Self.machine(maximumRun: 10, capacity: 100, lanes: 3)
        for value in 201...202 { _ = machine.offer(batch(value, channel: 2)) }
        for value in 1...8 { _ = machine.offer(batch(value, channel: 0)) }
        #expect(taken(&machine) == Array(1...8))
        _ = machine.offer(batch(101, channel: 1))
        for value in 9...60 { _ = machine.offer(batch(value, channel: 0)) }
        var passed: [Int] = []
        while passed.last != 101, machine.hasDeliveries { passed += taken(&machine) }
        #expect(passed.count <= 12, "\(passed)")
    }

    @Test func `is full for one lane and has room for another`() {
        var machine = Self.machine(maximumRun: 0, capacity: 2)
        _ = machine.offer(batch(1, 2, channel: 1))
        guard case .full = machine.offer(batch(3, channel: 1)) else {
            Issue.record("a full lane took more")
            return
        }
        guard case .accepted = machine.offer(batch(9, channel: 0)) else {
            Issue.record("a lane with room refused")
            return
        }
        machine.enqueueWaiter(.init(id: 1, delivery: batch(3, channel: 1)) { _ in })
        #expect(taken(&machine) == [9])
        #expect(taken(&machine) == [1, 2])
        #expect(taken(&machine) == [3])
        #expect(machine.totalCapacity == 4)
    }

    @Test func `lets a lane through while a more urgent one is held for a checkpoint`() {
        var machine = Self.machine(maximumRun: 0)
        _ = machine.offer(batch(1, channel: 0))
        machine.hold(channel: 0)
        _ = machine.offer(batch(2, channel: 0))
        _ = machine.offer(batch(11, channel: 1))
        #expect(taken(&machine) == [11])
        #expect(taken(&machine) == [])
        _ = machine.releaseHeld()
        #expect(taken(&machine) == [1, 2])
    }

    @Test func `discards what is in all lanes when it closes`() {
        var machine = Self.machine(maximumRun: 0)
        _ = machine.offer(batch(1, 2, channel: 0))
        _ = machine.offer(batch(3, channel: 1))
        #expect(machine.close().discarded == 3)
        guard case .closed = machine.offer(batch(4, channel: 0)) else {
            Issue.record("a closed mailbox took something")
            return
        }
    }
}

@Suite struct `A prioritised merge` {
    @Test(arguments: TopologyTest.seeds(10))
    func `hands over what is urgent first`(seed: UInt64) throws {
        let (urgent, routine) = (SourceProbe<Int>(), SourceProbe<Int>())
        let out = SinkProbe<Int>()
        let test = try TopologyTest(
            Topology("priorities") {
                EventStream("urgent", from: urgent.source)
                    .merge(prioritisedOver: EventStream("routine", from: routine.source))
                    .sink(out.sink)
            }, seed: seed)
        test.running.stage("merge")?.pause()
        routine.send(contentsOf: 100..<110)
        try test.run()
        urgent.send(contentsOf: 0..<10)
        try test.run()
        test.running.stage("merge")?.resume()
        try test.run()
        #expect(out.received == Array(0..<10) + Array(100..<110), "\(test)")
        urgent.finish()
        routine.finish()
        try test.finish()
    }

    @Test(arguments: TopologyTest.seeds(10))
    func `holds up only the input that it does not take from`(seed: UInt64) throws {
        let (urgent, routine) = (SourceProbe<Int>(), SourceProbe<Int>())
        let out = SinkProbe<Int>()
        var configuration = TopologyTest.configuration
        configuration.batchSize = 1
        let test = try TopologyTest(
            Topology("priorities") {
                EventStream("urgent", from: urgent.source).mailbox(.bounded(1))
                    .merge(
                        prioritisedOver: EventStream("routine", from: routine.source)
                            .mailbox(.bounded(1)), maximumRun: 0
                    )
                    .mailbox(.bounded(4))
                    .sink(out.sink)
            }, seed: seed, configuration: configuration)
        test.running.stage("merge")?.pause()
        for value in 100..<120 { routine.send(value) }
        try test.run()
        #expect(routine.pending > 0)
        for value in 0..<3 { urgent.send(value) }
        try test.run()
        #expect(urgent.pending == 0)
        test.running.stage("merge")?.resume()
        urgent.finish()
        routine.finish()
        try test.finish()
        #expect(out.received.prefix(3) == [0, 1, 2], "\(test)")
        #expect(out.received.sorted() == Array(0..<3) + Array(100..<120))
    }

    @Test func `has the event time of the slowest input`() throws {
        let (urgent, routine) = (SourceProbe<Reading>(), SourceProbe<Reading>())
        let out = SinkProbe<Int>()
        let test = try TopologyTest(
            Topology("priorities") {
                EventStream("urgent", from: urgent.source).eventTime(\.at, .monotonic.neverIdle)
                    .merge(
                        prioritisedOver: EventStream("routine", from: routine.source)
                            .eventTime(\.at, .monotonic.neverIdle)
                    )
                    .keyed(by: \.key).window(.tumbling(.seconds(10))).aggregate(.count()).map(
                        \.value
                    )
                    .sink(out.sink)
            })
        urgent.send(Reading(0, 1, at: 1))
        urgent.send(Reading(0, 1, at: 100))
        try test.run()
        #expect(out.received.isEmpty)
        routine.send(Reading(0, 2, at: 2))
        routine.send(Reading(0, 2, at: 50))
        try test.run()
        #expect(out.received == [2])
        urgent.finish()
        routine.finish()
        try test.finish()
    }

    @Test func `refuses a negative run`() {
        let numbers = EventStream("a", from: .collection([1]))
        let other = EventStream("b", from: .collection([1]))
        let topology = Topology("wrong") {
            numbers.merge(prioritisedOver: other, maximumRun: -1).sink(.discard)
        }
        #expect(throws: TopologyError.self) { try topology.validate() }
    }

    @Test(arguments: [0, 1, 8_192])
    func `loses nothing when the process crashes anywhere`(maximumRun: Int) throws {
        let simulation = Simulation { world in
            Topology("priorities") {
                EventStream("urgent", from: world.source("urgent", Array(0..<20)))
                    .merge(
                        prioritisedOver: EventStream(
                            "routine", from: world.source("routine", Array(100..<120))),
                        maximumRun: maximumRun
                    )
                    .mailbox(.bounded(4))
                    .keyed(by: { $0 })
                    .distinct()
                    .sink(world.sink("first", order: .any))
            }
        }.parallelism(1...4)
        try simulation.run(seeds: 0..<40)
    }
}
