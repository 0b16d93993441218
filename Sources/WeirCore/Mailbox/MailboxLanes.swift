import DequeModule

/// The inputs of a stage that takes some of them before others: each has a queue of its own, bounded as a mailbox is.
///
/// Invariants: what comes by one lane keeps its order; a lane that waits is passed by at most `maximumRun` events
/// and one batch, unless that is 0.
package struct MailboxLanes: Sendable {
    /// Which input is how urgent, and how long a less urgent one waits at the most.
    package struct Layout: Sendable {
        /// The input of each channel; input 0 is the most urgent.
        package let inputOfChannel: [Int]
        /// How many events may pass a lane that waits; 0 for any number.
        package let maximumRun: Int

        package init(inputOfChannel: [Int], maximumRun: Int) {
            self.inputOfChannel = inputOfChannel
            self.maximumRun = maximumRun
        }

        var laneCount: Int { (inputOfChannel.max() ?? 0) + 1 }
    }

    private var lanes: [MailboxStateMachine]
    /// How many events have passed each lane since it was taken from, while it had something.
    private var passed: [Int]
    private let layout: Layout

    /// As many events are taken at once, so that what is urgent waits for no more than these.
    private static let portion = 1_024

    init(policy: MailboxPolicy, layout: Layout) {
        self.layout = layout
        lanes = (0..<layout.laneCount).map { _ in MailboxStateMachine(policy: policy) }
        passed = Array(repeating: 0, count: layout.laneCount)
    }

    var depth: Int { lanes.reduce(0) { $0 + $1.depth } }

    var count: Int { lanes.count }

    var hasDeliveries: Bool { lanes.contains { $0.hasDeliveries } }

    var spilled: (depth: Int, lost: Int) {
        lanes.reduce((0, 0)) { ($0.0 + $1.spilled.depth, $0.1 + $1.spilled.lost) }
    }

    func hasRoom(for weight: Int) -> Bool { lanes.allSatisfy { $0.hasRoom(for: weight) } }

    private func lane(of delivery: Delivery) -> Int {
        delivery.redrivenInput ?? layout.inputOfChannel[delivery.channel]
    }

    /// Offers a delivery to its lane; an accepted one asks for the consumer when there is something to take.
    mutating func offer(_ delivery: Delivery) -> MailboxStateMachine.SendAction {
        let lane = lane(of: delivery)
        lanes[lane].consumerWillWait()
        return lanes[lane].offer(delivery)
    }

    mutating func enqueueWaiter(_ waiter: MailboxStateMachine.Waiter) {
        lanes[lane(of: waiter.delivery)].enqueueWaiter(waiter)
    }

    mutating func removeWaiter(id: UInt64) -> MailboxStateMachine.Waiter? {
        for lane in lanes.indices {
            if let waiter = lanes[lane].removeWaiter(id: id) { return waiter }
        }
        return nil
    }

    mutating func admitWaiters() -> [MailboxStateMachine.Waiter] {
        var resumed: [MailboxStateMachine.Waiter] = []
        for lane in lanes.indices { resumed += lanes[lane].admitWaiters() }
        return resumed
    }

    /// Moves a portion of the lane whose turn it is; nil when nothing waits.
    mutating func take(
        into deliveries: inout Deque<Delivery>
    ) -> [MailboxStateMachine.Waiter]? {
        guard let first = lanes.indices.first(where: { lanes[$0].hasDeliveries }) else {
            return nil
        }
        let starving = lanes.indices.dropFirst(first + 1).filter { lanes[$0].hasDeliveries }
        var lane = first
        var room = Self.portion
        if layout.maximumRun > 0, let longest = starving.max(by: { passed[$0] < passed[$1] }) {
            room = min(room, layout.maximumRun - passed[longest])
            if room <= 0 {
                lane = longest
                room = 1
            }
        }
        var taken = 0
        while taken < room, let delivery = lanes[lane].takeFirst() {
            taken += delivery.weight
            deliveries.append(delivery)
        }
        for index in lanes.indices {
            passed[index] =
                index != lane && lanes[index].hasDeliveries ? passed[index] + taken : 0
        }
        return lanes[lane].admitWaiters()
    }

    mutating func hold(channel: Int) {
        lanes[layout.inputOfChannel[channel]].hold(channel: channel)
    }

    mutating func releaseHeld() -> [MailboxStateMachine.Waiter] {
        var resumed: [MailboxStateMachine.Waiter] = []
        for lane in lanes.indices { resumed += lanes[lane].releaseHeld().resume }
        return resumed
    }

    mutating func close() -> (waiters: [MailboxStateMachine.Waiter], discarded: Int) {
        var waiters: [MailboxStateMachine.Waiter] = []
        var discarded = 0
        for lane in lanes.indices {
            let closed = lanes[lane].close()
            waiters += closed.waiters
            discarded += closed.discarded
        }
        return (waiters, discarded)
    }
}
