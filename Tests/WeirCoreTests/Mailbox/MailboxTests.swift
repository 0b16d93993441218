import DequeModule
import Synchronization
import Testing

@testable import WeirCore

private func events(_ values: ContiguousArray<Int>, channel: Int = 0) -> Delivery {
    Delivery(channel: channel, item: .batch(BatchBox(Batch(values))))
}

private func values(_ deliveries: some Sequence<Delivery>) -> [Int] {
    deliveries.flatMap { delivery -> [Int] in
        guard case .batch(let batch) = delivery.item else { return [] }
        return (0..<batch.count).compactMap { batch.event(at: $0) as? Int }
    }
}

private final class Filler: BatchFiller {
    let open: Mutex<ContiguousArray<Int>>

    init(_ values: ContiguousArray<Int>) { open = Mutex(values) }

    func takeOpenBatch() -> (any AnyBatch)? {
        open.withLock { open in
            if open.isEmpty { return nil }
            defer { open.removeAll() }
            return BatchBox(Batch(open))
        }
    }
}

@Suite struct `A bounded mailbox` {
    private func taken(_ mailbox: Mailbox) -> [Int]? {
        var deliveries = Deque<Delivery>()
        guard mailbox.takeNow(into: &deliveries) == .deliveries else { return nil }
        return values(deliveries)
    }

    @Test func `refuses what exceeds its capacity`() {
        let mailbox = Mailbox(owner: "m", policy: .bounded(4))
        #expect(mailbox.trySend(events([1, 2, 3])) == .sent)
        #expect(mailbox.trySend(events([4, 5])) == .full)
        #expect(mailbox.trySend(events([4])) == .sent)
        #expect(mailbox.depth == 4)
        #expect(taken(mailbox) == [1, 2, 3, 4])
        #expect(mailbox.depth == 0)
    }

    @Test func `leaves it to the sender when its consumer is woken`() async {
        let mailbox = Mailbox(owner: "m", policy: .bounded(4))
        let consumer = Task {
            var all: [Int] = []
            var deliveries = Deque<Delivery>()
            while await mailbox.next(into: &deliveries) != .closed {
                all += values(deliveries)
                deliveries.removeAll()
            }
            return all
        }
        let wakeUps = ConsumerWakeUps()
        var sent = 0
        // Until the consumer is one that waits.
        while wakeUps.isEmpty {
            if mailbox.trySend(events([sent + 1]), wakeUps: wakeUps) == .sent { sent += 1 }
            await Task.yield()
        }
        for _ in 0..<100 { await Task.yield() }
        #expect(mailbox.depth == 1)
        #expect(!mailbox.wantsMore)
        wakeUps.wakeAll()
        while mailbox.depth > 0 { await Task.yield() }
        mailbox.close()
        #expect(await consumer.value == Array(1...sent))
    }

    @Test func `takes signals also when it is full`() {
        let mailbox = Mailbox(owner: "m", policy: .bounded(1))
        #expect(mailbox.trySend(events([1])) == .sent)
        #expect(mailbox.trySend(Delivery(channel: 0, item: .signal(.idle))) == .sent)
        #expect(mailbox.depth == 1)
    }

    @Test func `drops the oldest and counts them`() {
        let mailbox = Mailbox(owner: "m", policy: .bounded(4, overflow: .dropOldest))
        #expect(mailbox.trySend(events([1, 2, 3])) == .sent)
        #expect(mailbox.trySend(events([4, 5, 6])) == .sent)
        #expect(mailbox.dropped.load(ordering: .relaxed) == 2)
        #expect(taken(mailbox) == [3, 4, 5, 6])
        #expect(mailbox.trySend(events([7])) == .sent)
        #expect(mailbox.trySend(events([1, 2, 3, 4, 5, 6])) == .sent)
        #expect(mailbox.dropped.load(ordering: .relaxed) == 5)
        #expect(taken(mailbox) == [3, 4, 5, 6])
    }

    @Test func `drops the newest and counts them`() {
        let mailbox = Mailbox(owner: "m", policy: .bounded(4, overflow: .dropNewest))
        #expect(mailbox.trySend(events([1, 2, 3])) == .sent)
        #expect(mailbox.trySend(events([4, 5, 6])) == .sent)
        #expect(mailbox.trySend(events([7])) == .sent)
        #expect(mailbox.dropped.load(ordering: .relaxed) == 3)
        #expect(taken(mailbox) == [1, 2, 3, 4])
    }

    @Test func `fails the sender when that is its policy`() async {
        let mailbox = Mailbox(owner: "m", policy: .bounded(2, overflow: .fail))
        #expect(mailbox.trySend(events([1, 2])) == .sent)
        #expect(mailbox.trySend(events([3])) == .overflow)
        await #expect(throws: MailboxOverflow.self) { try await mailbox.send(events([3])) }
        #expect(taken(mailbox) == [1, 2])
    }

