import Histogram
import Weir

/// Sends the messages of a load over its connections; lives on one loop.
///
/// A message that is due is given to the next connection in turn, at once or as soon as that takes
/// it; an HTTP request to the next connection that has room. Its time runs from when it was due, so
/// that a target which holds the load up pays for every message behind.
final class LoadGenerator {
    private(set) var record = LoadRecord()
    /// Which messages were acknowledged, where the plan wants to know.
    private(set) var acknowledged: SequenceSet?
    private let plan: LoadPlan
    private let measurement: LoadPlan.Measurement
    private let schedule: Schedule
    private var writer: PayloadWriter
    private var message: [UInt8] = []
    private var lines: [LoadLine] = []
    private var turn = 0
    /// Requests that found no room, and the connections that have some.
    private var backlog = FirstInFirstOut<LoadMessage>()
    private var free = FirstInFirstOut<LoadLine>()
    private var start: UInt64 = 0
    /// Messages that will be due; fewer than planned once the load is ended early.
    private var total: Int
    /// Messages that have become due and not come to an end.
    private var underWay = 0
    private var deadline: LoopTimer?
    private var second: LoopTimer?
    private let intervals: IntervalLog
    private var interval = LoadRecord.emptyHistogram
    private var intervalStart: (time: UInt64, due: Int, sent: Int) = (0, 0, 0)
    private var onFinished: (() -> Void)?
    private var onAllClosed: (() -> Void)?
    private let tls: TLSClientContext?

