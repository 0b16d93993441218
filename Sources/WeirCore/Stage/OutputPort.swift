import Synchronization
import DequeModule

/// One end of an edge to another stage: collects what a batch emits until the batch is done, then sends it.
package protocol AnyOutputPort: AnyObject {
    /// What the batch has emitted may leave.
    func commit()
    /// What the batch has emitted is forgotten.
    func rollback()
    /// Events that may leave but have not left yet.
    var readyEvents: Int { get }
    /// Sends until nothing is left (nil) or a mailbox is full: then the delivery that has to wait, and for whom.
    func sendReady() throws -> BlockedDelivery?
    /// The receiver of a blocked delivery is gone.
    func close(target: Int)
    /// Whether nobody listens any more.
    var isClosed: Bool { get }
}

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

/// The port of an edge whose events are of type `Element`; confined to its stage's actor.
package final class OutputPort<Element: Sendable>: AnyOutputPort {
    private enum Item {
        case batch(Batch<Element>)
        case signal(Signal)
    }

    private struct Queue {
        let target: PortTarget
        var ready = Deque<Item>()
        var isClosed = false
    }

    private var queues: [Queue]
    private let partition: Partitioner<Element>?
    private var pending: [Item] = []
    private let batchSize: Int
    private let metrics: StageMetrics
    package private(set) var readyEvents = 0
    private var hasReadySignals = false

    package init(
        targets: [PortTarget], partition: Partitioner<Element>?, batchSize: Int,
        metrics: StageMetrics
    ) {
        queues = targets.map { Queue(target: $0) }
        self.partition = targets.count > 1 ? partition : nil
        // A batch never exceeds what the smallest mailbox holds.
        self.batchSize = targets.map(\.mailbox.capacity).reduce(batchSize, min)
        self.metrics = metrics
    }

    package var receiver: Receiver<Element> {
        Receiver(
            batch: { [unowned self] batch in
                if !batch.isEmpty { pending.append(.batch(batch)) }
            },
            signal: { [unowned self] signal in pending.append(.signal(signal)) })
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
                    for index in parts.indices where !parts[index].isEmpty {
                        enqueue(parts[index], at: index)
                    }
                } else {
                    enqueue(batch, at: 0)
                }
            case .signal(let signal):
                for index in queues.indices { enqueue(signal, at: index) }
            }
        }
        pending.removeAll(keepingCapacity: true)
        metrics.eventsOut.add(emitted, ordering: .relaxed)
    }

    /// Appends a batch, joining it with the one before while both are small. A watermark between two small batches
    /// may move behind the second one: it says less then, never something wrong.
    private func enqueue(_ batch: Batch<Element>, at index: Int) {
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
        guard position >= 0, case .batch(var last) = queues[index].ready[position],
            last.count + batch.count <= batchSize
        else {
            queues[index].ready.append(.batch(batch))
            return
        }
        // Give up the queue's reference first, so that the batch grows in place.
        queues[index].ready[position] = .signal(.idle)
        last.append(contentsOf: batch)
        queues[index].ready[position] = .batch(last)
    }

    private func enqueue(_ signal: Signal, at index: Int) {
        hasReadySignals = true
        if case .watermark = signal, case .signal(.watermark)? = queues[index].ready.last {
            queues[index].ready[queues[index].ready.count - 1] = .signal(signal)
        } else {
            queues[index].ready.append(.signal(signal))
        }
    }

    package func sendReady() throws -> BlockedDelivery? {
        if readyEvents == 0 && !hasReadySignals { return nil }
        var blocked: BlockedDelivery?
        for index in queues.indices {
            while let item = queues[index].ready.popFirst() {
                if queues[index].isClosed {
                    discard(item)
                    continue
                }
                let delivery = makeDelivery(item, queue: index)
                switch queues[index].target.mailbox.trySend(delivery) {
                case .sent: readyEvents -= delivery.weight
                case .closed:
                    readyEvents -= delivery.weight
                    metrics.countDropped(delivery.weight, reason: .cancelled)
                    queues[index].isClosed = true
                case .overflow:
                    readyEvents -= delivery.weight
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
                        queues[index].ready.prepend(undo(delivery))
                    }
                }
                if blocked != nil { break }
            }
        }
        if blocked == nil { hasReadySignals = false }
        return blocked
    }

    private func makeDelivery(_ item: Item, queue index: Int) -> Delivery {
        let channel = queues[index].target.channel
        switch item {
        case .signal(let signal): return Delivery(channel: channel, item: .signal(signal))
        case .batch(let batch): return Delivery(channel: channel, item: .batch(BatchBox(batch)))
        }
    }

    private func undo(_ delivery: Delivery) -> Item {
        switch delivery.item {
        case .signal(let signal): .signal(signal)
        case .batch(let batch):
            .batch(unsafeDowncast(batch, to: BatchBox<Element>.self).batch)
        }
    }

    private func discard(_ item: Item) {
        guard case .batch(let batch) = item else { return }
        readyEvents -= batch.count
        metrics.countDropped(batch.count, reason: .cancelled)
    }

    package func close(target: Int) {
        queues[target].isClosed = true
    }

    package var isClosed: Bool { queues.allSatisfy(\.isClosed) }
}

extension Deque {
    /// Puts an element back to the front.
    fileprivate mutating func prepend(_ element: Element) {
        insert(element, at: 0)
    }
}
