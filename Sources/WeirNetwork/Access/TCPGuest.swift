import Logging

/// What a TCP source knows of access: who decides, and how long a first frame may take.
struct TCPAccess {
    let gate: AccessGate
    let firstFrameTimeout: Duration
    /// What refusals call the place.
    let place: String
}

/// A TCP connection of which it is not known yet whose it is; used on its loop only.
///
/// A certificate is enough; without one the first frame is `WEIR-AUTH/1 TOKEN`.
final class TCPGuest {
    /// What the first frame begins with.
    static let prefix = "WEIR-AUTH/1 "

    private let tcp: TCPConnection
    private let access: TCPAccess
    private let framing: StreamFraming
    private let logger: Logger
    private var enter: ((TCPGuest) -> Void)?
    private var timer: LoopTimer?
    private(set) var reader: (any FrameReading)?
    private var onBatchEnd: () -> Void = {}
    private var onClosed: ((any Error)?) -> Void = { _ in }

    init(
        _ tcp: TCPConnection, _ access: TCPAccess, _ framing: StreamFraming, _ logger: Logger,
        _ enter: @escaping (TCPGuest) -> Void
    ) {
        self.tcp = tcp
        self.access = access
        self.framing = framing
        self.logger = logger
        self.enter = enter
    }

    /// Looks at the certificate, then waits for the first frame.
    func begin() {
        let gate = access.gate
        identify(Credentials(peer: tcp.tlsInfo?.peer, remoteAddress: tcp.remoteAddress)) {
            [self] refused in
            guard refused.reason == .missing, gate.control.takesFirstFrame else {
                refuse(refused)
                return
            }
            readFirstFrame()
        }
        // A certificate that is verified in its own time: nothing is read meanwhile.
        if tcp.handler == nil { tcp.handler = QuietConnection(self) }
    }

    private func identify(
        _ credentials: Credentials, orElse: @escaping (AccessGate.Refused) -> Void
    ) {
        access.gate.identify(credentials) { [self] result in
            guard tcp.isOpen, enter != nil else { return }
            switch result {
            case .failure(let refused): orElse(refused)
            case .success(let identity) where identity.roles.contains(.ingest): become(identity)
            case .success(let identity):
                refuse(AccessGate.Refused(reason: .forbidden, identity: identity))
            }
        }
    }

    private func become(_ identity: Identity) {
        guard let enter = self.enter.take() else { return }
        closeTimer()
        let gate = access.gate
        tcp.access = gate.makeAccess(identity)
        tcp.onFinished = { [unowned tcp] in gate.forget(tcp) }
        gate.watch(tcp, identity) { [unowned tcp] in tcp.closeGracefully() }
        enter(self)
    }

    private func readFirstFrame() {
        timer = try? LoopTimer(on: tcp.loop) { [unowned(unsafe) self] in
            refuse(AccessGate.Refused(reason: .missing))
        }
        timer?.start(after: access.firstFrameTimeout)
        reader = framing.makeReader(
            tcp, .one({ [self] in take($0) }), { [self] in onBatchEnd() },
            { [self] error in
                closeTimer()
                enter = nil
                reader = nil
                onClosed(error)
            })
        tcp.resumeReading()
    }

    private func take(_ frame: UnsafeRawBufferPointer) -> Flow {
        guard enter != nil else { return .proceed }
        closeTimer()
        guard frame.count > Self.prefix.utf8.count, frame.count <= Credentials.tokenBytesMax,
            zip(frame, Self.prefix.utf8).allSatisfy({ $0 == $1 })
        else {
            refuse(AccessGate.Refused(reason: .missing))
            return .proceed
        }
        let rest = UnsafeRawBufferPointer(rebasing: frame[Self.prefix.utf8.count...])
        tcp.pauseReading()
        identify(
            Credentials(
                bearerToken: String(decoding: rest, as: UTF8.self), peer: tcp.tlsInfo?.peer,
                remoteAddress: tcp.remoteAddress)
        ) { [self] in refuse($0) }
        return tcp.isReadingPaused ? .stop : .proceed
    }

    /// Gives the frames that follow to somebody else.
    func handOver(
        _ onFrames: @escaping (Messages) throws -> Flow, _ onBatchEnd: @escaping () -> Void,
        _ onClosed: @escaping ((any Error)?) -> Void
    ) {
        reader?.consumer = .many(onFrames)
        self.onBatchEnd = onBatchEnd
        self.onClosed = onClosed
    }

    private func refuse(_ refused: AccessGate.Refused) {
        guard enter.take() != nil else { return }
        closeTimer()
        access.gate.refuse(refused, at: access.place, from: tcp.remoteAddress)
        var bytes: [UInt8] = []
        let text = Array("ERR access refused: \(refused.reason)".utf8)
        if (try? text.withUnsafeBytes { try framing.wrap($0, &bytes) }) != nil {
            _ = bytes.withUnsafeBytes { tcp.write($0) }
        }
        tcp.closeGracefully()
    }

    private func closeTimer() {
        timer?.close()
        timer?.onFire = {}
        timer = nil
    }
}

/// Keeps a connection that is not read until it is known whose it is.
private final class QuietConnection: TCPConnectionHandler {
    private let guest: TCPGuest

    init(_ guest: TCPGuest) { self.guest = guest }

    func connection(
        _ connection: TCPConnection, received bytes: UnsafeMutableRawBufferPointer
    ) -> Int { 0 }
}
