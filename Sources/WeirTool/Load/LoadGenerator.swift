import Histogram
import Weir

/// Sends the messages of a load over its connections; lives on one loop.
///
/// A message that is due is given to the next connection in turn, at once or as soon as that takes
/// it. Its time runs from when it was due, so that a target which holds the load up pays for every
/// message behind.
final class LoadGenerator {
    /// A message under way, by what is needed of it later.
    private struct Message {
        let sequence: Int
        let due: UInt64
    }

    /// A connection and its messages under way, each queue in the order of sending.
    private final class Line {
        var channel: (any LoadChannel)?
        /// Due, not taken by the connection yet.
        var waiting = FirstInFirstOut<Message>()
        /// Taken, perhaps not with the kernel yet; by when they were due.
        var handing = FirstInFirstOut<UInt64>()
        /// Sent, and to be answered; by when they were due.
        var unanswered = FirstInFirstOut<UInt64>()
    }

    private(set) var record = LoadRecord()
    private let plan: LoadPlan
    private let schedule: Schedule
    private var writer: PayloadWriter
    private var message: [UInt8] = []
    private var lines: [Line] = []
    private var turn = 0
    private var start: UInt64 = 0
    /// Messages that will be due; fewer than planned once the load is ended early.
    private var total: Int
    /// Messages that have become due and not come to an end.
    private var underWay = 0
    private var deadline: LoopTimer?
    private var second: LoopTimer?
    private var onFinished: (() -> Void)?
    private var onAllClosed: (() -> Void)?

    private let tls: TLSClientContext?

    init(_ plan: LoadPlan, tls: TLSClientContext? = nil) {
        self.plan = plan
        self.tls = tls
        schedule = plan.schedule
        total = schedule.count
        writer = PayloadWriter(plan.payload, seed: plan.seed)
    }

    // MARK: Connections

    var openConnections: Int { lines.count { $0.channel != nil } }

    /// Handshakes at one time, fewer than listeners usually let wait.
    private static let handshakesMax = 64

    /// Opens the connections; the completion runs on the loop's thread when each is open or failed.
    func open(on loop: Loop, completion: @escaping () -> Void) {
        var opened = 0
        var begun = 0
        func next() {
            guard begun < plan.connections else { return }
            begun += 1
            openOne(on: loop) { [self] in
                opened += 1
                if opened == plan.connections { completion() } else { next() }
            }
        }
        for _ in 0..<min(plan.connections, Self.handshakesMax) { next() }
    }

    private func openOne(on loop: Loop, completion: @escaping () -> Void) {
        let line = Line()
        let events = LoadChannelEvents(
            onReceived: { [unowned self, unowned line] count, isMessage in
                received(count, isMessage, line)
            },
            onDrained: { [unowned self, unowned line] in flush(line) },
            onClosed: { [self, line] failure in closed(line, failure) })
        plan.connect(tls: tls, on: loop, events: events) { [self] result in
            switch result {
            case .success(let channel):
                line.channel = channel
                lines.append(line)
            case .failure(let error):
                record.failedConnections += 1
                record.fail(error.description)
            }
            completion()
        }
    }

    private func closed(_ line: Line, _ failure: String?) {
        line.channel = nil
        if let failure {
            record.failedConnections += 1
            record.fail(failure)
        }
        abandon(line)
        if openConnections == 0 {
            // Nobody is left to send to.
            endEarly(within: .zero)
            onAllClosed?()
            onAllClosed = nil
        }
        checkFinished()
    }

    /// Closes all connections in good order.
    func close(_ completion: @escaping () -> Void) {
        guard openConnections > 0 else { return completion() }
        onAllClosed = completion
        for line in lines { line.channel?.close() }
    }

    // MARK: Sending

    /// Begins the load; `onFinished` runs when all its messages have come to an end.
    ///
    /// - Throws: ``NetworkError`` when the loop is stopped.
    func begin(
        at start: UInt64, on loop: Loop, onSecond: ((LoadRecord) -> Void)?,
        onFinished: @escaping () -> Void
    ) throws {
        self.start = start
        deadline = try LoopTimer(on: loop) { [unowned self] in finish() }
        let length = Duration.nanoseconds(Int64(schedule.length(of: total)))
        deadline?.start(after: length + plan.grace)
        if let onSecond {
            second = try LoopTimer(on: loop) { [unowned self] in onSecond(record) }
            second?.start(after: .seconds(1), every: .seconds(1))
        }
        self.onFinished = onFinished
        checkFinished()
    }

