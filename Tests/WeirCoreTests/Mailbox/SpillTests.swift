import DequeModule
import Synchronization
import Testing
import WeirCore
import WeirTesting

@Suite struct `A mailbox that spills to disk` {
    private func batch(_ numbers: Range<Int>, channel: Int = 0) -> Delivery {
        Delivery(
            channel: channel, item: .batch(BatchBox(Batch(ContiguousArray(numbers)))))
    }

    @Test func `takes more than its capacity, and gives it back in order`() throws {
        let mailbox = Mailbox(
            owner: "test", policy: .bounded(100, overflow: .spill(limit: 1 << 20)))
        for start in stride(from: 0, to: 5_000, by: 50) {
            #expect(mailbox.trySend(batch(start..<(start + 50))) == .sent)
            if start == 1_000 {
                let signal = Delivery(channel: 0, item: .signal(.watermark(.init(nanoseconds: 7))))
                #expect(mailbox.trySend(signal) == .sent)
            }
        }
        #expect(mailbox.depth == 100)
        #expect(mailbox.spilledDepth == 4_900)
        #expect(taken(from: mailbox) == Array(0..<1_050) + [-7] + Array(1_050..<5_000))
        #expect(mailbox.spilledDepth == 0)
        #expect(mailbox.trySend(batch(0..<50)) == .sent)
        #expect(mailbox.spilledDepth == 0)
    }

    @Test func `keeps what its parts say of the source's position`() {
        let mailbox = Mailbox(
            owner: "test", policy: .bounded(2, overflow: .spill(limit: 1 << 20)))
        // Parts of two parcels: no checkpoint may be taken behind one that is continued.
        let parts: [(offset: Int64?, isContinued: Bool)] = [
            (nil, true), (nil, true), (6, false), (nil, true), (10, false),
        ]
        for part in parts {
            let box = BatchBox(Batch([1, 2]), position: part.offset.map { .init(offset: $0) })
            box.isContinued = part.isContinued
            #expect(mailbox.trySend(Delivery(channel: 0, item: .batch(box))) == .sent)
        }
        #expect(mailbox.spilledDepth == 8)
        var deliveries = Deque<Delivery>()
        var taken: [any AnyBatch] = []
        while case .deliveries? = mailbox.takeNow(into: &deliveries) {
            while let delivery = deliveries.popFirst() {
                if case .batch(let batch) = delivery.item { taken.append(batch) }
            }
        }
        #expect(taken.map(\.position?.offset) == parts.map(\.offset))
        #expect(taken.map(\.isContinued) == parts.map(\.isContinued))
    }

    @Test func `lets no checkpoint be taken between the parts of a parcel`() throws {
        let simulation = Simulation { world in
            let source = Source<Int>("parcels") { inlet in
                var sent = inlet.position.map { Int($0.offset) } ?? 0
                while sent < 600 {
                    let next = sent + 200
                    try await inlet.send(
                        Batch(ContiguousArray(sent..<next)),
                        position: SourcePosition(offset: Int64(next)))
                    sent = next
                }
            }
            return Topology("parcels") {
                EventStream("in", from: source).mailbox(.bounded(16, overflow: .spill()))
                    .scan(0) { count, _ in count + 1 }
                    // So slow that the source's stage waits behind each batch.
                    .stage("slow").mailbox(.bounded(4))
                    .filter { $0 % 100 == 0 }
                    .sink(world.sink("counts"))
            }
        }
        let report = try simulation.run(seeds: 0..<30)
        #expect(report.crashes > 10)
    }

    @Test func `makes the sender wait when the disk's share is full`() throws {
        let mailbox = Mailbox(
            owner: "test", policy: .bounded(10, overflow: .spill(limit: 1_000)))
        var sent = 0
        while mailbox.trySend(batch(sent..<(sent + 10))) == .sent { sent += 10 }
        #expect(sent > 100 && sent < 10_000)
        #expect(taken(from: mailbox) == Array(0..<sent))
    }

    @Test func `lets an input pass those that wait for it with a checkpoint`() {
        let mailbox = Mailbox(owner: "test", policy: .bounded(2, overflow: .spill(limit: 1)))
        #expect(mailbox.trySend(batch(0..<2)) == .sent)
        #expect(mailbox.trySend(batch(2..<4)) == .sent)
        var deliveries = Deque<Delivery>()
        #expect(mailbox.takeNow(into: &deliveries) == .deliveries)
        mailbox.hold(channel: 0)
        // The disk is full of what waits for the barrier that comes behind this.
        #expect(mailbox.trySend(batch(10..<12, channel: 1)) == .sent)
        #expect(mailbox.trySend(batch(12..<13, channel: 1)) == .full)
        #expect(mailbox.trySend(batch(4..<5)) == .full)
        let signal = Delivery(channel: 1, item: .signal(.watermark(.init(nanoseconds: 7))))
        #expect(mailbox.trySend(signal) == .sent)
        #expect(taken(from: mailbox) == [10, 11, -7])
        mailbox.releaseHeld()
        #expect(mailbox.trySend(batch(14..<15, channel: 1)) == .full)
        #expect(taken(from: mailbox) == [2, 3])
    }

    @Test func `is refused for events that are not Codable`() throws {
        struct Plain: Sendable {}
        let topology = Topology("spill") {
            EventStream("plain", from: .collection([Plain()]))
                .stage("slow").mailbox(.bounded(10, overflow: .spill()))
                .sink(.forEach { _ in })
        }
        let error = #expect(throws: TopologyError.self) { try topology.validate() }
        #expect(error.map { "\($0)".contains("can't spill to disk") } == true)
    }

    /// All numbers that are queued, a watermark as its negative time.
    private func taken(from mailbox: Mailbox) -> [Int] {
        var numbers: [Int] = []
        var deliveries = Deque<Delivery>()
        while case .deliveries? = mailbox.takeNow(into: &deliveries) {
            while let delivery = deliveries.popFirst() {
                switch delivery.item {
                case .batch(let batch):
                    for index in 0..<batch.count {
                        if let number = batch.event(at: index) as? Int { numbers.append(number) }
                    }
                case .signal(.watermark(let time)): numbers.append(Int(-time.nanoseconds))
                default: break
                }
            }
        }
        return numbers
    }

    @Test func `says that there is room when there is, on the disk or behind it`() {
        let mailbox = Mailbox(owner: "test", policy: .bounded(2, overflow: .spill(limit: 1)))
        #expect(mailbox.trySend(batch(0..<2)) == .sent)
        #expect(mailbox.trySend(batch(2..<4)) == .sent)
        var deliveries = Deque<Delivery>()
        #expect(mailbox.takeNow(into: &deliveries) == .deliveries)
        // The mailbox is empty now, but what is on the disk comes first.
        #expect(mailbox.trySend(batch(4..<5)) == .full)
        let calls = Mutex(0)
        mailbox.whenSpace { calls.withLock { $0 += 1 } }
        #expect(calls.withLock { $0 } == 0)
        #expect(mailbox.trySend(batch(4..<5)) == .full)
        deliveries.removeAll()
        #expect(mailbox.takeNow(into: &deliveries) == .deliveries)
        #expect(calls.withLock { $0 } == 1)
        #expect(mailbox.trySend(batch(4..<5)) == .sent)
    }
}
