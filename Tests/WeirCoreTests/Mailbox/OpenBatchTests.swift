import DequeModule
import Synchronization
import Testing
import WeirTesting

@testable import WeirCore

/// Events that an inlet gathers while the stage is busy: in order with what it has sent before and
/// sends behind them.
@Suite struct `An open batch` {
    private let mailbox: Mailbox
    private let core: InletCore<Int>

    init() {
        mailbox = Mailbox(owner: "m", policy: .bounded(8))
        core = InletCore<Int>(mailbox: mailbox, batchSize: 4)
        mailbox.attach(core)
    }

    /// The batches that are taken in one turn, a watermark as its negative time.
    private func taken() -> [[Int]]? {
        var deliveries = Deque<Delivery>()
        guard case .deliveries? = mailbox.takeNow(into: &deliveries) else { return nil }
        return deliveries.map { delivery in
            switch delivery.item {
            case .batch(let batch): (0..<batch.count).map { batch.event(at: $0) as? Int ?? -1 }
            case .signal(.watermark(let time)): [Int(-time.nanoseconds)]
            default: []
            }
        }
    }

    private func send(_ numbers: ClosedRange<Int>) throws -> Bool {
        try core.trySend(Parcel(Batch(ContiguousArray(numbers)))) == nil
    }

    @Test func `is taken behind the batches that are queued`() throws {
        for number in 1...4 {
            if let full = core.append(number) { #expect(try core.trySend(full) == nil) }
        }
        #expect(core.append(5) == nil && core.append(6) == nil)
        #expect(mailbox.depth == 4)
        #expect(taken() == [[1, 2, 3, 4]])
        #expect(taken() == [[5, 6]])
        #expect(taken() == nil)
    }

    @Test func `is in front of the batches that are sent behind it`() throws {
        #expect(core.append(1) == nil && core.append(2) == nil)
        #expect(try send(3...3))
        #expect(try send(4...6))
        #expect(core.append(7) == nil)
        #expect(taken() == [[1, 2, 3], [4, 5, 6]])
        #expect(taken() == [[7]])
    }

    @Test func `stays in front of a batch that has found no room`() throws {
        #expect(try send(1...4))
        #expect(try send(5...8))
        #expect(core.append(9) == nil && core.append(10) == nil)
        #expect(try !send(11...14))
        #expect(core.append(11) == nil)
        #expect(taken() == [[1, 2, 3, 4], [5, 6, 7, 8]])
        #expect(try send(12...15))
        #expect(taken() == [[9, 10, 11], [12, 13, 14, 15]])
    }

    @Test func `leaves before a batch that is sent in parts`() async throws {
        #expect(core.append(2) == nil)
        try await core.sendBehindHeld(Parcel(Batch([3, 4, 5, 6, 7, 8])))
        #expect(taken() == [[2], [3, 4, 5, 6], [7, 8]])
    }

    @Test(arguments: TopologyTest.seeds(20))
    func `leaves before a signal`(seed: UInt64) throws {
        let source = Source<Int>("signals") { inlet in
            for number in 1...20 {
                // Nothing here waits, so the stage is busy with the first event for some of them.
                try await inlet.send(number)
                if number % 3 == 0 {
                    try await inlet.send(.watermark(EventTime(nanoseconds: Int64(number))))
                }
            }
        }
        let seen = Mutex<[Int]>([])
        let test = try TopologyTest(
            Topology("signals") {
                EventStream("in", from: source)
                    .transform("seen", at: SourceLocation(#fileID, #line)) {
                        (_, downstream: Receiver<Int>) in
                        Receiver(
                            batch: { batch in
                                seen.withLock { $0 += batch.elements }
                                try downstream.batch(batch)
                            },
                            signal: { signal in
                                if case .watermark(let time) = signal, time < .max {
                                    seen.withLock { $0.append(-Int(time.nanoseconds)) }
                                }
                                try downstream.signal(signal)
                            })
                    }.sink(.forEach { _ in })
            }, seed: seed)
        try test.finish()
        let expected: [Int] = (1...20).flatMap { (number: Int) -> [Int] in
            number % 3 == 0 ? [number, -number] : [number]
        }
        let received = seen.withLock { $0 }
        #expect(received == expected)
    }

    @Test func `comes back in front of what was gathered since`() {
        core.putBack(Parcel(Batch([1, 2])))
        #expect(core.append(3) == nil)
        core.putBack(Parcel(Batch([0])))
        #expect(taken() == [[0, 1, 2, 3]])
    }

    @Test func `that was put back still belongs to the position of what follows`() {
        var part = Parcel(Batch([1, 2]))
        part.isContinued = true
        core.putBack(part)
        let open = core.takeOpen()
        #expect(open?.batch.elements == [1, 2])
        #expect(open?.isContinued == true)
    }

    /// Does something when the mailbox looks for open batches, before it comes to the inlet's.
    private final class Between: BatchFiller {
        let action: @Sendable () -> Void
        init(_ action: @escaping @Sendable () -> Void) { self.action = action }
        func takeOpenBatch() -> (any AnyBatch)? {
            action()
            return nil
        }
    }

    @Test func `is none while the consumer looks for one`() {
        let mailbox = Mailbox(owner: "m", policy: .bounded(8))
        let core = InletCore<Int>(mailbox: mailbox, batchSize: 4)
        let sent = Mutex(0)
        mailbox.attach(
            Between {
                // The consumer has seen an empty queue: what comes now is queued, not gathered.
                for number in 1...3 {
                    guard let parcel = core.append(number) else { continue }
                    if (try? core.trySend(parcel) == nil) == true {
                        sent.withLock { $0 += 1 }
                    }
                }
            })
        mailbox.attach(core)
        var deliveries = Deque<Delivery>()
        let first = mailbox.takeNow(into: &deliveries)
        #expect(first == nil)
        #expect(sent.withLock { $0 } == 3)
        let second = mailbox.takeNow(into: &deliveries)
        #expect(second == .deliveries)
        #expect(deliveries.map(\.weight) == [1, 1, 1])
    }

    @Test func `is not taken in place of what was queued meanwhile`() throws {
        var deliveries = Deque<Delivery>()
        // The consumer has found nothing, and a producer does not know yet.
        let none = mailbox.takeQueued(into: &deliveries)
        #expect(none == nil)
        #expect(try send(1...4))
        #expect(core.append(5) == nil)
        let turn = mailbox.takeHeldBack(into: &deliveries)
        #expect(turn == .deliveries)
        #expect(deliveries.map(\.weight) == [4])
        #expect(taken() == [[5]])
    }
}
