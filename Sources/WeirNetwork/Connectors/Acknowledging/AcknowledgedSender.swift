import Synchronization

/// Sends numbered messages to a source and keeps them until the source says that they are safe.
///
/// It speaks the acknowledging protocol (`docs/acknowledging-protocol.md`) over `ws://host:port/path` or
/// `tcp://host:port`, with TLS over `wss://` or `tls://`, or over a Unix socket, `unix:path`. A lost connection is made again with growing pauses, and what was not acknowledged is sent
/// again; the source drops what it has, so that each message counts exactly once.
///
/// ```swift
/// let sender = try await AcknowledgedSender.connect(to: "ws://localhost:8080/payments", producer: "till-7")
/// for payment in payments.dropFirst(Int(sender.acknowledged)) { try await sender.send(payment) }
/// try await sender.waitUntilAcknowledged()
/// await sender.close()
/// ```
///
/// A producer that was sent before goes on behind ``acknowledged``: the number of its messages that the source has.
public final class AcknowledgedSender: Sendable {
    /// Bounds and times of a sender.
    public struct Configuration: Sendable {
        /// Messages that may be without an acknowledgement before `send` suspends; 10,000 by default.
        public var windowMessages = 10_000
        /// Bytes that may be without an acknowledgement before `send` suspends; 8 MiB by default.
        public var windowBytes = 8 << 20
        /// The first pause before a lost connection is made again; 50 ms by default.
        ///
        /// Pauses double, and vary at random by half.
        public var firstPause: Duration = .milliseconds(50)
        /// The longest pause between two attempts; 5 s by default.
        public var longestPause: Duration = .seconds(5)
        /// Time for connecting and the server's first answer; 10 s by default.
        public var connectTimeout: Duration = .seconds(10)
        /// How long messages may be without any acknowledgement before the connection counts as dead
        /// and is made again; 60 s by default, nil for ever.
        ///
        /// It is noticed after this time at the earliest, after twice the time at the latest.
        public var answerTimeout: Duration? = .seconds(60)
        /// Trust, certificates and sessions for `wss://` and `tls://`; nil, the default, trusts the system's
        /// authorities.
        public var tls: TLSClientContext?
        /// Who the sender is, to be shown with each connection; nobody by default.
        ///
        /// Over TCP it is the first frame, `WEIR-AUTH/1 TOKEN`.
        public var authorization: ClientAuthorization?
        /// How messages are told apart over `tcp://` and `tls://`; lines by default.
        public var framing = StreamFraming.lines()

        /// Creates the default configuration.
        public init() {}
    }

    /// What a sender has counted so far.
    public struct Counters: Sendable, Hashable {
        /// Messages that were given to a connection, each once.
        public var sent = 0
        /// Messages that were given to a connection once more.
        public var resent = 0
        /// Messages of this sender that the source has acknowledged.
        public var acknowledged = 0
        /// Connections that were made after the first.
        public var reconnects = 0
    }

    private let window: SenderWindow
    private let link: LoopBound<SenderLink>

    private init(_ window: SenderWindow, _ link: LoopBound<SenderLink>) {
        self.window = window
        self.link = link
    }

    /// Connects, and returns when the source has said how far it has this producer's messages.
    ///
    /// - Parameters:
    ///   - url: `ws://host:port/path` or `tcp://host:port`, with TLS `wss://` or `tls://`; or `unix:path`.
    ///   - producer: The name under which the source numbers; 1 to 128 bytes of visible ASCII.
    ///   - loop: The loop that owns the connection; the shared one by default.
    /// - Throws: ``NetworkError`` when the first connection fails; `CancellationError`.
    public static func connect(
        to url: String, producer: String, on loop: Loop? = nil,
        configuration: Configuration = Configuration()
    ) async throws -> AcknowledgedSender {
        try check(producer: producer)
        let target = try SenderTarget(url)
        let loop = if let loop { loop } else { try Loop.shared() }
        let window = SenderWindow(configuration)
        let link: LoopBound<SenderLink> = try await loop.wait { wait in
            let link = SenderLink(
                target, producer: producer, configuration: configuration, window: window,
                loop: loop)
            let bound = LoopBound(link, on: loop)
            link.start { result in
                if !wait.end(result.map { bound }.mapError { $0 }) { link.close {} }
            }
        }
        window.onNews {
            loop.execute { link.value.push() }
        }
        return AcknowledgedSender(window, link)
    }

    /// Checks a producer's name.
    ///
    /// - Throws: ``NetworkError/Code/invalidArgument`` with what is wrong.
    package static func check(producer: String) throws(NetworkError) {
        do {
            _ = try Array(producer.utf8).withUnsafeBytes { bytes in
                Result { () throws(AcknowledgingProtocolError) in
                    try AcknowledgingProtocol.name(bytes)
                }
            }.get()
        } catch {
            throw NetworkError(.invalidArgument, "'\(producer)': \(error)")
        }
    }

    /// The number of this producer's messages that the source has; also those of senders before.
    public var acknowledged: UInt64 { window.acknowledged }

    /// Why nothing can be sent any more; nil while it can.
    public var failure: NetworkError? { window.failure }

    /// What was counted so far.
    public var counters: Counters { window.counters }

    /// Sends a message; suspends while the window of unacknowledged messages is full.
    ///
    /// - Throws: ``NetworkError`` when the sender is closed or the source refuses the producer;
    ///   `CancellationError` when the task is cancelled while it waits: the message is not sent then.
    public func send(_ payload: [UInt8]) async throws {
        try await window.append(payload)
    }

    /// Waits until all that was sent is acknowledged.
    ///
    /// - Throws: ``NetworkError`` when the sender is closed or refused before; `CancellationError`.
    public func waitUntilAcknowledged() async throws {
        try await window.waitUntilEmpty()
    }

    /// Closes the connection; what is not acknowledged may or may not have been taken.
    public func close() async {
        let link = link
        window.fail(NetworkError(.closed, "the sender is closed"))
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            link.loop.execute { link.value.close { continuation.resume() } }
        }
    }

    deinit {
        window.fail(NetworkError(.closed, "the sender is gone"))
        let link = link
        link.loop.execute { link.value.close {} }
    }
}

/// Where a sender connects to.
enum SenderTarget: Sendable {
    case webSocket(String)
    case tcp(host: String, port: Int, isSecure: Bool)
    case unix(String)

    init(_ url: String) throws(NetworkError) {
        let lowercased = url.lowercased()
        if lowercased.hasPrefix("unix:") {
            let path = String(url.dropFirst("unix:".count))
            guard !path.isEmpty, !path.hasPrefix("//") else {
                throw NetworkError(
                    .invalidArgument, "write unix: and the path of a socket, not '\(url)'")
            }
            self = .unix(path)
            return
        }
        guard lowercased.hasPrefix("tls://") || lowercased.hasPrefix("tcp://") else {
            _ = try NetworkURL(url, .webSocket)
            self = .webSocket(url)
            return
        }
        let parts = try NetworkURL(url, .tcp)
        self = .tcp(host: parts.host, port: parts.port, isSecure: parts.isSecure)
    }
}
