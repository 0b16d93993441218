import CLibUV
import Logging

/// A socket in the file system that accepts connections; used on its loop only.
final class UnixListener {
    private let path: String
    private let options: UnixSocketOptions
    private let handle: ListenerHandle
    private let file: (device: UInt64, inode: UInt64)?
    private let onAccept: (TCPConnection) -> Void
    private let logger: Logger
    private let loop: Loop
    private var openCount = 0
    private var retry: LoopTimer?

    private static let backlog: Int32 = 1_024
    /// Pause after the process ran out of descriptors.
    private static let retryDelay = Duration.milliseconds(100)

    /// Listens at a path; takes the place of a socket that nobody listens on any more.
    init(
        _ path: String, _ options: UnixSocketOptions, on loop: Loop, logger: Logger,
        onAccept: @escaping (TCPConnection) -> Void
    ) throws(NetworkError) {
        try Self.makeRoom(at: path)
        let descriptor = cuv_unix_listen(path, UInt32(options.permissions), Self.backlog)
        try Self.check(descriptor, "listening on", path)
        self.path = path
        self.options = options
        self.loop = loop
        self.logger = logger
        self.onAccept = onAccept
        file = Self.file(at: path)
        handle = try ListenerHandle(loop: loop, descriptor: descriptor)
        handle.onReadable = { [unowned self] in acceptAll() }
        try WeirNetwork.check(handle.start(), "listening on", path)
    }

    /// Stops listening and removes the socket's file, if it is still this one's.
    func close() {
        retry?.close()
        retry = nil
        if handle.isClosing { return }
        handle.onReadable = {}
        handle.closeHandle()
        if let file, let current = Self.file(at: path), current == file { _ = cuv_unlink(path) }
    }

    /// A socket that refuses connections was left behind by a process that is no more.
    private static func makeRoom(at path: String) throws(NetworkError) {
        var device: UInt64 = 0
        var inode: UInt64 = 0
        let kind = cuv_is_socket(path, &device, &inode)
        if kind < 0 { return }
        guard kind == 1 else {
            throw NetworkError(
                .addressInUse, "listening on \(path) failed: there is a file that is no socket")
        }
        let descriptor = cuv_unix_connect(path)
        if descriptor == UV_ECONNREFUSED.rawValue {
            let status = cuv_unlink(path)
            if status < 0, status != UV_ENOENT.rawValue {
                try check(status, "removing the socket that was left at", path)
            }
            return
        }
        if descriptor >= 0 { cuv_close(descriptor) }
        if descriptor >= 0 || descriptor == UV_EAGAIN.rawValue {
            throw NetworkError(
                .addressInUse, "listening on \(path) failed: another process listens there")
        }
        try check(descriptor, "looking whether anybody listens on", path)
    }

    private static func file(at path: String) -> (device: UInt64, inode: UInt64)? {
        var device: UInt64 = 0
        var inode: UInt64 = 0
        return cuv_is_socket(path, &device, &inode) == 1 ? (device, inode) : nil
    }

    static func check(
        _ status: Int32, _ action: String, _ path: String
    ) throws(NetworkError) {
        if status >= 0 { return }
        var error = NetworkError(uv: status, action, path)
        if status == UV_ENAMETOOLONG.rawValue {
            error = NetworkError(
                .invalidArgument,
                "\(action) '\(path)' failed: the path of a socket has 1 to 107 bytes")
        } else if status == UV_EACCES.rawValue || status == UV_EPERM.rawValue {
            error = NetworkError(
                .permissionDenied, "\(action) \(path) failed: permission denied",
                cause: error.cause)
        } else if status == UV_ENOENT.rawValue {
            error = NetworkError(
                .addressNotAvailable, "\(action) \(path) failed: there is no such file or folder",
                cause: error.cause)
        }
        throw error
    }

    // MARK: Accepting

    private func acceptAll() {
        if let status = handle.acceptAll({ accept($0) }) { backOff(status) }
    }

    private func accept(_ descriptor: Int32) {
        guard openCount < options.maximumConnections,
            let connection = try? TCPConnection.adopt(descriptor, on: loop)
        else {
            // `adopt` has closed it when it failed.
            if openCount >= options.maximumConnections { cuv_close(descriptor) }
            return
        }
        openCount += 1
        connection.socket.onClosed = { [self] in openCount -= 1 }
        onAccept(connection)
        if connection.handler == nil { connection.close() }
    }

    private func backOff(_ status: Int32) {
        logger.warning(
            "\(NetworkError(uv: status, "accepting on", path)); waiting and trying again")
        handle.stop()
        retry?.close()
        retry = try? LoopTimer(on: loop) { [unowned self] in
            if !handle.isClosing { _ = handle.start() }
        }
        retry?.start(after: Self.retryDelay)
    }
}

extension TCPConnection {
    /// Takes over a connected descriptor, which is closed when that fails.
    ///
    /// libuv asks nothing of a stream that a socket in the file system lacks.
    static func adopt(_ descriptor: Int32, on loop: Loop) throws(NetworkError) -> TCPConnection {
        do throws(NetworkError) {
            let socket = try SocketHandle(loop: loop)
            let status = uv_tcp_open(socket.tcp, descriptor)
            if status < 0 {
                socket.closeHandle()
                throw NetworkError(uv: status, "taking over a connection")
            }
            return TCPConnection(socket: socket)
        } catch {
            cuv_close(descriptor)
            throw error
        }
    }

    /// Connects to a socket in the file system.
    package static func connect(
        toUnix path: String, on loop: Loop
    ) throws(NetworkError) -> TCPConnection {
        let descriptor = cuv_unix_connect(path)
        if descriptor == UV_ECONNREFUSED.rawValue {
            throw NetworkError(
                .connectionRefused,
                "connecting to \(path) failed: no process listens there", cause: "ECONNREFUSED")
        }
        try UnixListener.check(descriptor, "connecting to", path)
        return try adopt(descriptor, on: loop)
    }
}