    /// Sends the messages that have become due, up to this number of them.
    func send(upTo due: Int) {
        let due = min(due, total)
        guard onFinished != nil, record.due < due else { return }
        let now = MonotonicTime.now
        var touched: [Line] = []
        for sequence in record.due..<due {
            if let line = take(sequence, now) { touched.append(line) }
        }
        // Each connection gets its messages of this turn in one write.
        for line in touched { flush(line) }
        checkFinished()
    }

    /// Gives a message to a line; returns the line if it had none to send.
    private func take(_ sequence: Int, _ now: UInt64) -> Line? {
        let dueAt = start + schedule.offset(of: sequence)
        record.due += 1
        record.lateness.record(now > dueAt ? now - dueAt : 0)
        guard underWay < LoadPlan.Limits.waitingMessages, let line = nextLine() else {
            record.unsent += 1
            return nil
        }
        underWay += 1
        line.waiting.append(Message(sequence: sequence, due: dueAt))
        return line.waiting.count == 1 ? line : nil
    }

    /// The next open connection in turn.
    private func nextLine() -> Line? {
        for _ in lines.indices {
            let line = lines[turn % lines.count]
            turn = (turn + 1) % lines.count
            if line.channel != nil { return line }
        }
        return nil
    }

    private func flush(_ line: Line) {
        guard let channel = line.channel else { return }
        handedOver(line, channel)
        if !line.waiting.isEmpty {
            channel.corked { push(line, channel) }
            handedOver(line, channel)
        }
        checkFinished()
    }

    /// Gives messages to a connection until it takes no more.
    private func push(_ line: Line, _ channel: any LoadChannel) {
        while let next = line.waiting.first {
            writer.write(next.sequence, into: &message)
            let outcome = message.withUnsafeBytes { channel.send($0) }
            guard outcome == .sent || outcome == .queued else { return }
            line.waiting.removeFirst()
            // A connection takes what must wait only when nothing else does: all before is gone.
            if outcome == .queued { handOver(line) }
            line.handing.append(next.due)
            if plan.expectsEcho { line.unanswered.append(next.due) }
            record.sent += 1
            record.bytesSent += message.count
        }
    }

    /// Ends the hand-over of what a connection took, once the kernel has all of it.
    private func handedOver(_ line: Line, _ channel: any LoadChannel) {
        if !line.handing.isEmpty && channel.queuedByteCount == 0 { handOver(line) }
    }

    private func handOver(_ line: Line) {
        let now = MonotonicTime.now
        record.lastSentAt = now
        line.handing.removeAll { due in
            if !plan.expectsEcho { end(due, now) }
        }
    }

    private func received(_ byteCount: Int, _ isMessage: Bool, _ line: Line) {
        record.bytesReceived += byteCount
        guard plan.expectsEcho, isMessage else { return }
        guard let due = line.unanswered.removeFirst() else {
            record.unexpectedAnswers += 1
            return
        }
        record.answered += 1
        end(due, MonotonicTime.now)
        checkFinished()
    }

    private func end(_ due: UInt64, _ now: UInt64) {
        underWay -= 1
        record.latency.record(now > due ? now - due : 0)
    }

    // MARK: The end

    /// No further message becomes due; what is under way gets so much time.
    func endEarly(within grace: Duration) {
        total = record.due
        deadline?.start(after: min(grace, plan.grace))
        checkFinished()
    }

    private func checkFinished() {
        if record.due >= total && underWay == 0 { finish() }
    }

    /// Ends the load; what is still under way counts with the time that it has waited.
    func finish() {
        guard let onFinished else { return }
        self.onFinished = nil
        deadline?.close()
        second?.close()
        for line in lines { abandon(line) }
        onFinished()
    }

    private func abandon(_ line: Line) {
        let now = MonotonicTime.now
        line.waiting.removeAll { message in
            record.unsent += 1
            end(message.due, now)
        }
        // A message that waits for an answer may wait for the kernel as well: it counts once.
        if plan.expectsEcho { line.handing.removeAll { _ in } }
        let finish = { (due: UInt64) in
            self.record.unfinished += 1
            self.end(due, now)
        }
        line.handing.removeAll(finish)
        line.unanswered.removeAll(finish)
    }
}
