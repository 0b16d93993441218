import WeirCore
import WeirJSON

/// What takes the messages of documents, whatever events they become; used on the loop only.
protocol HTTPDocumentTaker: AnyObject {
    /// The present time.
    var now: EventTime { get }

    /// Takes all messages of a body or none, and tells the request.
    func take(
        _ body: UnsafeRawBufferPointer, _ form: HTTPIngestOptions.Form,
        _ request: HTTPDocumentIngest)

    /// The answer to a request with one event on a connection that stays open.
    func preparedAnswer() -> SharedBytes
}

/// A request whose messages are all taken or none; used on the loop only.
///
/// The body is one message, an array of messages, or, with a key, lines. It does not know of what
/// type the events are: to look up a generic class costs each request as much as to decode one.
final class HTTPDocumentIngest: HTTPBodyReceiver, HTTPIngestParty {
    // `unchecked` as in `TCPConnection`.

    private let gate: any HTTPDocumentTaker
    let connection: HTTPServerConnection
    private let number: UInt64
    private let length: Int?
    private let form: HTTPIngestOptions.Form
    @exclusivity(unchecked) private(set) var claim: HTTPRequestClaim?
    @exclusivity(unchecked) private var bytes: [UInt8] = []
    /// Whether the gate has the message, or the request is refused.
    @exclusivity(unchecked) private var isDone = false
    @exclusivity(unchecked) private var isGone = false
    @exclusivity(unchecked) private var isComplete = false
    /// What became of it before the request was complete.
    @exclusivity(unchecked) private var outcome: Result<Int, HTTPProblem>?

    init(
        _ gate: any HTTPDocumentTaker, _ connection: HTTPServerConnection, _ length: Int?,
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
        if let known = claim?.begin(body, form, at: gate.now) {
            answer(known)
            return
        }
        gate.take(body, form, self)
    }

    // MARK: What becomes of it

    /// Nothing of the body is taken, because of what stands at an offset.
    func fail(_ problem: HTTPProblem, _ error: (any Error)?, at start: Int) {
        let offset = start + ((error as? JSONError)?.byteOffset ?? 0)
        refused(problem.with("offset", .number(offset)).with("accepted", .number(0)))
    }

    func accepted(_ count: Int) {
        connection.tcp.access?.charge(count, now: connection.tcp.loop.now)
        claim?.settle(count)
        if isComplete { answer(count) } else { outcome = .success(count) }
    }

    func refused(_ problem: HTTPProblem) {
        claim?.abandon()
        answer(.failure(problem))
    }

    private func answer(_ result: Result<Int, HTTPProblem>) {
        guard isComplete else {
            outcome = result
            return
        }
        switch result {
        case .success(let count): answer(count)
        case .failure(let problem): if !isGone { connection.refuse(number, problem) }
        }
    }

    private func answer(_ count: Int) {
        if isGone { return }
        if count == 1, connection.takesPrepared, connection.requestNumber == number {
            connection.answerPrepared(gate.preparedAnswer())
        } else {
            connection.answer(number, .accepted(count))
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
