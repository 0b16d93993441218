import WeirCore
import WeirJSON

/// A request whose messages are all taken or none; used on the loop only.
///
/// The body is one message, an array of messages, or, with a key, lines.
final class HTTPDocumentIngest<Element: Sendable>: HTTPBodyReceiver, HTTPIngestParty {
    private let gate: HTTPIngestGate<Element>
    private let connection: HTTPServerConnection
    private let number: UInt64
    private let length: Int?
    private let form: HTTPIngestOptions.Form
    private var claim: HTTPRequestClaim?
    private var bytes: [UInt8] = []
    /// Whether the gate has the message, or the request is refused.
    private var isDone = false
    private var isGone = false
    private var isComplete = false
    /// What became of it before the request was complete.
    private var outcome: Result<Int, HTTPProblem>?

    init(
        _ gate: HTTPIngestGate<Element>, _ connection: HTTPServerConnection, _ length: Int?,
        _ form: HTTPIngestOptions.Form, _ claim: HTTPRequestClaim?
    ) {
        self.gate = gate
        self.connection = connection
        self.length = length
        self.form = form
        self.claim = claim
        number = connection.requestNumber
    }

    func receive(_ part: UnsafeRawBufferPointer, _ connection: HTTPServerConnection) -> Int {
        if part.count == length {
            take(part)
        } else {
            bytes.append(contentsOf: part)
        }
        return part.count
    }

    func end(_ connection: HTTPServerConnection) {
        isComplete = true
        if let outcome = outcome.take() {
            answer(outcome)
            return
        }
        if isDone { return }
        let whole = bytes
        bytes = []
        whole.withUnsafeBytes { take($0) }
    }

    private func take(_ body: UnsafeRawBufferPointer) {
        isDone = true
        if let known = claim?.begin(body, form, at: gate.context.now) {
            answer(known)
            return
        }
        if form == .lines {
            takeLines(body)
            return
        }
        if form == .array, let first = body.first(where: { !JSONArraySplitter.isSpace($0) }),
            first == UInt8(ascii: "[")
        {
            takeArray(body)
            return
        }
        let append = gate.appender(for: connection)
        do {
            if !gate.isDurable {
                try gate.take(body, by: append, self)
            } else {
                var batch = Batch<Element>()
                try append(body, &batch)
                var record = gate.makeRecord(connection.tcp.connectionInfo, claim)
                record.append(body)
                gate.offer(.init(party: self, record: record, count: 1, byteCount: body.count))
            }
        } catch {
            fail(HTTPProblem(400, "the body is no event: \(error)"), error, at: 0)
        }
    }

    private func takeArray(_ body: UnsafeRawBufferPointer) {
        var batch = Batch<Element>()
        var record = newRecord()
        let append = gate.appender(for: connection)
        var splitter = JSONArraySplitter(body)
        var index = 0
        do {
            while let range = try splitter.next() {
                let message = UnsafeRawBufferPointer(rebasing: body[range])
                do {
                    try append(message, &batch)
                } catch {
                    let problem = HTTPProblem(400, "element \(index) is no event: \(error)")
                    fail(problem.with("index", .number(index)), error, at: range.lowerBound)
                    return
                }
                record?.append(message)
                index += 1
            }
        } catch {
            let problem = HTTPProblem(400, "the body is no array: \(error.description)")
                .with("index", .number(index))
            refused(
                problem.with("offset", .number(error.offset)).with("accepted", .number(0)))
            return
        }
        offer(batch, record, index, body.count)
    }

    private func takeLines(_ body: UnsafeRawBufferPointer) {
        var batch = Batch<Element>()
        var record = newRecord()
        let append = gate.appender(for: connection)
        var (line, count, start) = (0, 0, 0)
        while start < body.count {
            line += 1
            let end = body[start...].firstIndex(of: 0x0A) ?? body.count
            var message = UnsafeRawBufferPointer(rebasing: body[start..<end])
            if message.last == 0x0D {
                message = UnsafeRawBufferPointer(rebasing: message.dropLast())
            }
            let offset = start
            start = end + 1
            if message.allSatisfy({ JSONArraySplitter.isSpace($0) }) { continue }
            guard message.count <= gate.options.maximumLineLength else {
                let problem = HTTPProblem(
                    413, "line \(line) is above \(gate.options.maximumLineLength) bytes")
                fail(problem.with("line", .number(line)), nil, at: offset)
                return
            }
            do {
                try append(message, &batch)
            } catch {
                let problem = HTTPProblem(400, "line \(line) is no event: \(error)")
                fail(problem.with("line", .number(line)), error, at: offset)
                return
            }
            record?.append(message)
            count += 1
        }
        offer(batch, record, count, body.count)
    }

    /// An empty record; nil in a run without a store.
    private func newRecord() -> IngestRecord? {
        gate.isDurable ? gate.makeRecord(connection.tcp.connectionInfo, claim) : nil
    }

    private func offer(
        _ batch: Batch<Element>, _ record: IngestRecord?, _ count: Int, _ byteCount: Int
    ) {
        if count == 0 {
            accepted(0)
            return
        }
        gate.offer(
            .init(
                party: self, batch: record == nil ? batch : Batch(), record: record, count: count,
                byteCount: byteCount))
    }

    private func fail(_ problem: HTTPProblem, _ error: (any Error)?, at start: Int) {
        let offset = start + ((error as? JSONError)?.byteOffset ?? 0)
        refused(problem.with("offset", .number(offset)).with("accepted", .number(0)))
    }

    // MARK: What becomes of it

    func accepted(_ count: Int) {
        connection.tcp.access?.charge(count, now: connection.tcp.loop.now)
        claim?.settle(count)
        answer(.success(count))
    }

    func refused(_ problem: HTTPProblem) {
        claim?.abandon()
        answer(.failure(problem))
    }

    private func answer(_ result: Result<Int, HTTPProblem>) {
        if isGone { return }
        guard isComplete else {
            outcome = result
            return
        }
        switch result {
        case .success(1) where connection.takesPrepared && connection.requestNumber == number:
            connection.answerPrepared(gate.preparedAnswer())
        case .success(let count): connection.answer(number, .accepted(count))
        case .failure(let problem): connection.refuse(number, problem)
        }
    }

    func cancelled(_ connection: HTTPServerConnection) { isGone = true }
}

extension HTTPReply {
    /// The answer to a request whose events were taken.
    static func accepted(_ count: Int) -> HTTPReply {
        HTTPReply(
            status: 202, contentType: "application/json", body: #"{"accepted":\#(count)}"#.utf8)
    }
}
