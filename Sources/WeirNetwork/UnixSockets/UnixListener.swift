import CLibUV
import Logging

/// A socket in the file system that accepts connections; used on its loop only.
final class UnixListener {
    private let path: UnixPath
    private let options: UnixSocketOptions
    private let handle: ListenerHandle
    private let file: UnixPath.File?
    private let onAccept: (TCPConnection) -> Void
    private let logger: Logger
    private let loop: Loop
    private let cells: ServerCounterCells
    private var openCount = 0 {
        didSet { cells.connectionsOpen.set(openCount) }
    }
    private var refusalLog = LogBudget()

    private static let backlog: Int32 = 1_024

    /// Listens at a path; takes the place of a socket that nobody listens on any more.
    init(
        _ path: UnixPath, _ options: UnixSocketOptions, on loop: Loop, logger: Logger,
        counters cells: ServerCounterCells,
        onAccept: @escaping (TCPConnection) -> Void
    ) throws(NetworkError) {
        let (descriptor, file) = try path.bind(options.permissions, backlog: Self.backlog)
        self.path = path
        self.options = options
        self.loop = loop
        self.logger = logger
        self.cells = cells
        self.onAccept = onAccept
        self.file = file
        handle = try ListenerHandle(
            loop: loop, descriptor: descriptor,
            ListenerHandle.Settings(name: path.text, logger: logger))
        handle.onAccept = { [unowned self] in accept($0) }
        handle.onFailure = { [cells] refused in
            cells.acceptFailures.add(1)
            cells.connectionsRefused.add(refused)
        }
        try handle.start()
    }

    /// Stops listening and removes the socket's file, if it is still this one's.
    func close() {
        if handle.isClosing { return }
        handle.closeHandle()
        path.remove(file)
    }

    // MARK: Accepting

    private func accept(_ descriptor: Int32) {
        guard openCount < options.maximumConnections else {
            ListenerHandle.closeDescriptor(descriptor)
            return countRefusal()
        }
        // It is closed when that fails.
        guard let connection = try? TCPConnection.adopt(descriptor, on: loop) else {
            return cells.acceptFailures.add(1)
        }
        cells.connectionsAccepted.add(1)
        openCount += 1
        connection.socket.onClosed = { [self] in openCount -= 1 }
        onAccept(connection)
        if connection.handler == nil { connection.close() }
    }

    private func countRefusal() {
        cells.connectionsRefused.add(1)
        guard refusalLog.take(at: loop.now) else { return }
        logger.notice(
            "connection refused: there are \(openCount) connections, the most that are taken",
            metadata: ["address": "unix:\(path.text)"])
    }
}

extension TCPConnection {
    /// Takes over a connected descriptor, which is closed when that fails.
    static func adopt(_ descriptor: Int32, on loop: Loop) throws(NetworkError) -> TCPConnection {
        TCPConnection(socket: try SocketHandle(loop: loop, descriptor: descriptor))
    }

    /// Connects to a socket in the file system.
    package static func connect(
        toUnix path: String, on loop: Loop
    ) throws(NetworkError) -> TCPConnection {
        try adopt(try UnixPath(path).connect(), on: loop)
    }
}
