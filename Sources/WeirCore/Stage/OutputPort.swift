import DequeModule
import Synchronization

/// A delivery that found its mailbox full.
package struct BlockedDelivery {
    package let mailbox: Mailbox
    package let delivery: Delivery
    package let target: Int
}

/// The place a port's deliveries go to: a stage instance's mailbox, and the channel number this port has there.
package struct PortTarget: Sendable {
    package let mailbox: Mailbox
    package let channel: Int

    package init(mailbox: Mailbox, channel: Int) {
        self.mailbox = mailbox
        self.channel = channel
    }
}

/// Splits a batch by key group over a number of instances; made where the key's type is known.
@usableFromInline
package typealias Partitioner<Element> = @Sendable (Batch<Element>, Int) -> [Batch<Element>]

/// The end of an edge to another stage: collects what a batch emits until the batch is done, then
/// sends it.
///
/// Confined to its stage's actor. It handles batches without looking into them, so that its code
/// needs no type parameter, which would be looked up at run time for each batch. No closure runs
/// while one of its fields is being changed, so they need no check at run time for overlap.
@usableFromInline
package final class OutputPort {
    private typealias Item = Delivery.Item

    private struct Queue {
        let target: PortTarget
        var ready = Deque<Item>()
        var isClosed = false
    }

    @exclusivity(unchecked) private var queues: [Queue]
    private let partition: (@Sendable (any AnyBatch, Int) -> [(any AnyBatch)?])?
    @exclusivity(unchecked) private var pending: [Item] = []
    private let batchSize: Int
    private let metrics: StageMetrics
    @exclusivity(unchecked) package private(set) var readyEvents = 0
    @exclusivity(unchecked) private var hasReadySignals = false
    private var openTargets: Int

    package init(
        targets: [PortTarget], partition: (@Sendable (any AnyBatch, Int) -> [(any AnyBatch)?])?,
        batchSize: Int, metrics: StageMetrics
    ) {
        queues = targets.map { Queue(target: $0) }
        self.partition = targets.count > 1 ? partition : nil
        openTargets = targets.count
        // A batch never exceeds what the smallest mailbox holds.
        self.batchSize = targets.reduce(batchSize) { min($0, $1.mailbox.capacity) }
        self.metrics = metrics
    }

    /// Takes what an operator emits, to be sent when its batch is done.
    @usableFromInline
    package func emit(_ batch: any AnyBatch) {
        pending.append(.batch(batch))
    }

    @usableFromInline
    package func emit(_ signal: Signal) {
        pending.append(.signal(signal))
    }

    /// Puts a barrier behind all that was committed, for every target.
    package func emit(_ barrier: Barrier) {
        hasReadySignals = true
        for index in queues.indices { queues[index].ready.append(.barrier(barrier)) }
    }

    package func rollback() {
        pending.removeAll(keepingCapacity: true)
    }

    package func commit() {
        if pending.isEmpty { return }
        var emitted = 0
        for item in pending {
            switch item {
            case .batch(let batch):
                emitted += batch.count
                if let partition {
                    let parts = partition(batch, queues.count)
                    for index in parts.indices {
                        if let part = parts[index] { enqueue(part, at: index) }
                    }
                } else {
                    enqueue(batch, at: 0)
                }
            case .signal(let signal):
                for index in queues.indices { enqueue(signal, at: index) }
            case .barrier(let barrier): emit(barrier)
            }
        }
        pending.removeAll(keepingCapacity: true)
        metrics.eventsOut.advance(by: emitted)
    }

    /// Appends a batch, joining it with the one before while both are small.
    ///
    /// A watermark between two small batches may move behind the second one: it says less then,
    /// never something wrong.
    private func enqueue(_ batch: any AnyBatch, at index: Int) {
        readyEvents += batch.count
        guard batch.count * 4 <= batchSize else {
            var start = 0
            while batch.count - start > batchSize {
                queues[index].ready.append(.batch(batch.slice(start..<(start + batchSize))))
                start += batchSize
            }
            queues[index].ready.append(.batch(batch.slice(start..<batch.count)))
            return
        }
        var position = queues[index].ready.count - 1
        if position >= 1, case .signal(.watermark) = queues[index].ready[position] { position -= 1 }
        guard position >= 0, case .batch(let last) = queues[index].ready[position],
            last.count + batch.count <= batchSize
        else {
            queues[index].ready.append(.batch(batch))
            return
        }
        queues[index].ready[position] = .batch(last.joined(with: batch))
    }

    private func enqueue(_ signal: Signal, at index: Int) {
        hasReadySignals = true
        // What comes before the end of all time is handled otherwise than what comes with it.
        if case .watermark(let time) = signal, time != .max,
            case .signal(.watermark)? = queues[index].ready.last
        {
            queues[index].ready[queues[index].ready.count - 1] = .signal(signal)
        } else {
            queues[index].ready.append(.signal(signal))
        }
    }

    /// Whether there is something to send.
    package var hasReady: Bool { readyEvents > 0 || hasReadySignals }

    /// Sends what is ready, until a mailbox is full.
    package func sendReady() throws -> BlockedDelivery? {
        try sendReady { $0.trySend($1) }
    }

    /// The same; `claim` becomes a stage behind this port whose turn the caller has to do.
    func sendReady(claiming: Claiming, _ claim: inout StageActor?) throws -> BlockedDelivery? {
        try sendReady { $0.trySend($1, claiming: claiming, &claim) }
    }

    private func sendReady(
        by trySend: (Mailbox, Delivery) -> MailboxStateMachine.SendResult
    ) throws -> BlockedDelivery? {
        if !hasReady { return nil }
        var blocked: BlockedDelivery?
        for index in queues.indices {
            while let item = queues[index].ready.popFirst() {
                if queues[index].isClosed {
                    discard(item)
                    continue
                }
                let delivery = Delivery(channel: queues[index].target.channel, item: item)
                switch trySend(queues[index].target.mailbox, delivery) {
                case .sent: readyEvents -= delivery.weight
                case .closed:
                    readyEvents -= delivery.weight
                    metrics.countDropped(delivery.weight, reason: .cancelled)
                    close(target: index)
                case .overflow:
                    queues[index].ready.insert(item, at: 0)
                    throw MailboxOverflow(
                        stage: queues[index].target.mailbox.owner,
                        capacity: queues[index].target.mailbox.capacity)
                case .full, .cancelled:
                    if blocked == nil {
                        readyEvents -= delivery.weight
                        blocked = BlockedDelivery(
                            mailbox: queues[index].target.mailbox, delivery: delivery,
                            target: index)
                    } else {
                        queues[index].ready.insert(item, at: 0)
                    }
                }
                if blocked != nil { break }
            }
        }
        if blocked == nil { hasReadySignals = false }
        return blocked
    }

    package func abandon() -> Int {
        pending.removeAll()
        let lost = readyEvents
        readyEvents = 0
        for index in queues.indices {
            queues[index].ready.removeAll()
            enqueue(.end, at: index)
        }
        return lost
    }

    private func discard(_ item: Item) {
        guard case .batch(let batch) = item else { return }
        readyEvents -= batch.count
        metrics.countDropped(batch.count, reason: .cancelled)
    }

    package func close(target: Int) {
        if !queues[target].isClosed { openTargets -= 1 }
        queues[target].isClosed = true
    }

    package var isClosed: Bool { openTargets == 0 }

    /// How many events its targets have before them.
    package var load: Int {
        var load = readyEvents
        for queue in queues { load += queue.target.mailbox.depth }
        for case .batch(let batch) in pending { load += batch.count }
        return load
    }
}
