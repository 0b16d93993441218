import DequeModule
import Testing
import WeirCore

@Suite struct `A mailbox that spills to disk` {
    private func batch(_ numbers: Range<Int>) -> Delivery {
        Delivery(
            channel: 0, item: .batch(BatchBox(Batch(ContiguousArray(numbers)))))
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

    @Test func `makes the sender wait when the disk's share is full`() throws {
        let mailbox = Mailbox(
            owner: "test", policy: .bounded(10, overflow: .spill(limit: 1_000)))
        var sent = 0
        while mailbox.trySend(batch(sent..<(sent + 10))) == .sent { sent += 10 }
        #expect(sent > 100 && sent < 10_000)
        #expect(taken(from: mailbox) == Array(0..<sent))
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
}
