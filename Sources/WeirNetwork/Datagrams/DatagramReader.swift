import CLibUV
import Logging
import WeirCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Brings the datagrams of a socket to a source; used on its loop only.
final class DatagramReader<Element: Sendable>: DatagramReading {
    private let socket: DatagramSocket
    private let connections: SourceConnections<Element>
    private let options: DatagramOptions
    private let context: SourceContext
    private let peer: DatagramPeer
    private var connection: IngestConnection?
    private var names: PeerNames
    private var timer: LoopTimer?

    /// How often the kernel is asked what it has dropped.
    private static var dropInterval: Duration { .seconds(1) }

    init(
        _ socket: DatagramSocket, _ connections: SourceConnections<Element>,
        _ options: DatagramOptions, from names: PeerNames, _ context: SourceContext
    ) {
        self.socket = socket
        self.connections = connections
        self.options = options
        self.names = names
        self.context = context
        peer = DatagramPeer(socket)
    }

    func begin() {
        socket.onDatagram = { [unowned self] in take($0) }
        socket.onReadEnd = { [unowned self] in pass() }
        socket.onError = { [context] error in
            context.logger.warning("\(error)", metadata: ["stage": "\(context.stage)"])
        }
        peer.onResume = { [unowned self] in countDropped() }
        timer = try? LoopTimer(on: connections.loop) { [unowned self] in countDropped() }
        timer?.start(after: Self.dropInterval, every: Self.dropInterval)
        connection = connections.add(socket, peer, from: names.current, opening: .plain)
    }

    func end() {
        socket.pause()
        socket.onDatagram = nil
        socket.onReadEnd = nil
        peer.end()
        timer?.close()
        timer = nil
        countDropped()
    }

    private func countDropped() {
        context.metrics.countDropped(socket.takeDropped(), reason: .kernelBuffer)
    }

    private func take(_ datagram: DatagramSocket.Datagram) {
        guard let connection else { return }
        if let info = names.change(to: datagram.sender) { connection.intake.comesFrom(info) }
        let bytes = datagram.bytes
        let limit = min(options.maximumLength, DatagramPacking.lengthMax)
        if bytes.count > limit {
            let length = "\(datagram.isCut ? "more than " : "")\(bytes.count)"
            context.deadLetter(
                [UInt8](bytes),
                reason:
                    "a datagram of \(length) bytes is longer than the limit of \(limit) bytes",
                origin: names.current.description)
            return
        }
        switch options.content.choice {
        case .message: _ = connection.take(bytes)
        case .lines: takeLines(bytes, connection)
        }
    }

    private func takeLines(_ bytes: UnsafeRawBufferPointer, _ connection: IngestConnection) {
        guard let base = bytes.baseAddress else { return }
        var position = 0
        while position < bytes.count {
            let rest = bytes.count - position
            let end = memchr(base + position, 0x0A, rest)
            let length = end.map { UnsafeRawPointer($0) - (base + position) } ?? rest
            var line = UnsafeRawBufferPointer(start: base + position, count: length)
            if line.last == 0x0D { line = UnsafeRawBufferPointer(rebasing: line.dropLast()) }
            _ = connection.take(line)
            position += length + 1
        }
    }

    private func pass() {
        guard let connection else { return }
        if connection.pass() == .stop || connection.intake.hasFailed { socket.pause() }
    }
}

/// A socket without connections as a peer: it can be read or not.
private final class DatagramPeer: IngestPeer {
    private let socket: DatagramSocket
    var onResume: () -> Void = {}
    private var hasEnded = false

    init(_ socket: DatagramSocket) {
        self.socket = socket
    }

    var dialect: AcknowledgingDialect { .words }
    func pause() { socket.pause() }

    func resume() {
        if hasEnded { return }
        onResume()
        socket.resume()
    }

    /// What reads the socket is gone.
    func end() {
        hasEnded = true
        onResume = {}
    }

    func send(_ text: String) {}
    func refuse(_ reason: String) {}
    func goAway() { socket.pause() }
}

/// The addresses of peers as text, which is slow to make, so the newest are kept.
struct PeerNames {
    private struct Key: Hashable {
        var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

        static func == (one: Key, other: Key) -> Bool {
            one.words.0 == other.words.0 && one.words.1 == other.words.1
                && one.words.2 == other.words.2 && one.words.3 == other.words.3
        }

        func hash(into hasher: inout Hasher) {
            hasher.combine(words.0)
            hasher.combine(words.1)
            hasher.combine(words.2)
            hasher.combine(words.3)
        }
    }

    /// Addresses that are kept; past it all are forgotten.
    private static let limit = 1_024

    private var key = Key()
    private var known: [Key: ConnectionInfo] = [:]
    private(set) var current: ConnectionInfo
    private let haveAddresses: Bool

    /// Senders by UDP.
    init() {
        current = ConnectionInfo()
        haveAddresses = true
    }

    /// Senders to a socket in the file system, where most have no name of their own.
    init(to path: UnixPath) {
        current = ConnectionInfo(remoteAddress: "unix:\(path.text)")
        haveAddresses = false
    }

    /// Takes note of a datagram's sender; nil when the one before had the same.
    mutating func change(to address: UnsafePointer<sockaddr>) -> ConnectionInfo? {
        if !haveAddresses { return nil }
        var new = Key()
        let size =
            Int32(address.pointee.sa_family) == AF_INET6
            ? MemoryLayout<sockaddr_in6>.size : MemoryLayout<sockaddr_in>.size
        withUnsafeMutableBytes(of: &new.words) { words in
            words.copyMemory(from: UnsafeRawBufferPointer(start: address, count: size))
        }
        if new == key { return nil }
        key = new
        if let info = known[new] {
            current = info
            return info
        }
        current = ConnectionInfo(remoteAddress: SocketAddress(address)?.description ?? "unknown")
        if known.count >= Self.limit { known.removeAll(keepingCapacity: true) }
        known[new] = current
        return current
    }
}
