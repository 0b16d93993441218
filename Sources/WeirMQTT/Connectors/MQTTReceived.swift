/// What a source knows of the numbers of the messages it was sent, over its connections and over its
/// own restarts; used on its loop only.
final class MQTTReceived {
    /// How far a message has come.
    enum Standing { case new, underWay, safe }

    /// Which of the broker's sessions the numbers belong to.
    private(set) var session = 0
    /// Numbers of messages that were taken and are not safe yet.
    private var pending: Set<UInt16> = []
    /// Numbers of messages of QoS 2 that are safe, and that the broker has not released yet.
    private var held: Set<UInt16> = []
    /// Tells the broker over the connection there is.
    var onSafe: ([MQTTReceipt]) -> Void = { _ in }

    var pendingCount: Int { pending.count }

    /// The source begins anew, and nothing that it had in hand is on its way any more.
    func forgetPending() { pending.removeAll() }

    /// A connection begins.
    func connected(isSessionPresent: Bool) {
        if isSessionPresent { return }
        session += 1
        pending.removeAll()
        held.removeAll()
    }

    /// Takes note of a message.
    func take(_ identifier: UInt16) -> Standing {
        if held.contains(identifier) { return .safe }
        return pending.insert(identifier).inserted ? .new : .underWay
    }

    /// The broker has released a number.
    func release(_ identifier: UInt16) { held.remove(identifier) }

    /// These are safe, so the broker may forget them.
    func accepted(_ receipts: [MQTTReceipt]) {
        let current = receipts.filter { $0.session == session }
        for receipt in current {
            pending.remove(receipt.identifier)
            if receipt.qos == .exactlyOnce { held.insert(receipt.identifier) }
        }
        onSafe(current)
    }
}
