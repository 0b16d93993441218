import DequeModule
import Synchronization

/// A named, typed end of a topology from which code outside takes events.
public struct Outlet<Element: Sendable>: Sendable, ExpressibleByStringLiteral {
    /// The outlet's name, unique in its topology.
    public let name: String

    /// Names an outlet.
    public init(_ name: String) {
        self.name = name
    }

    /// Names an outlet.
    public init(stringLiteral name: String) {
        self.name = name
    }
}

extension Sink {
    /// A sink whose events are taken by `running.output(outlet)`.
    ///
    /// Waits (backpressure) until somebody takes them.
    public static func outlet(_ outlet: Outlet<Element>) -> Sink {
        Sink(outlet: outlet.name)
    }
}

/// The events of an outlet, for one consumer.
///
/// Ends when the topology ends, throws what ended it. A consumer that stops early cancels the branch.
public struct OutletSequence<Element: Sendable>: AsyncSequence, Sendable {
    let channel: OutletChannel

    /// Starts taking.
    public func makeAsyncIterator() -> Iterator {
        Iterator(channel: channel)
    }

    /// Takes event by event; batches arrive behind it.
    public struct Iterator: AsyncIteratorProtocol {
        private let channel: OutletChannel
        private let lease: Lease
        private var batch = Batch<Element>()
        private var position = 0

        init(channel: OutletChannel) {
            self.channel = channel
            lease = Lease(channel: channel)
        }

        /// The next event, nil at the end.
        public mutating func next() async throws -> Element? {
            while position >= batch.count {
                guard let box = try await channel.next() else { return nil }
                batch = unsafeDowncast(box, to: BatchBox<Element>.self).batch
                position = 0
            }
            defer { position += 1 }
            return batch.elements[position]
        }
    }

    /// Closes the branch when its only consumer is gone.
    private final class Lease: Sendable {
        let channel: OutletChannel

        init(channel: OutletChannel) {
            self.channel = channel
        }

        deinit {
            channel.mailbox.close()
        }
    }
}

/// The mailbox of an outlet and what its consumer needs to see the end.
package final class OutletChannel: Sendable {
    package let mailbox: Mailbox
    private let locked: Mutex<Locked>

    private struct Locked: Sendable {
        var openChannels: Int
        var taken = Deque<Delivery>()
        var failure: (any Error)?
        var isFinished = false
    }

    init(mailbox: Mailbox, channels: Int) {
        self.mailbox = mailbox
        locked = Mutex(Locked(openChannels: max(1, channels)))
    }

    func finish(throwing error: (any Error)?) {
        locked.withLock { locked in
            locked.failure = error
            locked.isFinished = true
        }
        // What is there is the consumer's, whoever has held the outlet.
        mailbox.setPaused(false)
        mailbox.wake()
    }

    func next() async throws -> (any AnyBatch)? {
        while true {
            while let delivery = locked.withLock({ $0.taken.popFirst() }) {
                switch delivery.item {
                case .batch(let batch): return batch
                case .signal(.end): locked.withLock { $0.openChannels -= 1 }
                case .signal, .barrier: break
                }
            }
            let (openChannels, isFinished, failure) = locked.withLock {
                ($0.openChannels, $0.isFinished, $0.failure)
            }
            if openChannels == 0 && failure == nil { return nil }
            var deliveries = Deque<Delivery>()
            if isFinished {
                switch mailbox.takeNow(into: &deliveries) {
                case .deliveries, .woken: break
                case .closed, nil:
                    if let failure { throw failure }
                    return nil
                }
            } else if await nextTurn(&deliveries) == .closed {
                let failure = locked.withLock { $0.failure }
                if let failure { throw failure }
                return nil
            }
            let taken = deliveries
            locked.withLock { $0.taken.append(contentsOf: taken) }
        }
    }

    private func nextTurn(_ deliveries: inout Deque<Delivery>) async -> Mailbox.Turn {
        var taken = Deque<Delivery>()
        let turn = await withTaskCancellationHandler {
            await mailbox.next(into: &taken)
        } onCancel: {
            mailbox.close()
        }
        deliveries = taken
        return turn
    }
}

extension RunningTopology {
    /// The events of an outlet, for one consumer.
    ///
    /// Events wait for the consumer: an outlet that nobody reads holds the topology up.
    ///
    /// - Throws: ``TopologyError`` when the topology has no such outlet.
    public func output<Element: Sendable>(
        _ outlet: Outlet<Element>
    ) throws -> OutletSequence<Element> {
        guard let channel = outlets[outlet.name] else {
            let known = outlets.keys.sorted().joined(separator: ", ")
            throw TopologyError(
                topology: name,
                problems: [
                    .init(
                        code: .unconnected,
                        message: "there is no outlet '\(outlet.name)'; there is: \(known)")
                ])
        }
        return OutletSequence(channel: channel)
    }
}