    @Test func `keeps signals in their place when it drops the oldest`() {
        let mailbox = Mailbox(owner: "m", policy: .bounded(2, overflow: .dropOldest))
        _ = mailbox.trySend(events([1, 2]))
        _ = mailbox.trySend(Delivery(channel: 0, item: .signal(.end)))
        _ = mailbox.trySend(events([3, 4]))
        var deliveries = Deque<Delivery>()
        #expect(mailbox.takeNow(into: &deliveries) == .deliveries)
        guard case .signal(.end)? = deliveries.first?.item else {
            Issue.record("the signal is gone")
            return
        }
        #expect(values(deliveries) == [3, 4])
    }

    @Test func `takes open batches when it runs dry`() {
        let mailbox = Mailbox(owner: "m", policy: .bounded(4))
        mailbox.attach(Filler([7]))
        #expect(!mailbox.wantsMore)
        #expect(taken(mailbox) == [7])
        #expect(!mailbox.wantsMore)
        #expect(taken(mailbox) == nil)
        #expect(mailbox.wantsMore)
    }

    @Test func `takes open batches when it is resumed`() async {
        let mailbox = Mailbox(owner: "m", policy: .bounded(4))
        let filler = Filler([])
        mailbox.attach(filler)
        mailbox.setPaused(true)
        let consumer = Task {
            var deliveries = Deque<Delivery>()
            let turn = await mailbox.next(into: &deliveries)
            return (turn, values(deliveries))
        }
        while !mailbox.wantsMore { await Task.yield() }
        filler.open.withLock { $0 = [7] }
        // Let the consumer get to its wait.
        for _ in 0..<100 { await Task.yield() }
        mailbox.setPaused(false)
        let (turn, received) = await consumer.value
        #expect(turn == .deliveries)
        #expect(received == [7])
    }

    @Test func `closing discards, counts and wakes both ends`() async throws {
        let mailbox = Mailbox(owner: "m", policy: .bounded(2))
        _ = mailbox.trySend(events([1, 2]))
        let sender = Task { try await mailbox.send(events([3])) }
        for _ in 0..<100 { await Task.yield() }
        mailbox.close()
        await #expect(throws: MailboxClosed.self) { try await sender.value }
        #expect(mailbox.discarded.load(ordering: .relaxed) == 2)
        var deliveries = Deque<Delivery>()
        #expect(await mailbox.next(into: &deliveries) == .closed)
        #expect(mailbox.trySend(events([1])) == .closed)
    }

    @Test func `closing wakes a waiting consumer`() async {
        let mailbox = Mailbox(owner: "m", policy: .bounded(2))
        let consumer = Task {
            var deliveries = Deque<Delivery>()
            return await mailbox.next(into: &deliveries)
        }
        while !mailbox.wantsMore { await Task.yield() }
        mailbox.close()
        #expect(await consumer.value == .closed)
    }

    @Test func `a cancelled sender leaves the line and the others get in`() async throws {
        let mailbox = Mailbox(owner: "m", policy: .bounded(2))
        _ = mailbox.trySend(events([1, 2]))
        let first = Task { try await mailbox.send(events([3])) }
        for _ in 0..<50 { await Task.yield() }
        let second = Task { try await mailbox.send(events([4])) }
        for _ in 0..<50 { await Task.yield() }
        first.cancel()
        await #expect(throws: CancellationError.self) { try await first.value }
        #expect(taken(mailbox) == [1, 2])
        try await second.value
        #expect(taken(mailbox) == [4])
    }

    @Test func `calls back only when what was refused has room`() {
        let mailbox = Mailbox(owner: "m", policy: .bounded(10))
        _ = mailbox.trySend(events([1, 2, 3, 4, 5]))
        #expect(mailbox.trySend(events([1, 2, 3, 4, 5, 6])) == .full)
        let called = Atomic<Int>(0)
        mailbox.whenSpace { called.add(1, ordering: .relaxed) }
        #expect(called.load(ordering: .relaxed) == 0)
        _ = taken(mailbox)
        #expect(called.load(ordering: .relaxed) == 1)
        mailbox.whenSpace { called.add(1, ordering: .relaxed) }
        #expect(called.load(ordering: .relaxed) == 2)
    }

    @Test func `serves four producers in turn, each in order, within its bound`() async throws {
        let mailbox = Mailbox(owner: "m", policy: .bounded(8))
        let count = 2_000
        let received = try await withThrowingTaskGroup(of: [Int].self) { group in
            for producer in 0..<4 {
                group.addTask {
                    for value in 0..<count {
                        try await mailbox.send(events([producer * count + value]))
                    }
                    return []
                }
            }
            var all: [Int] = []
            var deliveries = Deque<Delivery>()
            while all.count < 4 * count {
                _ = await mailbox.next(into: &deliveries)
                #expect(deliveries.reduce(0) { $0 + $1.weight } <= 8)
                #expect(mailbox.depth <= 8)
                all += values(deliveries)
                deliveries.removeAll()
                await Task.yield()
            }
            try await group.waitForAll()
            return all
        }
        for producer in 0..<4 {
            let own = received.filter { $0 / count == producer }
            #expect(own == Array(producer * count..<(producer + 1) * count))
        }
    }

