import Logging
import WeirCore

/// The other end of a connection, whatever its protocol; used on its loop only.
protocol IngestPeer: AnyObject {
    var dialect: AcknowledgingDialect { get }
    func pause()
    func resume()
    /// Sends a message of the acknowledging protocol.
    func send(_ text: String)
    /// Sends an error of the acknowledging protocol and closes.
    func refuse(_ reason: String)
    /// Closes because the source ends.
    func goAway()
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
    private let origin: String
    private let loop: Loop
    private let logger: Logger
    private var state: State
    /// The producer of an acknowledging connection.
    private var sender: NumberedSender?
    /// The number of the last message that was taken; 0 for a producer that isn't known.
    private var last: UInt64 = 0
    private var duplicates = 0
    private let rate: IngestRate?

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
        let flow = intake.pass()
        switch rate?.check(resume: { [weak peer] in peer?.resume() }) {
        case nil, .within?: return flow
        case .wait?: return .stop
        case .refuse?: return fail("it sends more events than it may")
        }
    }

    /// The source stops reading: no timer lets the connection go on.
    func keepsQuiet() { rate?.close() }

    /// The connection is closed.
    func closed() {
        rate?.close()
        _ = pass()
        end()
        intake.connectionClosed()
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