    init(_ plan: LoadPlan, tls: TLSClientContext? = nil, intervals: IntervalLog) {
        self.plan = plan
        self.tls = tls
        self.intervals = intervals
        measurement = plan.measurement
        schedule = plan.schedule
        total = schedule.count
        writer = PayloadWriter(plan.payload, seed: plan.seed)
        if plan.keepsAcknowledged { acknowledged = SequenceSet(capacity: schedule.count) }
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
            openOne(begun, on: loop) { [self] in
                opened += 1
                if opened == plan.connections { completion() } else { next() }
            }
        }
        for _ in 0..<min(plan.connections, Self.handshakesMax) { next() }
    }

    private func openOne(_ number: Int, on loop: Loop, completion: @escaping () -> Void) {
        let line = LoadLine()
        let events = LoadChannelEvents(
            onReceived: { [unowned self] in record.bytesReceived += $0 },
            onAnswer: { [unowned self, unowned line] status in answered(line, status) },
            onAcknowledged: { [unowned self, unowned line] count in acknowledged(line, count) },
            onLost: { [unowned self, unowned line] failure in lost(line, failure) },
            onDrained: { [unowned self, unowned line] in flush(line) },
            onClosed: { [self, line] failure in closed(line, failure) })
        plan.connect(number, tls: tls, on: loop, events: events) { [self] result in
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

    private func lost(_ line: LoadLine, _ failure: String?) {
        if let failure {
            record.failedConnections += 1
            record.fail(failure)
        }
        // What was not written yet can go over another connection.
        line.waiting.removeAll { backlog.append($0) }
        abandon(line)
        while !backlog.isEmpty, let line = nextFree() { flush(line) }
        checkFinished()
    }

    private func closed(_ line: LoadLine, _ failure: String?) {
        // Counted at the end for those that are open then.
        if onFinished != nil { line.channel?.report(to: &record) }
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
        intervalStart.time = start
        deadline = try LoopTimer(on: loop) { [unowned self] in finish() }
        let length = Duration.nanoseconds(Int64(schedule.length(of: total)))
        deadline?.start(after: length + plan.grace)
        second = try LoopTimer(on: loop) { [unowned self] in
            endInterval()
            onSecond?(record)
        }
        second?.start(after: .seconds(1), every: .seconds(1))
        self.onFinished = onFinished
        if plan.isPooled { for line in lines { offer(line) } }
        checkFinished()
    }

    /// Sends the messages that have become due, up to this number of them.
    func send(upTo due: Int) {
        let due = min(due, total)
        guard onFinished != nil, record.due < due else { return }
        let now = MonotonicTime.now
        var touched: [LoadLine] = []
        for sequence in record.due..<due {
            if let line = take(sequence, now) { touched.append(line) }
        }
        // Each connection gets its messages of this turn in one write.
        for line in touched { flush(line) }
        checkFinished()
    }

    /// Gives a message to a line; returns the line if it had none to send.
    private func take(_ sequence: Int, _ now: UInt64) -> LoadLine? {
        let dueAt = start + schedule.offset(of: sequence)
        record.due += 1
        record.lateness.record(now > dueAt ? now - dueAt : 0)
        guard underWay < LoadPlan.Limits.waitingMessages else {
            record.unsent += 1
            return nil
        }
        let message = LoadMessage(sequence: sequence, due: dueAt)
        guard plan.isPooled else { return append(message, to: nextLine()) }
        guard backlog.isEmpty, let line = nextFree() else {
            underWay += 1
            record.waitedForConnection += 1
            backlog.append(message)
            return nil
        }
        defer { offer(line) }
        return append(message, to: line)
    }

    private func append(_ message: LoadMessage, to line: LoadLine?) -> LoadLine? {
        guard let line else {
            record.unsent += 1
            return nil
        }
        underWay += 1
        line.waiting.append(message)
        return line.waiting.count == 1 ? line : nil
    }

    /// The next open connection in turn.
    private func nextLine() -> LoadLine? {
        for _ in lines.indices {
            let line = lines[turn % lines.count]
            turn = (turn + 1) % lines.count
            if line.channel != nil { return line }
        }
        return nil
    }

    /// The connection that has had room for the longest time.
    private func nextFree() -> LoadLine? {
        while let line = free.removeFirst() {
            line.isOffered = false
            if line.hasRoom(for: plan.http.pipeline) { return line }
        }
        return nil
    }

    private func offer(_ line: LoadLine) {
        guard !line.isOffered, line.hasRoom(for: plan.http.pipeline) else { return }
        line.isOffered = true
        free.append(line)
    }

    private func flush(_ line: LoadLine) {
        guard let channel = line.channel else { return }
        handedOver(line, channel)
        if plan.isPooled {
            while line.hasRoom(for: plan.http.pipeline), let next = backlog.removeFirst() {
                line.waiting.append(next)
            }
        }
        if !line.waiting.isEmpty {
            channel.corked { push(line, channel) }
            handedOver(line, channel)
        }
        if plan.isPooled { offer(line) }
        checkFinished()
    }

    /// Gives messages to a connection until it takes no more.
    private func push(_ line: LoadLine, _ channel: any LoadChannel) {
        while var next = line.waiting.first {
            writer.write(next.sequence, into: &message)
            let outcome = message.withUnsafeBytes { channel.send($0) }
            guard outcome == .sent || outcome == .queued else { return }
            line.waiting.removeFirst()
            // A connection takes what must wait only when nothing else does: all before is gone.
            if outcome == .queued { handOver(line) }
            line.handing.append(next.due)
            if measurement != .handOver {
                next.sentAt = MonotonicTime.now
                line.unanswered.append(next)
            }
            record.sent += 1
            record.bytesSent += message.count
        }
    }

    /// Ends the hand-over of what a connection took, once the kernel has all of it.
    private func handedOver(_ line: LoadLine, _ channel: any LoadChannel) {
        if !line.handing.isEmpty && channel.queuedByteCount == 0 { handOver(line) }
    }

    private func handOver(_ line: LoadLine) {
        let now = MonotonicTime.now
        record.lastSentAt = now
        line.handing.removeAll { due in
            if measurement == .handOver { end(due, now) }
        }
    }

    // MARK: Answers

    private func answered(_ line: LoadLine, _ status: Int?) {
        guard measurement != .handOver else { return }
        guard let message = line.unanswered.removeFirst() else {
            record.unexpectedAnswers += 1
            return
        }
        let now = MonotonicTime.now
        if let status { record.statuses[status, default: 0] += 1 }
        if let status, !plan.http.expected.contains(status) {
            record.refused += 1
            underWay -= 1
            record.refusedLatency.record(now > message.due ? now - message.due : 0)
        } else {
            endAnswered(message, now)
        }
        if plan.isPooled { flush(line) }
        checkFinished()
    }

    private func acknowledged(_ line: LoadLine, _ count: Int) {
        let now = MonotonicTime.now
        for _ in 0..<count {
            guard let message = line.unanswered.removeFirst() else {
                record.unexpectedAnswers += 1
                continue
            }
            acknowledged?.insert(message.sequence)
            endAnswered(message, now)
        }
        // The window has room again.
        flush(line)
        checkFinished()
    }

    private func endAnswered(_ message: LoadMessage, _ now: UInt64) {
        record.answered += 1
        record.sinceSent.record(now > message.sentAt ? now - message.sentAt : 0)
        end(message.due, now)
    }

    private func end(_ due: UInt64, _ now: UInt64) {
        underWay -= 1
        let time = now > due ? now - due : 0
        record.latency.record(time)
        interval.record(time)
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
        for line in lines {
            line.channel?.report(to: &record)
            abandon(line)
        }
        backlog.removeAll(abandon)
        endInterval()
        onFinished()
    }

    private func endInterval() {
        let now = MonotonicTime.now
        guard now > intervalStart.time else { return }
        intervals.append(
            LoadInterval(
                start: intervalStart.time - start, length: now - intervalStart.time,
                due: record.due - intervalStart.due, sent: record.sent - intervalStart.sent,
                latency: interval))
        interval = LoadRecord.emptyHistogram
        intervalStart = (now, record.due, record.sent)
    }

    private func abandon(_ message: LoadMessage) {
        record.unsent += 1
        end(message.due, MonotonicTime.now)
    }

    private func abandon(_ line: LoadLine) {
        let now = MonotonicTime.now
        line.waiting.removeAll(abandon)
        // A message that waits for an answer may wait for the kernel as well: it counts once.
        if measurement != .handOver { line.handing.removeAll { _ in } }
        let finish = { (due: UInt64) in
            self.record.unfinished += 1
            self.end(due, now)
        }
        line.handing.removeAll(finish)
        line.unanswered.removeAll { finish($0.due) }
    }
}
