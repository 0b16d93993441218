/// Consumers of mailboxes that are woken together.
///
/// Waking a thread costs several microseconds, the handling of what one read of a socket has brought
/// often no more: an event loop collects here whom its sockets have brought something, and wakes them
/// when all of them are read. The turns of light stages are taken here instead. Used by one thread at a
/// time, which has to call ``wakeAll()`` before it waits for anything.
@usableFromInline
package final class ConsumerWakeUps {
    private var consumers: [UnsafeContinuation<Void, Never>] = []
    /// Stages that are claimed: their turns are to be taken here.
    private var claims: [StageActor] = []

    package init() {}

    package var isEmpty: Bool { consumers.isEmpty && claims.isEmpty }

    func add(_ consumer: UnsafeContinuation<Void, Never>) { consumers.append(consumer) }

    func add(_ claim: StageActor) { claims.append(claim) }

    /// Wakes all that were added, and takes the turns of the claimed ones and of the light stages behind them.
    package func wakeAll() {
        // A consumer that runs at once, on an executor of its own, may bring others, and so may a turn.
        while !isEmpty {
            while let consumer = consumers.popLast() { consumer.resume() }
            var claim = claims.popLast()
            while let stage = claim { claim = stage.takeTurnOutside() }
        }
    }
}
