import Logging
import WeirCore

/// The other end of a connection, whatever its protocol; used on its loop only.
protocol IngestPeer: AnyObject {
    var dialect: AcknowledgingDialect { get }
    func pause()
    func resume()
    /// Gives what has been read and waits for room, and pauses.
    func giveLast()
    /// Sends a message of the acknowledging protocol.
    func send(_ text: String)
    /// Sends an error of the acknowledging protocol and closes.
    func refuse(_ reason: String)
    /// What the peer has taken too long for; nil when it is in time.
    func overdue(_ limits: SilenceLimits) -> SilenceLimits.Overdue?
    /// Closes, for a reason that is none of the protocol's.
    func goAway()
}

extension IngestPeer {
    func giveLast() {}
    func overdue(_ limits: SilenceLimits) -> SilenceLimits.Overdue? { nil }
}

/// One connection of a source: the protocol it speaks, and where its messages go; used on its loop
/// only.
final class IngestConnection {
    private enum State {
        /// Each frame is an event.
        case plain
        /// The first frame tells whether the connection acknowledges.
        case undecided
        case awaitingHello
        case acknowledging
        case ended
    }

    let peer: any IngestPeer
    let intake: any MessageIntake
    private let registry: ProducerRegistry
    private let isDurable: Bool
    let origin: String
    private let loop: Loop
    private let logger: Logger
    private var state: State
    /// The producer of an acknowledging connection.
    private var sender: NumberedSender?
    /// The number of the last message that was taken; 0 for a producer that isn't known.
    private var last: UInt64 = 0
    private var duplicates = 0
    private let rate: IngestRate?
    /// Set while the connection has brought more than it may.
    private var isTooFast = false
    /// Set while what it brings finds no room.
    private var isFull = false
    /// Set when the source reads no more.
    private var isQuiet = false

    enum Opening { case plain, acknowledging, firstFrameTells }

    init(
        _ peer: any IngestPeer, intake: any MessageIntake, opening: Opening, origin: String,
        registry: ProducerRegistry, isDurable: Bool, loop: Loop, logger: Logger,
        access: ConnectionAccess? = nil
    ) {
        self.peer = peer
        self.intake = intake
        self.origin = origin
        self.registry = registry
        self.isDurable = isDurable
        self.loop = loop
        self.logger = logger
        rate = access.flatMap { $0.isLimited ? IngestRate($0, loop) : nil }
        state =
            switch opening {
            case .plain: .plain
            case .acknowledging: .awaitingHello
            case .firstFrameTells: .undecided
            }
    }

    /// Takes the frames of a read, all of them, also when it answers ``Flow/stop``.
    ///
    /// - Parameter isCutOff: Whether the peer has ended without the frame's end. Of a sender that
    ///   numbers it may be a part: taken, the whole that is sent again would be a duplicate.
    func take(_ frames: Messages, isCutOff: Bool = false) -> Flow {
        if isCutOff,
            speaksNumbers || frames.contains(where: { AcknowledgingProtocol.isHello($0) })
        {
            return .proceed
        }
        rate?.count += frames.count
        var flow = Flow.proceed
        for position in 0..<frames.count {
            if case .plain = state {
                return intake.take(Messages(rebasing: frames[position...]))
            }
            if takeOne(frames[position]) == .stop { flow = .stop }
        }
        return flow
    }

    /// Takes a frame or message.
    func take(_ frame: UnsafeRawBufferPointer) -> Flow {
        rate?.count += 1
        return takeOne(frame)
    }

    private func takeOne(_ frame: UnsafeRawBufferPointer) -> Flow {
        switch state {
        case .plain: return intake.take(frame, sequence: 0)
        case .ended: return .proceed
        case .undecided:
            if !AcknowledgingProtocol.isHello(frame) {
                state = .plain
                return intake.take(frame, sequence: 0)
            }
            return takeHello(frame)
        case .awaitingHello: return takeHello(frame)
        case .acknowledging: return takeNumbered(frame)
        }
    }

