import CLibUV
public import Logging

/// A listening TCP socket that accepts connections on one loop; used on the loop's thread only.
///
/// When the process is out of descriptors it waits a little and tries again; above its limit of
/// connections it accepts and closes at once. Both are counted.
public final class TCPListener {
    /// How a listener behaves.
    public struct Configuration: Sendable {
        /// Address or name to listen on; `127.0.0.1` by default, `0.0.0.0` or `::` for all.
        public var host = "127.0.0.1"
        /// Port to listen on; 0, the default, lets the system choose a free one.
        public var port = 0
        /// Connections the kernel may keep waiting; 1,024 by default (the system may cap it).
        public var backlog = 1_024
        /// Open connections at one time; 10,000 by default.
        public var maximumConnections = 10_000
        /// Open connections of one IPv4 address or one IPv6 /64 at one time; 1,000 by default.
        ///
        /// Loopback is not counted: behind a proxy on this machine everybody has that address.
        public var maximumConnectionsPerAddress = 1_000
        /// Pause after the process ran out of descriptors; 100 ms by default.
        public var retryDelay: Duration = .milliseconds(100)
        /// Speaks TLS on every connection; nil, the default, does not.
        ///
        /// Connections are given out when their handshake is done.
        public var tls: TLSServerContext?
        /// Counts loopback like other addresses; for tests.
        var countsLoopback = false
        /// Where the listener reports what an operator should know.
        public var logger = Logger(label: "weir.network")

        /// Creates a configuration with the defaults.
        public init(host: String = "127.0.0.1", port: Int = 0) {
            self.host = host
            self.port = port
        }
    }

    /// Where it listens, with the actual port.
    public let address: SocketAddress
    /// The loop that accepts.
    public let loop: Loop
    /// Connections accepted so far, without those refused.
    public private(set) var acceptedCount = 0
    /// Connections open now.
    public private(set) var openCount = 0
    /// Connections closed at once because a limit was reached.
    public private(set) var refusedCount = 0
    /// Connections closed at once because there were many of one address, among those.
    public private(set) var addressRefusedCount = 0
    /// Times that accepting failed, for instance without free descriptors.
    public private(set) var failureCount = 0

    /// TLS handshakes that succeeded.
    public private(set) var handshakeCount = 0
    /// TLS handshakes that resumed an earlier session, among those.
    public private(set) var resumedCount = 0
    /// TLS handshakes that failed: no TLS, no common version, a certificate refused, no time left.
    public private(set) var handshakeFailureCount = 0

    /// Runs when one of the counts has changed.
    var onChange: () -> Void = {}

    private let configuration: Configuration
    private let handle: ListenerHandle
    private var onAccept: (TCPConnection) -> Void
    private var handshaking: [ObjectIdentifier: TCPConnection] = [:]
    private var openByAddress: [AddressBlock: Int] = [:]
    private var handshakeLog = LogBudget()
    private var refusalLog = LogBudget()

    /// Listens; the completion runs on the loop's thread, once.
    ///
    /// When a process supervisor has passed on a socket for this host and port (`WEIR_LISTEN_FDS`, or systemd's
    /// `LISTEN_FDS`), the listener accepts from that one, which goes on listening when the process ends.
    ///
    /// `onAccept` gets each connection; it sets the handler and calls `resumeReading()`. A
    /// connection left without a handler is closed.
    public static func listen(
        _ configuration: Configuration, on loop: Loop,
        onAccept: @escaping (TCPConnection) -> Void,
        completion: @escaping (Result<TCPListener, NetworkError>) -> Void
    ) {
        Resolver.resolve(configuration.host, port: configuration.port, on: loop) { result in
            completion(
                result.flatMap { addresses in
                    Result { () throws(NetworkError) in
                        try TCPListener(configuration, addresses[0], loop, onAccept)
                    }
                })
        }
    }

