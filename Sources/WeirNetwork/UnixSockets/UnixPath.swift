import CLibUV

/// Where a socket is in the file system.
struct UnixPath: Sendable, Hashable {
    /// A file, whatever its name is by now.
    struct File: Sendable, Hashable {
        var device: UInt64 = 0
        var inode: UInt64 = 0
    }

    let text: String

    init(_ text: String) {
        self.text = text
    }

    /// Makes a socket there; takes the place of one that nobody has open any more.
    ///
    /// - Parameter backlog: Connections that wait to be accepted; 0 for a socket of datagrams.
    func bind(
        _ permissions: Int, backlog: Int32
    ) throws(NetworkError) -> (descriptor: Int32, file: File?) {
        try makeRoom()
        let descriptor = cuv_unix_bind(text, UInt32(truncatingIfNeeded: permissions), backlog)
        try check(descriptor, "listening on")
        return (descriptor, file)
    }

    /// A descriptor that is connected to the socket of another process, and does not block.
    ///
    /// - Parameter datagrams: Whether it is a socket of datagrams.
    func connect(datagrams: Bool = false) throws(NetworkError) -> Int32 {
        let descriptor = cuv_unix_connect(text, datagrams ? 1 : 0)
        try check(descriptor, "connecting to")
        return descriptor
    }

    /// Removes the socket, unless something else has its name by now.
    func remove(_ file: File?) {
        if let file, self.file == file { _ = cuv_unlink(text) }
    }

    /// The socket that is there; nil for other files, too.
    private var file: File? {
        var file = File()
        return cuv_is_socket(text, &file.device, &file.inode) == 1 ? file : nil
    }

    /// A socket that refuses connections was left behind by a process that is no more.
    private func makeRoom() throws(NetworkError) {
        var found = File()
        let kind = cuv_is_socket(text, &found.device, &found.inode)
        if kind < 0 { return }
        guard kind == 1 else {
            throw NetworkError(
                .addressInUse, "listening on \(text) failed: there is a file that is no socket")
        }
        let descriptor = cuv_unix_connect(text, 0)
        if descriptor == UV_ECONNREFUSED.rawValue {
            let status = cuv_unlink(text)
            if status < 0, status != UV_ENOENT.rawValue {
                try check(status, "removing the socket that was left at")
            }
            return
        }
        if descriptor >= 0 { cuv_close(descriptor) }
        // It has a full backlog, or takes datagrams.
        let isAlive = [UV_EAGAIN, UV_EPROTOTYPE].contains { $0.rawValue == descriptor }
        if descriptor >= 0 || isAlive {
            throw NetworkError(
                .addressInUse, "listening on \(text) failed: another process listens there")
        }
        try check(descriptor, "looking whether anybody listens on")
    }

    /// Throws what a status means for a socket in the file system.
    func check(_ status: Int32, _ action: String) throws(NetworkError) {
        if status >= 0 { return }
        let error = NetworkError(uv: status, action, text)
        let (code, reason): (NetworkError.Code, String)
        switch status {
        case UV_ENAMETOOLONG.rawValue:
            throw NetworkError(
                .invalidArgument,
                "\(action) '\(text)' failed: the path of a socket has 1 to 107 bytes")
        case UV_EACCES.rawValue, UV_EPERM.rawValue:
            (code, reason) = (.permissionDenied, "permission denied")
        case UV_ENOENT.rawValue:
            (code, reason) = (.addressNotAvailable, "there is no such file or folder")
        case UV_ECONNREFUSED.rawValue:
            (code, reason) = (.connectionRefused, "no process listens there")
        case UV_EPROTOTYPE.rawValue:
            (code, reason) = (
                .invalidArgument,
                "the socket there is of the other kind, of datagrams or of connections"
            )
        default:
            throw error
        }
        throw NetworkError(code, "\(action) \(text) failed: \(reason)", cause: error.cause)
    }
}