    @Test func `lets waiting senders in first come, first served`() {
        var machine = MailboxStateMachine(policy: .bounded(2))
        guard case .accepted = machine.offer(events([0, 0])) else {
            Issue.record("an empty mailbox refused")
            return
        }
        for id in 1...4 {
            guard case .full = machine.offer(events([id])) else {
                Issue.record("a full mailbox took \(id)")
                return
            }
            machine.enqueueWaiter(.init(id: UInt64(id), delivery: events([id])) { _ in })
        }
        var order: [Int] = []
        for _ in 0..<3 {
            var deliveries = Deque<Delivery>()
            _ = machine.take(into: &deliveries)
            order += values(deliveries)
            #expect(machine.depth <= 2)
        }
        #expect(order == [0, 0, 1, 2, 3, 4])
    }

    // MARK: Checkpoints

    private func barrier(_ channel: Int) -> Delivery {
        Delivery(
            channel: channel, item: .barrier(Barrier(checkpoint: 1, suspends: false)))
    }

    private func sums(_ machine: inout MailboxStateMachine) -> [String] {
        var deliveries = Deque<Delivery>()
        guard case .taken = machine.take(into: &deliveries) else { return [] }
        return deliveries.map { delivery in
            if case .barrier = delivery.item { return "|" }
            return values([delivery]).map(String.init).joined(separator: " ")
        }
    }

    @Test func `conflates nothing across a barrier, and nothing of two channels`() {
        let policy = OverflowPolicy(
            kind: .conflate { left, right in
                BatchBox(
                    Batch([
                        values([left, right].map { Delivery(channel: 0, item: .batch($0)) }).reduce(
                            0, +)
                    ]))
            })
        var machine = MailboxStateMachine(policy: .bounded(1, overflow: policy))
        for value in 1...3 { _ = machine.offer(events([value])) }
        _ = machine.offer(barrier(0))
        _ = machine.offer(events([10]))
        _ = machine.offer(Delivery(channel: 0, item: .signal(.watermark(.min))))
        _ = machine.offer(events([20]))
        _ = machine.offer(events([100], channel: 1))
        _ = machine.offer(events([200], channel: 1))
        #expect(sums(&machine) == ["6", "|", "30", "", "300"])
    }

    @Test func `lets senders in that waited while their channel was held`() {
        var machine = MailboxStateMachine(policy: .bounded(1))
        guard case .accepted = machine.offer(events([1], channel: 1)),
            case .full = machine.offer(events([2], channel: 0))
        else {
            Issue.record("the mailbox has another capacity")
            return
        }
        machine.enqueueWaiter(.init(id: 7, delivery: events([2], channel: 0)) { _ in })
        machine.hold(channel: 0)
        #expect(sums(&machine) == ["1"])
        let (_, resumed) = machine.releaseHeld()
        #expect(resumed.map(\.id) == [7])
        #expect(machine.hasDeliveries)
        #expect(sums(&machine) == ["2"])
    }

    @Test func `keeps the position behind what it drops`() {
        let policy = MailboxPolicy.bounded(4, overflow: .dropNewest)
        func position(_ offset: Int64) -> SourcePosition { SourcePosition(offset: offset) }
        func taken(_ batches: [BatchBox<Int>]) -> [BatchHeader] {
            var machine = MailboxStateMachine(policy: policy)
            for batch in batches { _ = machine.offer(Delivery(channel: 0, item: .batch(batch))) }
            var deliveries = Deque<Delivery>()
            _ = machine.take(into: &deliveries)
            return deliveries.compactMap { delivery -> BatchHeader? in
                if case .batch(let batch) = delivery.item { batch } else { nil }
            }
        }
        let first = BatchBox(Batch([1, 2, 3]), position: position(3))
        let second = BatchBox(Batch([4, 5, 6]), position: position(6))
        var left = taken([first, second])
        #expect(left.map(\.count) == [3, 1])
        #expect(left.last?.position == position(6) && left.last?.isContinued == false)
        let part = BatchBox(Batch([1, 2, 3, 4]))
        part.isContinued = true
        left = taken([part, second])
        #expect(left.map(\.count) == [4])
        #expect(left.last?.position == position(6) && left.last?.isContinued == false)
    }

    @Test func `that is closed is held up by no pause`() {
        let clock = VirtualClock(startingAt: EventTime())
        for isPausedBefore in [true, false] {
            let held = HeldTime()
            let holdUps = HoldUps([held], clock: clock)
            let mailbox = Mailbox(owner: "m", policy: .bounded(1), holdUps: holdUps)
            if isPausedBefore { mailbox.setPaused(true) }
            mailbox.close()
            if !isPausedBefore { mailbox.setPaused(true) }
            let closed = clock.monotonicNanoseconds()
            #expect(held.reading(at: closed + 5).total == .zero)
            mailbox.setPaused(false)
            // The wait of another stage counts.
            held.begin(at: closed)
            #expect(held.reading(at: closed + 5).total == .nanoseconds(5))
        }
    }
}