    private init(
        _ configuration: Configuration, _ wanted: SocketAddress, _ loop: Loop,
        _ onAccept: @escaping (TCPConnection) -> Void
    ) throws(NetworkError) {
        let backlog = Int32(clamping: max(1, configuration.backlog))
        let inherited = try InheritedSockets.shared.take(wanted, backlog: backlog)
        let descriptor =
            inherited?.descriptor ?? wanted.withSockaddr { cuv_listen($0, backlog) }
        try check(descriptor, "listening on", "\(wanted)")
        self.configuration = configuration
        self.loop = loop
        self.onAccept = onAccept
        address = SocketAddress.local(of: descriptor) ?? wanted
        handle = try ListenerHandle(
            loop: loop, descriptor: descriptor,
            ListenerHandle.Settings(
                name: "\(address)", retryDelay: configuration.retryDelay,
                logger: configuration.logger), inherited)
        handle.onAccept = { [unowned(unsafe) self] in accept($0) }
        handle.onFailure = { [unowned(unsafe) self] refused in
            failureCount += 1
            refusedCount += refused
        }
        handle.onTurnEnd = { [unowned(unsafe) self] in onChange() }
        handle.onLoopStop = { [self] in close() }
        try handle.start()
    }

    /// Stops listening and lets go of `onAccept`; open connections stay open.
    public func close() {
        loop.preconditionOnLoop()
        handle.closeHandle()
        for connection in Array(handshaking.values) { connection.close() }
        onAccept = { $0.close() }
        letGo()
    }

    /// Who hears of changes often keeps the listener: forgets them when there will be no more.
    private func letGo() {
        if handle.isClosing, openCount == 0 { onChange = {} }
    }

    private func accept(_ descriptor: Int32) {
        guard openCount < configuration.maximumConnections else {
            countRefusal("\(openCount) connections")
            ListenerHandle.closeDescriptor(descriptor)
            return
        }
        do {
            let socket = try SocketHandle(loop: loop, descriptor: descriptor)
            let block = countedBlock(of: socket)
            if let block,
                openByAddress[block, default: 0] >= configuration.maximumConnectionsPerAddress
            {
                let peer = socket.peerAddress?.ip ?? "one address"
                countRefusal("\(openByAddress[block, default: 0]) connections of \(peer)")
                addressRefusedCount += 1
                socket.closeHandle()
                return
            }
            acceptedCount += 1
            openCount += 1
            if let block { openByAddress[block, default: 0] += 1 }
            socket.onClosed = { [self] in
                openCount -= 1
                if let block { release(block) }
                onChange()
                letGo()
            }
            socket.setNoDelay(true)
            let connection = TCPConnection(socket: socket)
            if let tls = configuration.tls {
                secure(connection, tls)
                return
            }
            onAccept(connection)
            if connection.handler == nil { connection.close() }
        } catch {
            failureCount += 1
        }
    }

    private func countRefusal(_ open: String) {
        refusedCount += 1
        guard refusalLog.take(at: loop.now) else { return }
        configuration.logger.notice(
            "connection refused: there are \(open), the most that are taken",
            metadata: ["address": "\(address)"])
    }

    /// The addresses that a connection is counted with; nil for one that is not counted.
    private func countedBlock(of socket: SocketHandle) -> AddressBlock? {
        guard let block = socket.peerAddress.map({ AddressBlock($0) }),
            !block.isLoopback || configuration.countsLoopback
        else { return nil }
        return block
    }

    private func release(_ block: AddressBlock) {
        let count = openByAddress[block, default: 0] - 1
        openByAddress[block] = count > 0 ? count : nil
    }

    /// Gives a connection out when its TLS handshake is done.
    private func secure(_ connection: TCPConnection, _ tls: TLSServerContext) {
        let peer = connection.remoteAddress?.description ?? "the peer"
        let key = ObjectIdentifier(connection)
        do {
            let engine = try tls.makeEngine(peerName: peer)
            handshaking[key] = connection
            connection.startTLS(engine, timeout: tls.configuration.handshakeTimeout) {
                [self, unowned connection] result in
                handshaking[key] = nil
                switch result {
                case .success(let info):
                    handshakeCount += 1
                    if info.isResumed { resumedCount += 1 }
                    onAccept(connection)
                case .failure(let error): countFailure(error, peer)
                }
                onChange()
            }
        } catch {
            countFailure(error, peer)
            connection.close(error)
        }
    }

    private func countFailure(_ error: NetworkError, _ peer: String) {
        handshakeFailureCount += 1
        guard handshakeLog.take(at: loop.now) else { return }
        configuration.logger.info(
            "TLS handshake failed", metadata: ["peer": "\(peer)", "error": "\(error)"])
    }
}