    private var speaksNumbers: Bool {
        switch state {
        case .awaitingHello, .acknowledging: true
        case .plain, .undecided, .ended: false
        }
    }

    /// Passes on what one read has brought.
    func pass() -> Flow {
        registry.countDuplicates(duplicates)
        duplicates = 0
        if case .ended = state { return .proceed }
        if intake.pass() == .stop { isFull = true }
        let verdict = rate?.check { [weak self] in
            self?.isTooFast = false
            self?.goOn()
        }
        switch verdict {
        case nil, .within?: break
        case .wait?: isTooFast = true
        case .refuse?: return fail("it sends more events than it may")
        }
        return isFull || isTooFast ? .stop : .proceed
    }

    /// There is room for what the connection brings, or there is none.
    func setFull(_ isFull: Bool) {
        self.isFull = isFull
        if isFull { peer.pause() } else { goOn() }
    }

    /// Reads on, unless something else keeps the connection from that.
    private func goOn() {
        if !isFull, !isTooFast, !isQuiet { peer.resume() }
    }

    /// The source takes what has been read, and no more: neither time nor room lets it go on.
    func keepsQuiet() {
        isQuiet = true
        rate?.close()
        peer.pause()
        peer.giveLast()
    }

    /// The connection is closed.
    func closed() {
        rate?.close()
        _ = pass()
        // The producer's session has to be open for this.
        intake.connectionClosed()
        end()
    }

    // MARK: The acknowledging protocol

    private func takeHello(_ frame: UnsafeRawBufferPointer) -> Flow {
        let name: String
        do {
            name = try peer.dialect.producer(inHello: frame)
        } catch {
            return fail(error.description)
        }
        let connection = LoopBound(WeakConnection(self), on: loop)
        let session = ProducerSession(origin: origin) { [loop] sequence in
            loop.onLoop { connection.value.target?.acknowledge(sequence) }
        } replace: { [loop] newer in
            loop.onLoop { connection.value.target?.replaced(by: newer) }
        }
        guard let opening = registry.open(name, session) else {
            return fail("too many producers are connected")
        }
        let sender = NumberedSender(name: name, session: session, registry: registry)
        last = opening.accepted
        intake.sender = sender
        self.sender = sender
        state = .acknowledging
        peer.send(peer.dialect.welcome(opening.durable, isDurable: isDurable))
        return .proceed
    }

    private func takeNumbered(_ frame: UnsafeRawBufferPointer) -> Flow {
        do {
            let (sequence, payload) = try AcknowledgingProtocol.message(frame)
            if sequence <= last {
                duplicates += 1
                return .proceed
            }
            guard sequence == last + 1 || last == 0 else {
                return fail(
                    "message \(sequence) of producer '\(sender?.name ?? "")' does not follow "
                        + "\(last): \(last + 1) is missing")
            }
            last = sequence
            return intake.take(payload, sequence: sequence)
        } catch {
            return fail(error.description)
        }
    }

    private func acknowledge(_ sequence: UInt64) {
        guard case .acknowledging = state else { return }
        peer.send(peer.dialect.acknowledgement(sequence))
    }

    private func replaced(by newer: String) {
        guard case .acknowledging = state, let sender else { return }
        _ = intake.pass()
        _ = fail("producer '\(sender.name)' has connected again from \(newer)")
    }

    private func fail(_ reason: String) -> Flow {
        // What came before the mistake counts.
        _ = intake.pass()
        end()
        logger.notice(
            "connection closed: it broke a rule",
            metadata: ["origin": "\(origin)", "error": "\(reason)"])
        peer.refuse(reason)
        return .proceed
    }

    private func end() {
        if case .acknowledging = state, let sender {
            sender.registry.close(sender.name, sender.session)
        }
        state = .ended
    }
}

/// A connection as its producer's session knows it: the session may outlive it.
private final class WeakConnection {
    weak var target: IngestConnection?

    init(_ target: IngestConnection) {
        self.target = target
    }
}
