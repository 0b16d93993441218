import HTTPTypes
import Logging
import Synchronization
public import WeirCore

/// How a source of server-sent events connects, and connects again.
public struct ServerSentEventSourceOptions: Sendable {
    /// Headers of the request, for instance `Authorization`; none by default.
    public var headers: [String: String] = [:]
    /// Who the client is, to be shown with each connection; nobody by default.
    public var authorization: ClientAuthorization?
    /// Trust, certificates and sessions for `https://`; nil, the default, trusts the system's
    /// authorities.
    public var tls: TLSClientContext?
    /// Names of the events that are taken; all by default.
    public var eventNames: Set<String>?
    /// Bytes of one event, beyond which the connection is made anew; 1 MiB by default.
    public var maximumEventLength = 1 << 20
    /// The first pause before it connects again; 1 s by default.
    ///
    /// A server may ask for another, of 100 ms at least and ``longestPause`` at most. Pauses double,
    /// and vary at random by half.
    public var firstPause: Duration = .seconds(1)
    /// The longest pause; 30 s by default.
    public var longestPause: Duration = .seconds(30)
    /// Time for connecting; 10 s by default.
    public var connectTimeout: Duration = .seconds(10)
    /// Time without a byte, comments included, after which the connection is made anew; 60 s by
    /// default.
    public var idleTimeout: Duration = .seconds(60)

    /// Creates the default options.
    public init() {}
}

extension Source {
    /// Events from a server's `text/event-stream`, each event's data being one JSON document.
    ///
    /// See the source with a decoder of one's own.
    @inlinable
    public static func serverSentEvents(
        from url: String, as type: Element.Type = Element.self,
        options: ServerSentEventSourceOptions = ServerSentEventSourceOptions()
    ) -> Source where Element: Decodable {
        serverSentEvents(from: url, decoder: .json, options: options)
    }

    /// Events from a server's `text/event-stream`, decoded from each event's data.
    ///
    /// When the connection ends it is made again, after a pause, with the identifier of the last
    /// event (`Last-Event-ID`), so that a server that keeps events sends what was missed. What
    /// can't be decoded goes to the dead letters. While the stage is full the socket is not read.
    ///
    /// A status of 204 ends the source, as the server asks for. A status of 429 or 5xx is tried
    /// again; any other but 200, or another media type, fails the source with a ``NetworkError``.
    /// The identifier is kept within a run, over restarts of the stage; a new process begins with
    /// what the server sends to a new client.
    ///
    /// - Parameters:
    ///   - url: The address, such as `https://feed/alerts`; its query is not logged.
    ///   - decoder: How an event's data becomes an event.
    ///   - options: Times, bounds and headers.
    public static func serverSentEvents(
        from url: String, decoder: EventDecoder<Element>,
        options: ServerSentEventSourceOptions = ServerSentEventSourceOptions()
    ) -> Source {
        Source("serverSentEvents") { inlet in
            let address = try NetworkURL(url, .http)
            let memory = inlet.context.resources.shared("events of \(url) \(inlet.context.stage)") {
                EventMemory()
            } close: { _ in
            }
            let loop = try Loop.shared()
            var pauses = EventStreamPauses(options)
            var generator = SystemRandomNumberGenerator()
            while true {
                let session = try await loop.run {
                    LoopBound(EventSession(inlet, decoder, options, memory, loop), on: loop)
                }
                let end = try await EventSession.run(session, address)
                let rest = try await loop.run { session.value.takeRest() }
                try await sendRest(rest.batch, to: inlet)
                if let id = rest.lastEventID { memory.lastEventID = id }
                if Task.isCancelled { return }
                switch end {
                case .ended: return
                case .failed(let error): throw error
                case .lost(let error, let hadEvents):
                    if hadEvents { pauses.succeeded(askedFor: memory.retry) }
                    let pause = pauses.next(using: &generator)
                    inlet.context.logger.info(
                        "the event stream is lost; connecting again",
                        metadata: [
                            "url": "\(address.publicName)", "error": "\(error)",
                            "after": "\(pause)",
                        ])
                    guard (try? await inlet.context.sleep(for: pause)) != nil else { return }
                }
            }
        }
    }
}

/// The pauses before a stream is connected again: they double, and vary at random by half.
struct EventStreamPauses {
    /// A server that asks for no pause at all would be asked in a tight loop.
    private static let shortestPause = Duration.milliseconds(100)

    private let first: Duration
    private let longest: Duration
    private var pause: Duration

    init(_ options: ServerSentEventSourceOptions) {
        first = options.firstPause
        longest = options.longestPause
        pause = first
    }

    /// The connection was of use: the next pause is what the server asks for, within bounds.
    mutating func succeeded(askedFor retry: Duration?) {
        pause = retry.map { min(max($0, min(Self.shortestPause, first)), longest) } ?? first
    }

    mutating func next(using generator: inout some RandomNumberGenerator) -> Duration {
        let delay = pause * Double.random(in: 0.5...1.5, using: &generator)
        pause = min(pause * 2, longest)
        return min(delay, longest)
    }
}

/// What is known of a stream from one connection to the next.
private final class EventMemory: Sendable {
    private let state = Mutex((lastEventID: "", retry: Duration?.none))

    var lastEventID: String {
        get { state.withLock { $0.lastEventID } }
        set { state.withLock { $0.lastEventID = newValue } }
    }

    var retry: Duration? {
        get { state.withLock { $0.retry } }
        set { state.withLock { $0.retry = newValue } }
    }
}

