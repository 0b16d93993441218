package import DequeModule

/// The queue of a mailbox and who waits at its two ends; the mailbox performs the actions outside its lock.
///
/// Invariants: `depth` is the sum of the queued weights and exceeds `capacity` only by one batch that found the queue
/// empty; senders wait only while the queue is not empty; the consumer waits only while it has nothing to take.
package struct MailboxStateMachine: Sendable {
    /// A sender that waits for room.
    package struct Waiter: Sendable {
        package let id: UInt64
        package var delivery: Delivery
        package let resume: @Sendable (SendResult) -> Void

        package init(
            id: UInt64, delivery: Delivery, resume: @escaping @Sendable (SendResult) -> Void
        ) {
            self.id = id
            self.delivery = delivery
            self.resume = resume
        }
    }

    package enum SendResult: Sendable, Equatable { case sent, closed, cancelled, overflow, full }

    package enum SendAction {
        /// Taken (or dropped by policy): wake the consumer if there is one waiting.
        case accepted(wakeConsumer: Bool, dropped: Int)
        case full
        case overflow
        case closed
    }

    package private(set) var queue = Deque<Delivery>()
    package private(set) var waiters = Deque<Waiter>()
    package private(set) var depth = 0
    package private(set) var isClosed = false
    package private(set) var isPaused = false
    /// Whether somebody asked the consumer to look at something other than the queue.
    package private(set) var isWoken = false
    private var wasWoken = false
    package private(set) var isConsumerWaiting = false
    /// Channels that have to wait until the others have caught up with a checkpoint.
    package private(set) var heldChannels: Set<Int> = []
    private var held = Deque<Delivery>()
    private var heldDepth = 0
    private var heldWaiters = Deque<Waiter>()
    /// What doesn't fit into memory, behind all of `queue`.
    private let spill: SpillQueue?
    /// The queues of a stage that takes some of its inputs before others, in place of `queue`.
    private var lanes: MailboxLanes?
    /// Whether there is one queue, in memory.
    private let isPlain: Bool
    package let capacity: Int
    package let overflow: OverflowPolicy

    package init(policy: MailboxPolicy, lanes layout: MailboxLanes.Layout? = nil) {
        // More than memory holds, and so few that those of all instances can be added up.
        capacity = min(max(1, policy.capacity), 1 << 48)
        overflow = policy.overflow
        lanes = layout.map { MailboxLanes(policy: policy, layout: $0) }
        if layout != nil {
            spill = nil
        } else if case .spill(let directory, let limit) = policy.overflow.kind {
            spill = SpillQueue(directory: directory, limit: limit)
        } else {
            spill = nil
        }
        isPlain = spill == nil && layout == nil
    }

    /// How many events fit into all of it.
    package var totalCapacity: Int { capacity * (lanes?.count ?? 1) }

    /// Whether a delivery of this weight may enter now, behind nobody who waits.
    package func hasRoom(for weight: Int) -> Bool {
        if let lanes { return lanes.hasRoom(for: weight) }
        if let spill, !spill.isEmpty, spill.isFull { return weight == 0 }
        return weight == 0 || depth == 0 || depth + weight <= capacity
    }

    /// Offers a delivery; `.full` leaves it with the caller.
    package mutating func offer(_ delivery: Delivery) -> SendAction {
        if isClosed { return .closed }
        let weight = delivery.weight
        if isPlain, heldChannels.isEmpty, waiters.isEmpty, hasRoom(for: weight) {
            return .accepted(wakeConsumer: push(delivery), dropped: 0)
        }
        if lanes != nil { return offerToLane(delivery) }
        if let spill, !spill.isEmpty {
            if weight == 0 || waiters.isEmpty, spill.append(delivery) {
                return .accepted(wakeConsumer: isPaused ? false : takeConsumer(), dropped: 0)
            }
            guard waiters.isEmpty, passesSpill(delivery) else { return .full }
            return .accepted(wakeConsumer: push(delivery), dropped: 0)
        }
        if !heldChannels.isEmpty, heldChannels.contains(delivery.channel) {
            return offerHeld(delivery)
        }
        if weight == 0 || (waiters.isEmpty && hasRoom(for: weight)) {
            return .accepted(wakeConsumer: push(delivery), dropped: 0)
        }
        switch overflow.kind {
        case .suspend: return .full
        case .spill:
            guard waiters.isEmpty, let spill, spill.append(delivery) else { return .full }
            return .accepted(wakeConsumer: isPaused ? false : takeConsumer(), dropped: 0)
        case .fail: return .overflow
        case .dropNewest:
            let room = max(0, capacity - depth)
            guard case .batch(let batch) = delivery.item else { return .full }
            if room == 0 {
                // The source goes on behind what was dropped.
                if case .batch(let last)? = queue.last(where: { $0.weight > 0 })?.item {
                    last.takePlace(from: batch)
                }
                return .accepted(wakeConsumer: false, dropped: weight)
            }
            let kept = batch.slice(0..<room)
            kept.takePlace(from: batch)
            return .accepted(
                wakeConsumer: push(Delivery(channel: delivery.channel, item: .batch(kept))),
                dropped: weight - room)
        case .dropOldest:
            let dropped = dropOldest(atLeast: depth + min(weight, capacity) - capacity)
            guard case .batch(let batch) = delivery.item, weight > capacity else {
                return .accepted(wakeConsumer: push(delivery), dropped: dropped)
            }
            let kept = batch.slice((weight - capacity)..<weight)
            return .accepted(
                wakeConsumer: push(Delivery(channel: delivery.channel, item: .batch(kept))),
                dropped: dropped + weight - capacity)
        case .conflate(let merge):
            return .accepted(wakeConsumer: conflate(delivery, merge), dropped: 0)
        }
    }

    /// Lines a sender up behind those who already wait.
    package mutating func enqueueWaiter(_ waiter: Waiter) {
        if lanes != nil {
            lanes?.enqueueWaiter(waiter)
        } else if heldChannels.contains(waiter.delivery.channel) {
            heldWaiters.append(waiter)
        } else {
            waiters.append(waiter)
        }
    }

    /// Takes a waiting sender out, when its task was cancelled.
    package mutating func removeWaiter(id: UInt64) -> Waiter? {
        if lanes != nil { return lanes?.removeWaiter(id: id) }
        if let index = waiters.firstIndex(where: { $0.id == id }) {
            return waiters.remove(at: index)
        }
        guard let index = heldWaiters.firstIndex(where: { $0.id == id }) else { return nil }
        return heldWaiters.remove(at: index)
    }

    package enum TakeAction {
        /// Deliveries are in the array; resume these senders with `.sent`.
        case taken(resume: [Waiter])
        case woken
        case empty
        case closed
    }

    /// Moves what is there into `deliveries`, then lets waiting senders in, first come, first served.
    package mutating func take(into deliveries: inout Deque<Delivery>) -> TakeAction {
        // Who wakes itself in every turn still gets what waits in between.
        if isWoken, !wasWoken || !hasDeliveries {
            isWoken = false
            wasWoken = true
            return .woken
        }
        wasWoken = false
        if isPaused && !isClosed { return .empty }
        if lanes != nil {
            guard let resumed = lanes?.take(into: &deliveries) else {
                return isClosed ? .closed : .empty
            }
            depth = lanes?.depth ?? 0
            return .taken(resume: resumed)
        }
        if queue.isEmpty, let spill, !spill.isEmpty {
            queue.append(contentsOf: spill.take(room: capacity, heldChannels: heldChannels))
        }
        if queue.isEmpty { return isClosed ? .closed : .empty }
        swap(&queue, &deliveries)
        queue.removeAll(keepingCapacity: true)
        depth = 0
        return .taken(resume: admitWaiters())
    }

    /// Lets waiting senders in while there is room; returns those to resume.
    package mutating func admitWaiters() -> [Waiter] {
        if lanes != nil {
            defer { depth = lanes?.depth ?? 0 }
            return lanes?.admitWaiters() ?? []
        }
        var resumed: [Waiter] = []
        while let first = waiters.first {
            let isBehindSpill = !(spill?.isEmpty ?? true)
            if !isBehindSpill || !(spill?.append(first.delivery) ?? false) {
                let fits =
                    isBehindSpill
                    ? passesSpill(first.delivery) : hasRoom(for: first.delivery.weight)
                guard fits else { break }
                queue.append(first.delivery)
                depth += first.delivery.weight
            }
            waiters.removeFirst()
            resumed.append(first)
        }
        return resumed
    }

    /// Takes the oldest delivery alone; senders that wait are let in by ``admitWaiters()``.
    mutating func takeFirst() -> Delivery? {
        if queue.isEmpty, let spill, !spill.isEmpty {
            queue.append(contentsOf: spill.take(room: capacity, heldChannels: heldChannels))
            depth = queue.reduce(0) { $0 + $1.weight }
        }
        guard let first = queue.popFirst() else { return nil }
        depth -= first.weight
        return first
    }

    private mutating func offerToLane(_ delivery: Delivery) -> SendAction {
        guard let action = lanes?.offer(delivery) else { return .closed }
        depth = lanes?.depth ?? 0
        guard case .accepted(let isAvailable, let dropped) = action else { return action }
        return .accepted(
            wakeConsumer: isAvailable && !isPaused ? takeConsumer() : false, dropped: dropped)
    }

    // MARK: Alignment

    /// Sets a channel's deliveries aside until ``releaseHeld()``: at most `capacity` events, then
    /// its senders wait, without holding up the senders of other channels.
    package mutating func hold(channel: Int) {
        if lanes != nil {
            lanes?.hold(channel: channel)
            depth = lanes?.depth ?? 0
            return
        }
        heldChannels.insert(channel)
        for delivery in queue where delivery.channel == channel { setAside(delivery) }
        queue.removeAll { $0.channel == channel }
        depth = queue.reduce(0) { $0 + $1.weight }
        heldWaiters.append(contentsOf: waiters.filter { $0.delivery.channel == channel })
        waiters.removeAll { $0.delivery.channel == channel }
    }

    /// Puts what was set aside back in front of the queue, and lets waiting senders in.
    ///
    /// - Returns: Whether the consumer must be resumed, and the senders to resume with `.sent`.
    package mutating func releaseHeld() -> (wakeConsumer: Bool, resume: [Waiter]) {
        let resumed: [Waiter]
        if lanes != nil {
            resumed = lanes?.releaseHeld() ?? []
            depth = lanes?.depth ?? 0
        } else {
            heldChannels.removeAll()
            queue.prepend(contentsOf: held)
            depth += heldDepth
            held.removeAll()
            heldDepth = 0
            waiters.prepend(contentsOf: heldWaiters)
            heldWaiters.removeAll()
            resumed = admitWaiters()
        }
        return (hasDeliveries ? takeConsumer() : false, resumed)
    }

    /// Whether a delivery need not line up behind what is on the disk: that is full of what waits for
    /// the barrier of a checkpoint, which comes behind this perhaps.
    private func passesSpill(_ delivery: Delivery) -> Bool {
        guard let spill, !heldChannels.isEmpty, !heldChannels.contains(delivery.channel),
            depth == 0 || depth + delivery.weight <= capacity
        else { return false }
        return !spill.hasAvailable(heldChannels: heldChannels)
    }

    private mutating func setAside(_ delivery: Delivery) {
        held.append(delivery)
        heldDepth += delivery.weight
    }

    private mutating func offerHeld(_ delivery: Delivery) -> SendAction {
        let weight = delivery.weight
        let hasRoom = heldDepth == 0 || heldDepth + weight <= capacity
        if weight > 0, !heldWaiters.isEmpty || !hasRoom {
            switch overflow.kind {
            case .fail: return .overflow
            case .dropNewest: return .accepted(wakeConsumer: false, dropped: weight)
            case .suspend, .dropOldest, .conflate, .spill: return .full
            }
        }
        setAside(delivery)
        return .accepted(wakeConsumer: false, dropped: 0)
    }

    /// Whether a consumer would get something now.
    package var hasDeliveries: Bool {
        if isPaused { return false }
        if let lanes { return lanes.hasDeliveries }
        return !queue.isEmpty || spill?.hasAvailable(heldChannels: heldChannels) ?? false
    }

    /// Whether a consumer has something to come back for.
    package var needsConsumer: Bool { hasDeliveries || isWoken || isClosed }

    /// The number of events that wait on disk, and how many were lost there.
    package var spilled: (depth: Int, lost: Int) {
        lanes?.spilled ?? (spill?.depth ?? 0, spill?.lost ?? 0)
    }

    /// The state of things for a consumer that leaves the queue alone.
    package mutating func takeWakeUp() -> Mailbox.Turn? {
        if isClosed { return .closed }
        defer { isWoken = false }
        return isWoken ? .woken : nil
    }

    /// The consumer waits until something is pushed or it is woken.
    package mutating func consumerWillWait() {
        isConsumerWaiting = true
    }

    /// Asks the consumer to come back although nothing may be queued.
    ///
    /// Returns whether it must be resumed.
    package mutating func wake() -> Bool {
        isWoken = true
        return takeConsumer()
    }

    /// Whether no event waits and what comes is taken.
    var isQuiet: Bool {
        !isPaused && depth == 0 && heldDepth == 0 && waiters.isEmpty && heldWaiters.isEmpty
            && spilled.depth == 0
    }

    package mutating func setPaused(_ paused: Bool) -> Bool {
        isPaused = paused
        // Also when nothing is queued: a producer may hold an open batch back.
        return paused ? false : takeConsumer()
    }

    /// Refuses everything from now on.
    ///
    /// What is queued is discarded, its number of events returned.
    package mutating func close() -> (wakeConsumer: Bool, waiters: [Waiter], discarded: Int) {
        if lanes != nil {
            isClosed = true
            depth = 0
            let closed = lanes?.close()
            return (takeConsumer(), closed?.waiters ?? [], closed?.discarded ?? 0)
        }
        let discarded = depth + heldDepth + (spill?.depth ?? 0)
        spill?.removeAll()
        isClosed = true
        queue.removeAll()
        held.removeAll()
        depth = 0
        heldDepth = 0
        let resumed = waiters.array + heldWaiters.array
        waiters.removeAll()
        heldWaiters.removeAll()
        return (takeConsumer(), resumed, discarded)
    }

    private mutating func takeConsumer() -> Bool {
        defer { isConsumerWaiting = false }
        return isConsumerWaiting
    }

    private mutating func push(_ delivery: Delivery) -> Bool {
        depth += delivery.weight
        queue.append(delivery)
        return isPaused ? false : takeConsumer()
    }

    /// Drops events, never signals, from the front until `count` of them are gone.
    private mutating func dropOldest(atLeast count: Int) -> Int {
        var dropped = 0
        var index = 0
        while dropped < count, index < queue.count {
            guard case .batch(let batch) = queue[index].item else {
                index += 1
                continue
            }
            let wanted = count - dropped
            if batch.count <= wanted {
                dropped += batch.count
                queue.remove(at: index)
            } else {
                queue[index].item = .batch(batch.slice(wanted..<batch.count))
                dropped += wanted
                index += 1
            }
        }
        depth -= dropped
        return dropped
    }

    /// Merges events into those that wait of the same channel and checkpoint.
    private mutating func conflate(
        _ delivery: Delivery, _ merge: (any AnyBatch, any AnyBatch) -> any AnyBatch
    ) -> Bool {
        let last = queue.lastIndex { $0.channel == delivery.channel && !$0.isSignal }
        guard case .batch(let batch) = delivery.item, let last,
            case .batch(let waiting) = queue[last].item
        else { return push(delivery) }
        let merged = merge(waiting, batch)
        depth += merged.count - waiting.count
        queue[last].item = .batch(merged)
        return isPaused ? false : takeConsumer()
    }
}
