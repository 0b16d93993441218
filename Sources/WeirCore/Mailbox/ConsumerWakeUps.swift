/// Consumers of mailboxes that are woken together.
///
/// Waking a thread costs several microseconds, the handling of what one read of a socket has brought
/// often no more: an event loop collects here whom its sockets have brought something, and wakes them
/// when all of them are read. Used by one thread at a time, which has to call ``wakeAll()`` before it
/// waits for anything.
@usableFromInline
package final class ConsumerWakeUps {
    private var consumers: [UnsafeContinuation<Void, Never>] = []

    package init() {}

    package var isEmpty: Bool { consumers.isEmpty }

    func add(_ consumer: UnsafeContinuation<Void, Never>) { consumers.append(consumer) }

    /// Wakes all that were added.
    package func wakeAll() {
        // A consumer that runs at once, on an executor of its own, may bring others.
        while let consumer = consumers.popLast() { consumer.resume() }
    }
}