/// How a connection has ended.
private enum EventSessionEnd: Sendable {
    case ended
    case lost(NetworkError, hadEvents: Bool)
    case failed(NetworkError)
}

/// One connection to a stream of events; used on its loop only.
private final class EventSession<Element: Sendable>: HTTPResponseHandler {
    private let inlet: Inlet<Element>
    private let options: ServerSentEventSourceOptions
    private let memory: EventMemory
    private let loop: Loop
    private var parser: ServerSentEventParser
    private var exchange: HTTPClientExchange?
    private var ingest: Ingest<Element>?
    private let decoder: EventDecoder<Element>
    private var completion: ((EventSessionEnd) -> Void)?
    private var verdict: EventSessionEnd?
    private var hadEvents = false
    private var isFull = false

    init(
        _ inlet: Inlet<Element>, _ decoder: EventDecoder<Element>,
        _ options: ServerSentEventSourceOptions, _ memory: EventMemory, _ loop: Loop
    ) {
        self.inlet = inlet
        self.decoder = decoder
        self.options = options
        self.memory = memory
        self.loop = loop
        parser = ServerSentEventParser(
            maximumLength: options.maximumEventLength, lastEventID: memory.lastEventID)
    }

    /// Connects and reads until the connection ends or the task is cancelled.
    static func run(
        _ session: LoopBound<EventSession>, _ url: NetworkURL
    ) async throws -> EventSessionEnd {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                session.loop.execute {
                    session.value.start(url) { continuation.resume(returning: $0) }
                }
            }
        } onCancel: {
            session.loop.onLoop {
                session.value.stop(.lost(NetworkError(.closed, "cancelled"), hadEvents: false))
            }
        }
    }

    private func start(_ url: NetworkURL, _ completion: @escaping (EventSessionEnd) -> Void) {
        if let verdict {
            completion(verdict)
            return
        }
        self.completion = completion
        var headers = HTTPFields()
        for (name, value) in options.headers {
            if let name = HTTPField.Name(name) { headers[name] = value }
        }
        headers[.accept] = "text/event-stream"
        headers[.cacheControl] = "no-store"
        let last = memory.lastEventID
        if !last.isEmpty, let name = HTTPField.Name("Last-Event-ID") { headers[name] = last }
        var configuration = HTTPClient.Configuration()
        configuration.connectTimeout = options.connectTimeout
        configuration.idleTimeout = options.idleTimeout
        configuration.tls = options.tls
        configuration.authorization = options.authorization
        // A stream has no end; each of its events is bounded.
        configuration.body.maximumLength = .max
        let exchange = HTTPClientExchange(
            .get, url, headers: headers, body: [], loop: loop, configuration: configuration,
            handler: self)
        self.exchange = exchange
        ingest = Ingest(
            inlet, decoder: decoder,
            from: ConnectionInfo(remoteAddress: url.publicName), loop: loop
        ) {
            [weak self] in self?.resume()
        }
        exchange.start()
    }

    private func stop(_ end: EventSessionEnd) {
        verdict = verdict ?? end
        exchange?.cancel()
        exchange = nil
        guard let completion else { return }
        self.completion = nil
        completion(verdict ?? end)
    }

    func received(_ head: HTTPResponse, on exchange: HTTPClientExchange) {
        let status = head.status.code
        if status == 200 {
            let type = head.headerFields[.contentType] ?? ""
            if type.lowercased().hasPrefix("text/event-stream") { return }
            stop(.failed(NetworkError(.protocolViolation, "not an event stream but \(type)")))
        } else if status == 204 {
            stop(.ended)
        } else {
            let error = NetworkError(.protocolViolation, "the event stream answers \(status)")
            let isTemporary = status == 429 || status >= 500
            stop(isTemporary ? .lost(error, hadEvents: false) : .failed(error))
        }
    }

    func received(_ part: UnsafeRawBufferPointer, on exchange: HTTPClientExchange) -> Int {
        guard !isFull, let ingest else { return 0 }
        do {
            try parser.consume(part) { event in
                hadEvents = true
                if let names = options.eventNames, !names.contains(event.name) { return }
                var data = event.data
                _ = data.withUTF8 { ingest.take(UnsafeRawBufferPointer($0), sequence: 0) }
            }
        } catch {
            stop(.lost(NetworkError(.protocolViolation, error.reason), hadEvents: hadEvents))
        }
        if let retry = parser.retry { memory.retry = retry }
        return part.count
    }

    func receivedAll(on exchange: HTTPClientExchange) {
        guard let ingest else { return }
        if ingest.pass() == .stop {
            isFull = true
            exchange.pause()
        } else {
            memory.lastEventID = parser.lastEventID
        }
        if ingest.hasFailed {
            stop(.failed(NetworkError(.closed, "the stage has stopped")))
        }
    }

    /// The mailbox has room again.
    private func resume() {
        isFull = false
        guard ingest?.pass() == .proceed else {
            isFull = true
            return
        }
        memory.lastEventID = parser.lastEventID
        exchange?.resume()
    }

    func finished(_ error: NetworkError?) {
        let end = error ?? NetworkError(.connectionLost, "the server has ended the stream")
        stop(.lost(end, hadEvents: hadEvents))
    }

    /// What has been read and could not be passed on, for a connection that has ended.
    func takeRest() -> (batch: Batch<Element>, lastEventID: String?) {
        guard let ingest else { return (Batch(), nil) }
        _ = ingest.pass()
        let rest = ingest.takeRest()
        return (rest.batch, parser.lastEventID)
    }
}
