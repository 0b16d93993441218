import Logging
import WeirCore

/// Serves all the connections of a TCP source; used on its loop only.
final class TCPReceiver<Element: Sendable>: Sendable {
    private let connections: LoopBound<SourceConnections<Element>>
    private let framing: StreamFraming
    private let logger: Logger

    init(
        _ connections: LoopBound<SourceConnections<Element>>, framing: StreamFraming,
        logger: Logger
    ) {
        self.connections = connections
        self.framing = framing
        self.logger = logger
    }

    /// Takes a connection over when it is known whose it is.
    ///
    /// - Parameter known: What is known of a connection without an address.
    func accept(_ tcp: TCPConnection, _ access: TCPAccess?, from known: ConnectionInfo? = nil) {
        guard let access else {
            enter(tcp, nil, known)
            return
        }
        guard access.gate.asks else {
            tcp.access = access.gate.makeAccess(nil)
            enter(tcp, nil)
            return
        }
        TCPGuest(tcp, access, framing, logger) { [self] guest in enter(tcp, guest) }.begin()
    }

    /// Lets a connection send events; a guest has a reader of its frames already.
    private func enter(
        _ tcp: TCPConnection, _ guest: TCPGuest?, _ known: ConnectionInfo? = nil
    ) {
        let info = known ?? tcp.connectionInfo
        let origin = info.description
        let all = connections.value
        let logger = logger
        let peer = TCPPeer(tcp, framing)
        guard
            let connection = all.add(
                tcp, peer, from: info, opening: .firstFrameTells, access: tcp.access)
        else { return }
        let onFrames = { [unowned tcp] (frames: Messages) throws -> Flow in
            peer.hasFrames = true
            let flow = connection.take(frames, isCutOff: tcp.hasReachedEnd)
            if connection.intake.hasFailed { throw FramingError("the stage has stopped") }
            return flow
        }
        let onBatchEnd = { [unowned tcp] in
            peer.noteRead()
            if connection.pass() == .stop { tcp.pauseReading() }
        }
        let onClosed = { [unowned tcp] (error: (any Error)?) in
            all.remove(tcp)
            if let error = error as? NetworkError, error.code == .truncated {
                logger.notice("\(error)", metadata: ["origin": "\(origin)"])
            }
            guard let error = error as? FramingError else { return }
            logger.notice(
                "connection closed: its bytes can't be cut into messages",
                metadata: ["origin": "\(origin)", "error": "\(error)"])
        }
        if let guest, let reader = guest.reader {
            guest.handOver(onFrames, onBatchEnd, onClosed)
            peer.begin(reader)
        } else {
            peer.begin(framing.makeReader(tcp, .many(onFrames), onBatchEnd, onClosed))
        }
    }
}

final class TCPPeer: IngestPeer {
    private let tcp: TCPConnection
    private let framing: StreamFraming
    /// What cuts frames; kept by the connection.
    private weak var reader: (any FrameReading)?
    private var mayRead = false
    /// Whether the read under way has brought a frame.
    var hasFrames = false
    private var unfinished = UnfinishedMessage()
    /// What had come when the peer was looked at, and since when it is no more.
    private var seenByteCount = 0
    private var quietSince: UInt64

    init(_ tcp: TCPConnection, _ framing: StreamFraming) {
        self.tcp = tcp
        self.framing = framing
        quietSince = tcp.readingTime
    }

    var dialect: AcknowledgingDialect { .words }

    func pause() {
        mayRead = false
        tcp.pauseReading()
    }

    func resume() {
        mayRead = true
        if reader != nil { tcp.resumeReading() }
    }

    func giveLast() { tcp.offerLast() }

    /// The connection has what reads it.
    func begin(_ reader: any FrameReading) {
        self.reader = reader
        if mayRead { tcp.resumeReading() }
    }

    /// All that one read has brought is taken: a frame may have begun.
    func noteRead() {
        unfinished.note(
            isWithin: reader?.carriedByteCount ?? 0 > 0, hasCompleted: hasFrames,
            at: tcp.readingTime)
        hasFrames = false
    }

    func overdue(_ limits: SilenceLimits) -> SilenceLimits.Overdue? {
        guard tcp.isOpen else { return nil }
        let now = tcp.readingTime
        if tcp.receivedByteCount != seenByteCount {
            seenByteCount = tcp.receivedByteCount
            quietSince = now
        }
        if let limit = limits.message, unfinished.isOverdue(after: limit.milliseconds, at: now) {
            return .message
        }
        if let limit = limits.idle, now - quietSince >= limit.milliseconds { return .idle }
        return nil
    }

    func send(_ text: String) {
        var bytes: [UInt8] = []
        guard (try? text.utf8.withBytes { try framing.wrap($0, &bytes) }) != nil else { return }
        // A peer that reads nothing misses this one; the next number says more.
        _ = bytes.withUnsafeBytes { tcp.write($0) }
    }

    func refuse(_ reason: String) {
        send(dialect.error(reason))
        tcp.closeGracefully()
    }

    func goAway() { tcp.closeGracefully() }
}

extension String.UTF8View {
    fileprivate func withBytes<Value>(
        _ body: (UnsafeRawBufferPointer) throws -> Value
    ) rethrows -> Value {
        try Array(self).withUnsafeBytes(body)
    }
}
