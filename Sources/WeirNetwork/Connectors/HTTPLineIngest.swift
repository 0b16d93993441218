import WeirCore
import WeirJSON

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// A request with a message a line, taken while it comes; used on the loop only.
///
/// What was read goes on with every read of the socket. While it finds no room, or much of it is
/// not durable yet, the socket is not read.
final class HTTPLineIngest<Element: Sendable>: HTTPBodyReceiver, HTTPIngestParty {
    private let gate: HTTPIngestGate<Element>
    private let connection: HTTPServerConnection
    private let number: UInt64
    private let info: ConnectionInfo
    private let append: EventAppender<Element>.One
    /// The begin of a line whose rest is to come.
    private var carry: [UInt8] = []
    private var batch = Batch<Element>()
    private var record: IngestRecord?
    private var openCount = 0
    private var openBytes = 0
    /// Bytes and parts that the gate has and has not accepted.
    private var pendingBytes: [Int] = []
    private var pendingTotal = 0
    private var accepted = 0
    private var line = 0
    /// Where in the body the current line begins.
    private var offset = 0
    private var failure: HTTPProblem?
    private var hasEnded = false
    private var isOver = false
    private let batchSize: Int
    private let rate: IngestRate?
    /// Set while the sender has brought more than it may.
    private var isTooFast = false

    /// Bytes that may be on their way to the journal before the socket is not read.
    private static var pendingLimit: Int { 1 << 20 }

    init(_ gate: HTTPIngestGate<Element>, _ connection: HTTPServerConnection) {
        self.gate = gate
        self.connection = connection
        number = connection.requestNumber
        info = connection.tcp.connectionInfo
        append = gate.appender(for: connection)
        batchSize = gate.context.preferredBatchSize
        rate = connection.tcp.access.flatMap {
            $0.isLimited ? IngestRate($0, connection.tcp.loop) : nil
        }
    }

    /// Whether nothing can be taken for now.
    private var isFull: Bool {
        if failure != nil || isTooFast { return true }
        return !gate.isDurable ? !pendingBytes.isEmpty : pendingTotal >= Self.pendingLimit
    }

    func receive(_ part: UnsafeRawBufferPointer, _ connection: HTTPServerConnection) -> Int {
        if isOver { return part.count }
        if isFull { return 0 }
        guard let base = part.baseAddress else { return 0 }
        var position = 0
        while position < part.count, !isFull {
            let rest = part.count - position
            let end = memchr(base + position, 0x0A, rest).map { UnsafeRawPointer($0) - base }
            let piece = UnsafeRawBufferPointer(rebasing: part[position..<(end ?? part.count)])
            guard carry.count + piece.count <= gate.options.maximumLineLength else {
                line += 1
                fail(413, "line \(line) is above \(gate.options.maximumLineLength) bytes", nil)
                return position
            }
            position = end.map { $0 + 1 } ?? part.count
            if end == nil || !carry.isEmpty { carry.append(contentsOf: piece) }
            guard end != nil else { break }
            if carry.isEmpty { takeLine(piece) } else { takeCarried() }
        }
        return position
    }

    private func takeCarried() {
        let whole = carry
        carry.removeAll(keepingCapacity: true)
        whole.withUnsafeBytes { takeLine($0) }
    }

    func receivedAll(_ connection: HTTPServerConnection) {
        offer()
        guard let rate, !isOver, !isTooFast else { return }
        let verdict = rate.check { [weak self] in
            self?.isTooFast = false
            self?.settle()
        }
        switch verdict {
        case .within: break
        case .wait: isTooFast = true
        case .refuse:
            var problem = HTTPProblem(429, "you send more events than you may")
            problem.retryAfter = 1
            failure = failure ?? problem.with("line", .number(line))
            settle()
        }
    }

    func end(_ connection: HTTPServerConnection) {
        hasEnded = true
        if !carry.isEmpty, failure == nil { takeCarried() }
        offer()
        settle()
    }

    private func takeLine(_ whole: UnsafeRawBufferPointer) {
        line += 1
        defer { offset += whole.count + 1 }
        let hasReturn = whole.last == 0x0D
        let text = hasReturn ? UnsafeRawBufferPointer(rebasing: whole.dropLast()) : whole
        if text.allSatisfy({ JSONArraySplitter.isSpace($0) }) { return }
        do {
            try append(text, &batch)
        } catch {
            fail(400, "line \(line) is no event: \(error)", (error as? JSONError)?.byteOffset)
            return
        }
        rate?.count += 1
        openCount += 1
        openBytes += text.count
        if gate.isDurable {
            batch.removeAll()
            var record = self.record.take() ?? gate.makeRecord(info)
            record.append(text)
            self.record = record
        }
        if openCount >= batchSize || openBytes >= 256 << 10 { offer() }
    }

    private func fail(_ status: Int, _ detail: String, _ within: Int?) {
        failure = HTTPProblem(status, detail).with("line", .number(line))
            .with("offset", .number(offset + (within ?? 0)))
        offer()
        settle()
    }

    /// Gives what was read to the gate.
    private func offer() {
        if openCount == 0 || isOver { return }
        let part = HTTPIngestGate<Element>.Waiter(
            party: self, batch: batch, record: record.take(), count: openCount,
            byteCount: openBytes)
        pendingBytes.append(openBytes)
        pendingTotal += openBytes
        batch = Batch()
        openCount = 0
        openBytes = 0
        gate.offer(part)
    }

    // MARK: What becomes of it

    func accepted(_ count: Int) {
        accepted += count
        settled()
    }

    func refused(_ problem: HTTPProblem) {
        failure = failure ?? problem
        settled()
    }

    private func settled() {
        if !pendingBytes.isEmpty { pendingTotal -= pendingBytes.removeFirst() }
        settle()
    }

    /// Answers when nothing is pending any more, or reads on.
    private func settle() {
        if isOver { return }
        if let failure {
            guard pendingBytes.isEmpty else { return }
            over()
            connection.refuse(number, failure.with("accepted", .number(accepted)))
        } else if hasEnded {
            guard pendingBytes.isEmpty, openCount == 0 else { return }
            over()
            connection.answer(number, .accepted(accepted))
        } else if !isFull {
            connection.resume()
        }
    }

    /// The source ends: what was accepted is told.
    func stop(_ problem: HTTPProblem) {
        failure = failure ?? problem
        settle()
    }

    private func over() {
        isOver = true
        rate?.settle()
        rate?.close()
        gate.streamEnded(self)
    }

    func cancelled(_ connection: HTTPServerConnection) {
        if !isOver { over() }
    }
}
