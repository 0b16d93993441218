import DequeModule

/// The head of a loop: takes what comes from upstream and what comes round again, and decides when the loop is at rest.
///
/// A probe goes round behind everything; what has come back by the time it is back is all that came of what was sent
/// before it (in-order channels, as in Chandy and Lamport 1985). So a watermark goes into the loop when a probe
/// that was sent behind it is back and nothing at or before it had come round meanwhile; and the loop has ended
/// when a probe is back and nothing at all had.
///
/// Invariants: at most one probe is under way; `current` is empty whenever the stage takes a delivery or a barrier.
final class LoopHead<Element: Sendable>: TransactionParticipant, AsyncWork {
    private struct Probe {
        var round: Int
        var watermark: EventTime?
        var isIdle: Bool
    }

    private unowned let scope: StageScope
    private let loop: LoopID
    private let channel: LoopChannel<Element>
    private let downstream: Receiver<Element>
    /// What has come round and is being sent again, from `offset` of the first batch on.
    private var current = Deque<Batch<Element>>()
    private var offset = 0
    private var sent = 0
    private var held: EventTime?
    /// Whether the end of all time has come, behind what is held.
    private var isOver = false
    private var holdsIdle = false
    private var isAsked = false
    private var round = 0
    private var probe: Probe?
    /// The earliest event that has come round since the probe was sent.
    private var earliest: EventTime?
    /// Whether anything was sent since then, and whether anything may circulate.
    private var hasSent = false
    private var mayCirculate = false
    private var checkpoint = 0

    init(
        _ scope: StageScope, _ loop: LoopID, _ channel: LoopChannel<Element>,
        _ downstream: Receiver<Element>
    ) {
        self.scope = scope
        self.loop = loop
        self.channel = channel
        self.downstream = downstream
        channel.attachHead(scope.mailbox)
        scope.metrics.show(live: .loopWaiting) { Double(channel.depth) }
        let participant: any TransactionParticipant = self
        scope.register(participant)
        let work: any AsyncWork = self
        scope.register(work)
        scope.loops.addHead { [unowned self] in ask() }
        scope.onBarrier { [unowned self] in checkpoint = $0 }
        scope.keep(
            LoopEvents<Element>(
                group: 0, freeze: { [unowned self] in channel.beginCheckpoint(checkpoint) },
                restore: { channel.restore($0) }))
        scope.keep(
            CheckpointedValue<Int64?>(
                get: { [unowned self] in held?.nanoseconds },
                set: { [unowned self] in
                    held = $0.map { EventTime(nanoseconds: $0) }
                    mayCirculate = true
                    self.scope.wake()
                }))
    }

    var receiver: Receiver<Element> {
        Receiver(
            batch: { [self] batch in
                noteSent()
                holdsIdle = false
                try downstream.batch(batch)
            },
            signal: { [self] signal in
                switch signal {
                case .watermark(let time):
                    holdsIdle = false
                    if time == .max, let held, held < .max {
                        isOver = true
                    } else {
                        held = time
                    }
                case .idle: holdsIdle = true
                case .end:
                    channel.end()
                    try downstream.signal(.end)
                }
            })
    }

    // MARK: What the stage asks for

    var isIdle: Bool {
        if !current.isEmpty { return false }
        if channel.hasEnded { return true }
        return held == nil && !mayCirculate && channel.depth == 0
    }

    /// Nothing new is taken in while half of what may circulate waits here.
    var isSaturated: Bool { !current.isEmpty || channel.depth > channel.limit / 2 }

    /// What circulates is in the parts of the two ends.
    var isReadyForCheckpoint: Bool { true }

    // What still comes back when the stage is suspended belongs to the checkpoint.
    func stop() async {}

    private func ask() {
        if !mayCirculate && channel.depth == 0 { return }
        isAsked = true
        scope.wake()
    }

    // MARK: Going round

    func collect() throws {
        let arrival = channel.take()
        current.append(contentsOf: arrival.batches)
        for batch in arrival.batches { noteEarliest(of: batch) }
        if let probe, arrival.round >= probe.round { try settle(probe) }
        if !current.isEmpty {
            scope.enqueue(
                { [self] in try sendPortion() }, abandonBatch: { [self] in abandonEvent() })
        } else if isCurious {
            sendProbe()
        }
    }

    private func noteSent() {
        hasSent = true
        mayCirculate = true
    }

    private func noteEarliest(of batch: Batch<Element>) {
        mayCirculate = true
        let time = batch.hasTimes ? batch.times.min() ?? .min : .min
        earliest = min(earliest ?? time, time)
    }

    /// Whether somebody waits for the loop to come to rest, and no probe is on its way.
    private var isCurious: Bool { probe == nil && (held != nil || holdsIdle || isAsked) }

    private func sendProbe() {
        round += 1
        probe = Probe(round: round, watermark: held, isIdle: holdsIdle)
        earliest = nil
        hasSent = false
        let probe = LoopProbe(loop: loop, round: round)
        for port in scope.ports { port.emit(Barrier(probe: probe)) }
        // The loop's end may be in this very stage.
        scope.loops.reachedTail(probe)
    }

    private func settle(_ probe: Probe) throws {
        let isAtRest = !hasSent && earliest == nil
        var passesOn = false
        if let time = probe.watermark, earliest.map({ $0 > time }) ?? true {
            try downstream.signal(.watermark(time))
            passesOn = true
            if held == time {
                held = isOver ? .max : nil
                isOver = false
            }
            // What operators give out at the end may go round once more.
            if time == .max { isAsked = true }
        }
        if probe.isIdle, holdsIdle, isAtRest {
            try downstream.signal(.idle)
            holdsIdle = false
        }
        self.probe = nil
        mayCirculate = !isAtRest || passesOn
        if !mayCirculate { isAsked = false }
        if passesOn { hasSent = true }
    }

    /// Sends some of what has come round, as a transaction of its own.
    private func sendPortion() throws -> Bool {
        guard let batch = current.first else { return false }
        let end = min(batch.count, offset + max(1, scope.portion))
        noteSent()
        sent = end - offset
        try downstream.batch(batch.slice(offset..<end))
        return end < batch.count || current.count > 1
    }

    private func abandonEvent() -> (any AnyBatch)? {
        guard let batch = current.first else { return nil }
        let event = BatchBox(batch.slice(offset..<(offset + 1)))
        advance(by: 1)
        return event
    }

    private func advance(by count: Int) {
        offset += count
        if let batch = current.first, offset >= batch.count {
            current.removeFirst()
            offset = 0
        }
    }

    // MARK: Transactions

    func beginBatch() {}

    func commitBatch() {
        if sent > 0 {
            advance(by: sent)
            sent = 0
        }
        // The probe goes behind what this transaction has emitted, so in a turn to come.
        if isCurious, current.isEmpty { scope.wake() }
    }

    func rollbackBatch() {
        sent = 0
    }
}
