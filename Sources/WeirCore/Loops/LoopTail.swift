/// The end of a loop: feeds back what a transaction has brought here, once that is done.
final class LoopTail<Element: Sendable>: TransactionParticipant, AsyncWork {
    private unowned let scope: StageScope
    private let channel: LoopChannel<Element>
    private let name: String
    private var pending: [Batch<Element>] = []
    private var checkpoint = 0

    init(_ scope: StageScope, _ loop: LoopID, _ channel: LoopChannel<Element>) {
        self.scope = scope
        self.channel = channel
        name = loop.name
        let instance = scope.instance
        channel.attachTail(instance)
        let participant: any TransactionParticipant = self
        scope.register(participant)
        let work: any AsyncWork = self
        scope.register(work)
        scope.onBarrier { [unowned self] in checkpoint = $0 }
        scope.loops.addTail(of: loop) { channel.returned(round: $0, to: instance) }
        scope.keep(
            LoopEvents<Element>(
                group: KeyGroup.groups(ofInstance: instance, parallelism: scope.parallelism)
                    .lowerBound,
                freeze: { [unowned self] in
                    guard let log = channel.finishCheckpoint(checkpoint, of: instance) else {
                        throw LoopOverflow(loop: name, limit: channel.limit)
                    }
                    return log
                }, restore: { channel.restore($0) }))
    }

    var receiver: Receiver<Element> {
        Receiver(
            batch: { [self] batch in pending.append(batch) },
            signal: { [self] signal in
                // Event time goes round by the head alone.
                if signal == .end { channel.tailEnded(scope.instance) }
            })
    }

    // MARK: Transactions

    func beginBatch() {}

    func commitBatch() {
        if pending.isEmpty { return }
        for batch in pending {
            let taken = channel.feedBack(batch, from: scope.instance)
            if taken < batch.count { refuse(batch, from: taken) }
        }
        pending.removeAll(keepingCapacity: true)
    }

    func rollbackBatch() {
        pending.removeAll(keepingCapacity: true)
    }

    private func refuse(_ batch: Batch<Element>, from first: Int) {
        let reason =
            channel.hasEnded
            ? "fed back to the loop '\(name)' when it had ended"
            : "the loop '\(name)' is full: \(channel.limit) events wait to go round again"
        for index in first..<batch.count {
            let event = batch.slice(index..<(index + 1))
            scope.deadLetter(
                batch.elements[index], reason: reason, route: channel.route(event))
        }
    }

    // MARK: The end of the stage

    var isIdle: Bool { true }
    var isSaturated: Bool { false }
    func collect() {}

    func stop() async {
        channel.tailEnded(scope.instance)
    }
}
